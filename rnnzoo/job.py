"""What a training needs, read and checked before anything is made or written."""

from typing import Any, NamedTuple

import jax
import numpy as np

from rnnzoo import distributed, optimizers, runs, tensorboard
from rnnzoo.devices import cores, make_cpu_devices
from rnnzoo.errors import UserError, about
from rnnzoo.instruments.observe import CHARACTERS
from rnnzoo.train import Trainer, source
from rnnzoo.untyped import ConfigDict
from rnnzoo.vocabulary import Vocabulary


class Job(NamedTuple):
    """All that a training needs, checked before anything is made.

    Attributes:
      config: the run's.
      text: the training text's name, and its length in the vocabulary's units.
      vocabulary: of the training text.
      validation: the validation text's ids.
      observed: the beginning of it or, without it, of the training text: to look inside with.
      trainer: the trainer.
      checksum: SHA-256 of the whole corpus.
      drawing: the options of samples.
    """

    config: ConfigDict
    text: str
    vocabulary: Vocabulary
    validation: np.ndarray
    observed: np.ndarray
    trainer: Trainer
    checksum: str
    drawing: dict[str, Any]

    def learning_rate(self, epoch: int) -> float:
        """The learning rate at the end of an epoch, by the schedule."""
        o, pieces = self.config.optimizer, self.trainer.source.pieces
        updates = self.config.train.epochs * pieces
        steps = optimizers.Steps(o.step_factor, o.step_first, o.step_every)
        rate = optimizers.rate_schedule(o.learning_rate, updates, o.schedule, o.warmup, steps)
        return float(np.asarray(rate(epoch * pieces)))


def prepare(config: ConfigDict) -> Job:
    """Reads the text and makes the trainer; nothing is written.

    Raises:
      UserError: a mistake in the config.
    """
    if config.log.tensorboard and distributed.is_writer():
        tensorboard.check_installed()
    _make_devices(config.cpu_devices)
    drawing = runs.sample_options(config)
    whole, split = runs.read_text(config)
    vocabulary = whole.vocabulary_until(len(split.train), config.corpus.unknown)
    with about("the validation text"):
        validation = vocabulary.encode_again(split.validation, whole.vocabulary)
    with about("the test text"):
        vocabulary.encode_again(split.test, whole.vocabulary)
    with about("config.sample.prompt"):
        vocabulary.encode(config.sample.prompt)
    t = config.train
    ids = vocabulary.encode_again(split.train, whole.vocabulary)
    model = runs.make_model(config, len(vocabulary))
    stretches = source(ids, t.sampling, t.batch_size, t.truncation, t.max_subsequence_length)
    optimizer = optimizers.make(updates=t.epochs * stretches.pieces, **config.optimizer)
    if t.seed + config.seeds > 2**32:
        raise UserError(
            f"{config.seeds} seeds from train.seed {t.seed} on go beyond 2**32: lower one"
        )
    trainer = Trainer(
        model,
        optimizer,
        stretches,
        t.seed,
        config.cpu_devices,
        skip=t.not_finite == "skip",
        seeds=config.seeds,
        slices=t.shard_optimizer,
    )
    runs.check_memory(trainer.saved_shapes())
    text = f"{whole.name}: {len(split.train):,} {vocabulary.unit} to train on"
    observed = (validation if len(validation) > 1 else ids)[: CHARACTERS + 1]
    return Job(config, text, vocabulary, validation, observed, trainer, whole.sha256, drawing)


def _make_devices(count: int) -> None:
    make_cpu_devices(min(count, cores()))
    found = len(jax.local_devices())
    if jax.default_backend() == "cpu" and count > found:
        raise UserError(
            f"config.cpu_devices is {count}, and this process has {found} cores: lower it, or take "
            "0 for as many as are of use"
        )
