"""Word problems of finite groups: the state is tracked through moves that may not commute."""

import dataclasses
import functools
import itertools
import math
import re

import numpy as np

from rnnzoo.errors import UserError
from rnnzoo.tasks.automaton import Automaton, Machine
from rnnzoo.tasks.registry import register_task

LARGEST = 720  # elements of a group: S6


@register_task("word_problem", family="state tracking", cites="merrill2024illusion")
@dataclasses.dataclass(frozen=True)
class WordProblem(Automaton):
    r"""The word problem of a group: the product of all elements so far.

    .. math:: y_t = x_t \circ y_{t-1}, \qquad \ln |G| \text{ nats}

    The inputs are elements of the group, all equally likely, and the running product counts at
    every step, as in Merrill et al. (2024); it is as evenly distributed as the elements. A group is
    named S5 (all permutations of five things), A5 (the even ones) or Z60 (rotations of a circle of
    sixty); ids follow the lexicographic order of permutations, 0 being the identity. The word
    problems of S5 and A5 are complete for NC1: linear cells with diagonal transitions, of whatever
    depth, cannot solve them at all lengths unless TC0 = NC1 (Merrill et al. 2024); S3 and Z60 are
    in TC0.

    With `moved=2` the inputs are only those that move at most two things, swaps and the identity,
    with 3 also cycles of three, as in Grazzi et al. (2025). The baseline then begins lower.
    """

    every_step: bool = True
    group: str = "S5"
    moved: int | None = None

    def __post_init__(self) -> None:
        """Raises UserError if the group has no such name, or is too large."""
        _elements(self.group)
        if self.moved is not None and self.group.startswith("Z"):
            raise UserError(
                f"word_problem: moved={self.moved} is for S and A, not for {self.group}"
            )
        if self.moved is not None and len(_moves(self.group, self.moved)) == 1:
            raise UserError(
                f"word_problem: but for the identity, no element of {self.group} moves "
                f"{self.moved} things or fewer: take a larger `moved`"
            )

    @property
    def machine(self) -> Machine:
        """States: the product. Its first is the identity."""
        return _machine(self.group, self.moved)


@functools.cache
def _elements(group: str) -> np.ndarray:
    """The permutations that make the group, shape [order, n], the identity first."""
    name = re.fullmatch(r"([SAZ])([1-9]\d*)", str(group))
    kind, n = (name[1], int(name[2])) if name else ("", 0)
    order = {"S": math.factorial(min(n, 20)), "A": math.factorial(min(n, 20)) // 2, "Z": n}.get(
        kind, 0
    )
    if not 2 <= order <= LARGEST:
        raise UserError(
            f"word_problem: group {group!r}: give S, A or Z and a number, such as S3, S5, A5 or "
            f"Z60, with 2 to {LARGEST} elements"
        )
    if kind == "Z":
        return (np.arange(n) + np.arange(n)[:, None]) % n
    every = np.array(list(itertools.permutations(range(n))))
    return every if kind == "S" else every[_inversions(every) % 2 == 0]


def _inversions(permutations: np.ndarray) -> np.ndarray:
    pairs = itertools.combinations(range(permutations.shape[1]), 2)
    return np.sum([permutations[:, i] > permutations[:, j] for i, j in pairs], axis=0)


def _moves(group: str, moved: int | None) -> np.ndarray:
    """The ids of the elements that are inputs."""
    elements = _elements(group)
    displaced = (elements != np.arange(elements.shape[1])).sum(axis=1)
    return np.flatnonzero(displaced <= (elements.shape[1] if moved is None else moved))


@functools.cache
def _machine(group: str, moved: int | None) -> Machine:
    elements = _elements(group)
    ids = {tuple(p): i for i, p in enumerate(elements.tolist())}
    moves = elements[_moves(group, moved)]
    products = moves[:, elements].swapaxes(0, 1)  # [Q, V, n]: the move after the state
    next = [[ids[tuple(p)] for p in row] for row in products.tolist()]
    return Machine(np.array(next), np.arange(len(elements)))
