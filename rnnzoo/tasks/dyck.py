"""Brackets: what is open has to be closed in the reverse order, which takes a stack."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from rnnzoo.tasks.base import Batch, Ids, Task, at_least, uniform
from rnnzoo.tasks.registry import register_task


@register_task("dyck", family="stack", cites="hewitt2020rnns")
@dataclasses.dataclass(frozen=True)
class Dyck(Task):
    r"""Dyck-k: which of k kinds of brackets closes next, at most m deep.

    .. math:: \ln k \text{ nats}

    The next character is to be predicted. Brackets open and close with equal probability, except
    that at depth 0 one opens, and at depth m one closes; an opening bracket is of any of the k
    kinds (ids 0 to k - 1), and what closes (ids k to 2k - 1) is the last one open. The text goes on
    after it is balanced: a word of Hewitt et al. (2020) after the other, without their symbol for
    the end. By default only steps count whose next character closes: their metric, asked for the
    kind alone, equally likely without the inputs.

    With `closings_only=False` every step counts. The floor is then the entropy of the generator: ln
    k nats at depth 0, none at depth m, else ln 2 + (1/2) ln k, weighted with how likely each depth
    is at each step. The baseline is ln k plus the entropy of whether a bracket opens.
    """

    kinds: int = 2
    depth: int = 5
    closings_only: bool = True

    def __post_init__(self) -> None:
        """Raises UserError if there are no brackets."""
        at_least(self, kinds=1, depth=1)

    @property
    def inputs(self) -> Ids:
        """Opening brackets, then closing ones."""
        return Ids(2 * self.kinds)

    def draw(self, key: jax.Array, length: jax.Array, steps: int) -> Batch:
        """See `Task.draw`."""
        open_key, kind_key = jax.random.split(key)
        coins = jax.random.bernoulli(open_key, shape=(steps + 1,))
        kinds = jax.random.randint(kind_key, (steps + 1,), 0, self.kinds, jnp.int32)

        def step(state, drawn):
            depth, stack = state
            coin, kind = drawn
            opens = ((depth == 0) | coin) & (depth < self.depth)
            character = jnp.where(opens, kind, self.kinds + stack[depth - 1])
            stack = stack.at[depth].set(jnp.where(opens, kind, stack[depth]))
            return (depth + jnp.where(opens, 1, -1), stack), character

        start = jnp.int32(0), jnp.zeros(self.depth + 1, jnp.int32)
        _, text = jax.lax.scan(step, start, (coins, kinds))
        counts = (text[1:] >= self.kinds) | (not self.closings_only)
        return Batch(text[:-1], text[1:], counts.astype(float))

    def _depths(self, length: int) -> np.ndarray:
        """How likely each depth is after 1, ..., `length` characters, shape [length, m + 1]."""
        m = self.depth
        opens = np.concatenate([[1], np.full(m - 1, 0.5), [0]])
        rows = [np.eye(m + 1)[0]]
        for _ in range(length):
            up, down = rows[-1] * opens, rows[-1] * (1 - opens)
            rows.append(np.roll(up, 1) + np.roll(down, -1))
        return np.array(rows[1:])

    def marginals(self, length: int) -> np.ndarray:
        """See `Task.marginals`."""
        k = self.kinds
        if self.closings_only:
            return uniform(2 * k, k)[:, ::-1]
        depths = self._depths(length)
        opens = depths[:, :1] + depths[:, 1:-1].sum(axis=1, keepdims=True) / 2
        return np.repeat(np.concatenate([opens, 1 - opens], axis=1) / k, k, axis=1)

    def floor(self, length: int) -> float:
        """See `Task.floor`: the generator's entropy; 0 if only closings count."""
        if self.closings_only:
            return 0.0
        between = np.log(2) + np.log(self.kinds) / 2
        nats = np.array([np.log(self.kinds), *[between] * (self.depth - 1), 0.0])
        return float((self._depths(length) @ nats).mean())
