"""Tasks that a finite automaton solves: it reads a word, and its state says what the answer is."""

import abc
import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnnzoo.tasks.base import Batch, Ids, Task


class Machine(NamedTuple):
    """A finite automaton with Q states and V symbols; it starts in state 0.

    Attributes:
      next: the state after a state and a symbol, int, shape [Q, V].
      labels: each state's answer, one of K, int, shape [Q].
    """

    next: np.ndarray
    labels: np.ndarray


@dataclasses.dataclass(frozen=True)
class Automaton(Task):
    """A task whose inputs are a random word, and whose targets are a machine's answers to it.

    Attributes:
      every_step: whether the answer to each prefix of the word counts; else that to the word alone,
      at
        its last symbol.
    """

    every_step: bool = False

    @property
    @abc.abstractmethod
    def machine(self) -> Machine:
        """The automaton."""

    @property
    def inputs(self) -> Ids:
        """The machine's symbols."""
        return Ids(self.machine.next.shape[1])

    @property
    def outputs(self) -> Ids:
        """The machine's answers."""
        return Ids(int(self.machine.labels.max()) + 1)

    def word(self, key: jax.Array, length: jax.Array, steps: int) -> jax.Array:
        """Draws a word, int32, shape [steps]: each symbol by itself, all equally likely."""
        return jax.random.randint(key, (steps,), 0, self.inputs.size, jnp.int32)

    def symbols(self, steps: int) -> np.ndarray:
        """The probabilities of each step's symbols in `word`, shape [steps, V]."""
        return np.full((steps, self.inputs.size), 1 / self.inputs.size)

    def answered(self, steps: int) -> np.ndarray:
        """Whether the prefix that ends at a step has an answer, shape [steps]."""
        return np.full(steps, True)

    def draw(self, key: jax.Array, length: jax.Array, steps: int) -> Batch:
        """See `Task.draw`."""
        next, labels = (jnp.asarray(a, jnp.int32) for a in self.machine)
        word = self.word(key, length, steps)

        def step(state, symbol):
            state = next[state, symbol]
            return state, state

        _, states = jax.lax.scan(step, jnp.int32(0), word)
        counts = self.answered(steps)
        if not self.every_step:
            counts = jnp.arange(steps) == self.steps(length) - 1
        return Batch(word, labels[states], jnp.asarray(counts, float))

    def marginals(self, length: int) -> np.ndarray:
        """See `Task.marginals`: the distribution of the state, step by step."""
        steps = self.steps(length)
        next = self.machine.next
        rows, states = [], np.eye(len(next))[0]
        for p in self.symbols(steps):
            states = np.bincount(next.ravel(), np.outer(states, p).ravel(), len(next))
            rows.append(np.bincount(self.machine.labels, states, self.outputs.size))
        return np.array(rows)[self.answered(steps)] if self.every_step else np.array(rows[-1:])
