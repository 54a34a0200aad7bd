"""What a task is: sequences drawn from a random key, what is to be predicted of them, what is good.

Shapes: T time steps, B rows of a batch, D input features, V input symbols, K outputs.
"""

import abc
import dataclasses
import functools
from typing import ClassVar, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from rnnzoo.errors import UserError
from rnnzoo.loss import mean_loss
from rnnzoo.model import Reals

Length = TypeVar("Length", int, jax.Array)  # of a sequence, or of several


class Batch(NamedTuple):
    """Sequences side by side; those shorter than T are padded with zeros, of weight 0.

    Attributes:
      inputs: ids, int32, shape [T, B]; or reals, shape [T, B, D].
      targets: ids, int32, shape [T, B]; or reals, shape [T, B, K].
      weights: 1 where the target counts, else 0, shape [T, B].
    """

    inputs: jax.Array
    targets: jax.Array
    weights: jax.Array


class Ids(NamedTuple):
    """Whole numbers below `size`: as inputs V symbols, as outputs the K logits of a target."""

    size: int


@dataclasses.dataclass(frozen=True)
class Task(abc.ABC):
    """A source of sequences. Its fields are its options; equal tasks share compiled functions.

    A new task says its `inputs` (and `outputs`), draws one sequence in `draw`, and states in
    `marginals` (of ids) or `baseline` (of reals) what can be had without looking at the inputs.

    Attributes:
      train_lengths: shortest and longest sequence to train on, any length between equally likely.
      test_lengths: the same for the test; longer ones ask for generalisation in length.
    """

    train_lengths: ClassVar[tuple[int, int]] = (1, 40)
    test_lengths: ClassVar[tuple[int, int]] = (41, 256)

    @property
    @abc.abstractmethod
    def inputs(self) -> Ids | Reals:
        """What a time step's input is."""

    @property
    def outputs(self) -> Ids | Reals:
        """What is predicted: logits of as many classes, by cross-entropy, or reals, by their squares.

        As the inputs, if a task says nothing else.
        """
        return self.inputs

    @property
    def least_length(self) -> int:
        """The shortest sequence that there is."""
        return 1

    def steps(self, length: Length) -> Length:
        """The time steps of a sequence of that length, which may be an array."""
        return length

    @abc.abstractmethod
    def draw(self, key: jax.Array, length: jax.Array, steps: int) -> Batch:
        """Draws one sequence, without the axis B.

        Args:
          key: a JAX random key.
          length: its length, a number that may be traced.
          steps: T, at least `self.steps(length)`. What comes after those is erased by `sample`.
        """

    def sample(
        self, key: jax.Array, batch_size: int, length: int, shortest: int | None = None
    ) -> Batch:
        """Draws a batch: pure, compiled once for each size, and fit for `scan` and `vmap`.

        Args:
          key: a JAX random key.
          batch_size: B.
          length: of the longest sequences; T is `steps(length)`.
          shortest: each row has its own length, all from `shortest` to `length` being equally
            likely; None for `length` in every row.

        Raises:
          UserError: no sequence of the task is so short, or `shortest` is longer than `length`.
        """
        shortest = length if shortest is None else shortest
        if shortest < self.least_length:
            raise UserError(
                f"{self}: a length of {shortest} is too short: take {self.least_length} or more"
            )
        if shortest > length:
            raise UserError(f"lengths from {shortest} to {length}: give the shortest first")
        return _sample(self, key, batch_size, length, shortest)

    def marginals(self, length: int) -> np.ndarray:
        """How the target of each counted step is distributed, to whoever sees none of the inputs.

        Returns:
          Probabilities, shape [counted steps, K]; one row will do where they are all the same.
        """
        raise NotImplementedError(f"{type(self).__name__} states its baseline itself")

    def baseline(self, length: int) -> float:
        """The least mean loss without a look at the inputs: a model above it has learned nothing.

        Such a predictor knows the time step, the length, and which steps count. Of ids it can do no
        better than the targets' distribution at each step, in nats; of reals no better than their
        mean.
        """
        p = self.marginals(length)
        return float(-(p * np.log(np.where(p > 0, p, 1))).sum(axis=1).mean())

    def chance(self, length: int) -> float:
        """The best accuracy without a look at the inputs, of ids."""
        return float(self.marginals(length).max(axis=1).mean())

    def floor(self, length: int) -> float:
        """The least mean loss that is possible at all, as the generator itself would have it."""
        return 0.0

    def loss(self, outputs: jax.Array, batch: Batch) -> jax.Array:
        """The mean loss over the steps that count.

        Args:
          outputs: logits or reals, shape [T, B, K].
          batch: as from `sample`.

        Returns:
          A scalar: cross-entropy in nats, or the mean squared error.
        """
        return mean_loss(outputs, batch.targets, batch.weights)

    def metrics(self, outputs: jax.Array, batch: Batch) -> dict[str, jax.Array]:
        """Scalars by name: `loss` and, of ids, `accuracy` and `sequence_accuracy`.

        Accuracy is the fraction of the steps that count whose largest logit is the target's, that
        of sequences the fraction of rows all of whose counted steps are right.
        """
        found = {"loss": self.loss(outputs, batch)}
        if isinstance(self.outputs, Ids):
            right = outputs.argmax(axis=-1) == batch.targets
            counts = batch.weights > 0
            found["accuracy"] = (right & counts).sum() / jnp.maximum(counts.sum(), 1)
            whole = (right | ~counts).all(axis=0) & counts.any(axis=0)
            found["sequence_accuracy"] = whole.sum() / jnp.maximum(counts.any(axis=0).sum(), 1)
        return found


def uniform(classes: int, likely: int | None = None, rows: int = 1) -> np.ndarray:
    """The first `likely` of the classes, all if not given, equally likely: shape [rows, classes]."""
    likely = classes if likely is None else likely
    return np.tile((np.arange(classes) < likely) / likely, (rows, 1))


def at_least(task: Task, **least: int) -> None:
    """Checks options that are whole numbers.

    Raises:
      UserError: one is no whole number, or smaller than its least value.
    """
    for option, smallest in least.items():
        value = getattr(task, option)
        if isinstance(value, bool) or not isinstance(value, int) or value < smallest:
            raise UserError(
                f"{option} must be a whole number of at least {smallest}, not {value!r}"
            )


@functools.partial(jax.jit, static_argnums=(0, 2, 3, 4))
def _sample(task: Task, key, batch_size, length, shortest) -> Batch:
    length_key, key = jax.random.split(key)
    lengths = jax.random.randint(length_key, (batch_size,), shortest, length + 1)
    steps = task.steps(length)

    def row(key, length):
        drawn = task.draw(key, length, steps)
        inside = jnp.arange(steps) < task.steps(length)
        return jax.tree.map(lambda a: (a.T * inside).T.astype(a.dtype), drawn)

    return jax.vmap(row, out_axes=1)(jax.random.split(key, batch_size), lengths)
