"""Tasks learned by rnnzoo's own trainer: fresh sequences at every update, several seeds at once.

    task = make("parity")
    parity = learner(task, lambda: rnnzoo.make("lstm", 32), updates=2000, batch_size=32, seeds=3)
    params, curve = parity.train(learning_rate=3e-3)     # of each seed
    measure(parity.model, params[0], task, length=256)

Nothing is carried from update to update: each begins from the model's initial state, and the gradient
goes through the whole sequence.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, ClassVar

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from rnnzoo import batches, distributed, optimizers
from rnnzoo.devices import ROWS
from rnnzoo.errors import UserError
from rnnzoo.model import LanguageModel, Params, Reals, count_parameters, sequence_model
from rnnzoo.tasks.base import Task
from rnnzoo.train import Source, Trainer

POINTS = 20  # of a learning curve
MEASURED = 512  # sequences that a measurement is taken on
MEASURED_AT_ONCE = 2**16  # time steps of all their rows
TEST_SEED = 2**30  # of what is measured on; no training has it


@dataclasses.dataclass(frozen=True)
class TaskReading:
    """How the trainer reads a task: each piece is a batch of whole, fresh sequences.

    Attributes:
      task: the task.
      lengths: of the shortest and the longest sequence.
    """

    task: Task
    lengths: tuple[int, int]
    carried: ClassVar[bool] = False

    @property
    def truncation(self) -> int:
        """T, the time steps of the longest sequence."""
        return self.task.steps(self.lengths[1])

    def read(self, stretch: batches.Stretch, key: jax.Array, index: jax.Array) -> batches.Piece:
        """See `rnnzoo.update.Reading`."""
        del index
        shortest, longest = self.lengths
        rows = len(stretch.starts)
        drawn = self.task.sample(jax.random.fold_in(key, 0), rows, longest, shortest)
        return batches.Piece(*drawn)

    def count(self, piece: batches.Piece, lengths: jax.Array, index: jax.Array) -> jax.Array:
        """See `rnnzoo.update.Reading`."""
        del lengths, index
        return lax.psum(piece.weights.sum(), ROWS)


def source(
    task: Task, batch_size: int, updates: int, lengths: tuple[int, int] | None = None
) -> Source:
    """A source of so many batches of a task, for `rnnzoo.train.Trainer`; there is no text in it.

    Args:
      task: the task.
      batch_size: B.
      updates: of an epoch.
      lengths: of the shortest and the longest sequence; None for the task's own.
    """
    nothing = functools.cache(functools.partial(distributed.place, np.zeros(1, np.int32)))
    rows = np.zeros(batch_size, int), np.zeros(batch_size, int)
    shortest, longest = lengths or task.train_lengths
    reading = TaskReading(task, (max(shortest, task.least_length), longest))
    return Source(nothing, lambda key: rows, updates, batch_size, reading)


def task_model(
    task: Task, make_core: Callable[[], hk.RNNCore], embedding_size: int = 0
) -> LanguageModel:
    """The model that reads a task's inputs and gives its outputs at every step.

    Args:
      task: the task.
      make_core: makes the core; called inside `hk.transform`.
      embedding_size: of what the core reads; 0 for one-hot symbols, or the reals as they are.
    """
    inputs = task.inputs
    symbols = inputs if isinstance(inputs, Reals) else inputs.size
    return sequence_model(make_core, task.outputs.size, symbols, embedding_size)


@functools.cache
def rated_adam(updates: int) -> optax.GradientTransformation:
    """Adam behind clipping, whose learning rate is a number in its state and falls as a cosine to 0.

    So one compiled training serves all learning rates, and all learners of one model.
    """
    adam = optimizers.make("adam", 1.0, updates, schedule="cosine")
    return optax.inject_hyperparams(lambda rate: optax.chain(adam, optax.scale(rate)))(rate=1.0)


@dataclasses.dataclass(frozen=True)
class Learner:
    """A model trained from several seeds at once, with a curve of its losses.

    Attributes:
      model: the model.
      source: what an epoch reads; `POINTS` epochs are a training.
      seeds: how many.
      seed: the first of them.
    """

    model: LanguageModel
    source: Source
    seeds: int = 3
    seed: int = 0

    @functools.cached_property
    def trainer(self) -> Trainer:
        """The trainer; an update whose loss or gradient is not finite is passed over."""
        optimizer = rated_adam(POINTS * self.source.pieces)
        return Trainer(self.model, optimizer, self.source, self.seed, skip=True, seeds=self.seeds)

    def train(self, learning_rate: float) -> tuple[list[Params], list[list[float]]]:
        """Trains from all seeds.

        Returns:
          The parameters of each seed; and the curve, for each epoch the mean loss of each seed, NaN
          where no update of the epoch was finite.
        """
        state = self.trainer.start()
        injected: Any = state.optimizer_state
        rates = {"rate": jnp.full_like(injected.hyperparams["rate"], learning_rate)}
        state = state._replace(optimizer_state=injected._replace(hyperparams=rates))
        curve = []
        for epoch in range(1, POINTS + 1):
            state, outcome = self.trainer.epoch(state, epoch)
            curve.append(list(outcome.losses))
        return [self.trainer.params(state, i) for i in range(self.seeds)], curve


def learner(
    task: Task,
    make_core: Callable[[], hk.RNNCore],
    updates: int,
    batch_size: int,
    seeds: int,
    lengths: tuple[int, int] | None = None,
) -> Learner:
    """What trains a cell on a task.

    Args:
      task: the task.
      make_core: makes the core; called inside `hk.transform`.
      updates: of a training; rounded down to a multiple of `POINTS`.
      batch_size: B, sequences of an update.
      seeds: how many.
      lengths: of the shortest and the longest sequence; None for the task's own.

    Raises:
      UserError: there are too few updates for a curve.
    """
    if updates < POINTS:
        raise UserError(f"{updates} updates are too few: give {POINTS} or more")
    read = source(task, batch_size, updates // POINTS, lengths)
    return Learner(task_model(task, make_core), read, seeds)


def measure(
    model: LanguageModel,
    params: Params,
    task: Task,
    length: int,
    seed: int = TEST_SEED,
    shortest: int | None = None,
) -> dict[str, float]:
    """The task's metrics on sequences that training never saw.

    Args:
      model: the model.
      params: its parameters.
      task: the task.
      length: of the longest sequences.
      seed: what to draw them with.
      shortest: of the shortest, see `Task.sample`; None for `length`.
    """
    rows = max(1, min(MEASURED, MEASURED_AT_ONCE // task.steps(length)))
    measured = _measure(model, params, task, seed, rows, length, shortest)
    return {name: float(value) for name, value in measured.items()}


@functools.partial(jax.jit, static_argnames=("model", "task", "rows", "length", "shortest"))
def _measure(model, params, task, seed, rows, length, shortest):
    batch = task.sample(jax.random.key(seed), rows, length, shortest)
    key = jax.random.key(0) if model.needs_key(params) else None
    outputs, _ = model.apply(params, key, batch.inputs, model.initial_state(params, rows))
    return task.metrics(outputs, batch)


def parameters(model: LanguageModel) -> int:
    """How many parameters a model has."""
    return count_parameters(jax.eval_shape(model.init, jax.random.key(0)))


def matched_size(make_model: Callable[[int], LanguageModel], wanted: int, multiple: int = 8) -> int:
    """The hidden size whose model has nearest to so many parameters.

    Args:
      make_model: hidden size -> model; more units must mean more parameters.
      wanted: how many parameters.
      multiple: sizes are multiples of it, for cells whose heads share the units.

    Raises:
      UserError: even the smallest size has twice as many.
    """

    @functools.cache
    def count(factor: int) -> int:
        return parameters(make_model(factor * multiple))

    if count(1) > 2 * wanted:
        raise UserError(
            f"{multiple} hidden units already have {count(1):,} parameters, and {wanted:,} are "
            "wanted: ask for more"
        )
    low = 1
    while count(2 * low) < wanted:
        low *= 2
    high = 2 * low
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count(middle) <= wanted else (low, middle)
    return multiple * min((low, high), key=lambda factor: abs(count(factor) - wanted))
