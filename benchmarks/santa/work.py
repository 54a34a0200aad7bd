"""One cell at the exercise's recipe: `configs/santa.py`, but for the text's split."""

import re
import statistics
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from benchmarks import floors, report
from rnnzoo import cache, corpus, optimizers, registry, train
from rnnzoo import config as configs
from rnnzoo.encoding import Part, encode
from rnnzoo.evaluate import evaluate
from rnnzoo.loss import bits_per_character
from rnnzoo.model import count_parameters, language_model

EVERY = 50  # epochs between two points of a curve
OPTIMIZER = ("name", "learning_rate", "schedule", "warmup", "clip_norm")  # what the recipe sets
# The last line before a book of Project Gutenberg, and the first after it.
_BOOK = re.compile(
    r"^\*\*\* ?START OF TH.*?\*\*\*\n(.*?)^(?:End of (?:the )?Project Gutenberg|\*\*\* ?END OF TH)",
    re.DOTALL | re.MULTILINE,
)


class Text(NamedTuple):
    """The book, cut in two.

    Attributes:
      found: the whole, without what Project Gutenberg put around it.
      train: the ids of its first nine tenths.
      validation: those of the last.
      size: V, of the vocabulary: the characters of `train`, and an unknown one if it takes one.
    """

    found: corpus.Corpus
    train: np.ndarray
    validation: np.ndarray
    size: int


def read(name: str) -> Text:
    """The book without its licence, which would be all of the last tenth.

    Args:
      name: of a corpus, or a file; one that is not of Project Gutenberg is taken whole.

    Raises:
      UserError: see `rnnzoo.corpus.find`.
    """
    found = corpus.find(name)
    if book := _BOOK.search(str(found.text)):
        part = Part(found.name, book[1].strip().encode())
        encoded = encode(found.name, [part], "characters", cache.folder())
        found = corpus.Corpus(
            found.name, encoded.sha256, encoded.vocabulary, encoded.ids, encoded.first
        )
    vocabulary, train_ids, validation_ids = floors.cut(found)
    return Text(found, train_ids, validation_ids, len(vocabulary))


def measure(cell: str, seed: int, epochs: Sequence[int], name: str, modules: Sequence[str]):
    """Trains a cell, and says what it makes of the last tenth after so many epochs.

    Args:
      cell: a registered name.
      seed: of the training.
      epochs: when to say so; the last ends the training, and the learning rate falls as it does in
        the recipe whenever that is.
      name: of the text, see `read`.
      modules: that register cells.

    Returns:
      The cell's row; of what is not finite from some epoch on, None.
    """
    for module in modules:
        registry.load_module(module)
    config, text = configs.load("santa"), read(name)
    H, t, begun = config.cell.hidden_size, config.train, time.perf_counter()
    model = language_model(lambda: registry.make(cell, H), text.size)
    source = train.source(
        text.train, t.sampling, t.batch_size, t.truncation, t.max_subsequence_length
    )
    optimizer = optimizers.make(updates=t.epochs * source.pieces, **config.optimizer)
    trainer = train.Trainer(model, optimizer, source, seed)
    state = trainer.start()
    compiled = time.perf_counter() - begun
    curve, bits, losses, speeds = [], {}, [], []
    for epoch in range(1, max(epochs) + 1):
        state, outcome = trainer.epoch(state, epoch)
        if not outcome.finite:
            break
        losses.append(outcome.loss)
        speeds.append(outcome.chars_per_second)
        if epoch % EVERY == 0 or epoch in epochs:
            found = bits_per_character(evaluate(model, trainer.params(state), text.validation))
            curve.append([epoch, bits_per_character(statistics.fmean(losses)), found])
            losses = []
            if epoch in epochs:
                bits[str(epoch)] = found
    return {
        "cell": cell,
        "seed": seed,
        "parameters": count_parameters(trainer.params(state)),
        "bits": {str(epoch): bits.get(str(epoch)) for epoch in epochs},
        "finite_epochs": len(speeds),
        "curve": [[round(x, 5) for x in point] for point in curve],
        "characters_per_second": statistics.median(speeds) if speeds else None,
        "compile_seconds": compiled,
        "seconds": time.perf_counter() - begun,
        "device": report.device(),
        "versions": {"jax": jax.__version__},
    }


def recipe() -> dict[str, Any]:
    """What all rows have in common."""
    config = configs.load("santa")
    return {
        "hidden_size": config.cell.hidden_size,
        "batch_size": config.train.batch_size,
        "truncation": config.train.truncation,
        "max_subsequence_length": config.train.max_subsequence_length,
        "optimizer": {key: config.optimizer[key] for key in OPTIMIZER},
        "schedule_epochs": config.train.epochs,
        "split": list(floors.SPLIT),
    }
