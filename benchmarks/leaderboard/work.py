"""One cell on one task: sized, trained at each learning rate, measured."""

import functools
import math
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from benchmarks import report
from rnnzoo import corpus, registry, tasks
from rnnzoo import train as training
from rnnzoo.evaluate import evaluate
from rnnzoo.floors import fit
from rnnzoo.loss import NATS_PER_BIT
from rnnzoo.model import LanguageModel, language_model
from rnnzoo.tasks import learn

VALIDATED = 20_000  # characters of a text's validation part
CHOOSING_SEED = learn.TEST_SEED + 1  # of the sequences by which a learning rate is chosen
LONGER = (64, 128, 256)  # lengths beyond those of training, where a task asks for them


class Work(NamedTuple):
    """What a cell is measured at.

    Attributes:
      name: such as 'word_problem(group=S3)' or 'text:pydoc'.
      make_model: hidden size -> model, of a cell's name.
      make_source: batch size, updates -> what an epoch reads.
      choose: (model, params) -> a number, the less the better: for the learning rate.
      measure: (model, params) -> the results by length; of a text, 0 stands for the length.
      score: one such result -> 0 for nothing learned, 1 for all there is; of a text, the share of
        the entropy of single characters that is gone.
    """

    name: str
    make_model: Callable[[str, int], LanguageModel]
    make_source: Callable[[int, int], training.Source]
    choose: Callable[[LanguageModel, Any], float]
    measure: Callable[[LanguageModel, Any], dict[int, dict[str, float]]]
    score: Callable[[dict[str, float], int], float]


def of_task(name: str, options: dict[str, Any], embedding_size: int = 0) -> Work:
    """The work of a registered task, whose cells read inputs of so many numbers.

    Raises:
      UserError: no such task or option.
    """
    task = tasks.make(name, **options)
    inside, (_, longest) = task.train_lengths[1], task.test_lengths
    lengths = [inside, *(n for n in LONGER if inside < n <= longest)]
    shown = ",".join(f"{key}={value}" for key, value in options.items())

    def make_model(cell: str, hidden_size: int) -> LanguageModel:
        return learn.task_model(task, lambda: registry.make(cell, hidden_size), embedding_size)

    def score(result: dict[str, float], length: int) -> float:
        if "accuracy" in result:
            chance = task.chance(length)
            return (result["accuracy"] - chance) / (1 - chance)
        return 1 - result["loss"] / task.baseline(length)

    return Work(
        f"{name}({shown})" if shown else name,
        make_model,
        functools.partial(learn.source, task),
        lambda model, params: learn.measure(model, params, task, inside, CHOOSING_SEED)["loss"],
        lambda model, params: {n: learn.measure(model, params, task, n) for n in lengths},
        score,
    )


def of_text(source: str, truncation: int, embedding_size: int = 0) -> Work:
    """Character modelling on a text: nine tenths to train on, the last for validation.

    Args:
      source: a name of `corpus.names()`, or a file.
      truncation: characters of a piece.
      embedding_size: of what cells read; 0 for one-hot characters.

    Raises:
      UserError: it cannot be read.
    """
    found = corpus.find(source)
    train, validation, _ = corpus.split(found.ids, (0.9, 0.1, 0.0))
    size = len(found.vocabulary)
    train, validation = np.asarray(train), np.asarray(validation)[: 2 * VALIDATED]
    single = fit(train, size, 1, "witten_bell").probabilities(validation)
    unigram = float(-np.log2(single).mean())

    def make_source(batch_size: int, updates: int) -> training.Source:
        length = min(updates * truncation, len(train) - 1)
        return training.source(train, "subsequence", batch_size, truncation, length)

    def bits(model: LanguageModel, params: Any, text: np.ndarray) -> float:
        return evaluate(model, params, text) / NATS_PER_BIT

    return Work(
        f"text:{found.name}",
        lambda cell, H: language_model(lambda: registry.make(cell, H), size, embedding_size),
        make_source,
        lambda model, params: bits(model, params, validation[VALIDATED:]),
        lambda model, params: {0: {"bpc": bits(model, params, validation[:VALIDATED])}},
        lambda result, _: 1 - result["bpc"] / unigram,
    )


def works(config: ConfigDict, wanted: Sequence[tuple[str, dict]]) -> list[Work]:
    """All of a board's work: the tasks that are wanted, and the corpora of the config."""
    E = config.embedding_size
    texts = [of_text(source, config.truncation, E) for source in config.corpora]
    return [of_task(name, options, E) for name, options in wanted] + texts


class Job(NamedTuple):
    """What a row is measured from.

    Attributes:
      cell: a registered name.
      index: of the work, among `works(config, wanted)`.
      config: see `benchmarks.leaderboard.budget`.
      wanted: the tasks.
      modules: that register cells.
    """

    cell: str
    index: int
    config: ConfigDict
    wanted: Sequence[tuple[str, dict]]
    modules: Sequence[str] = ()

    def begin(self) -> tuple[Work, int, learn.Learner]:
        """The work, the cell's hidden size for it, and what trains it.

        Raises:
          UserError: the cell cannot be made so small, or does not fit.
        """
        for module in self.modules:
            registry.load_module(module)
        config, work = self.config, works(self.config, self.wanted)[self.index]
        make_model = functools.partial(work.make_model, self.cell)
        hidden_size = learn.matched_size(make_model, config.parameters)
        source = work.make_source(config.batch_size, config.updates // learn.POINTS)
        return work, hidden_size, learn.Learner(make_model(hidden_size), source, config.seeds)


def _steps(learner: learn.Learner) -> int:
    """The time steps of an epoch, of all seeds and rows."""
    source = learner.source
    return learner.seeds * source.pieces * source.batch_size * source.reading.truncation


def speed(job: Job) -> dict[str, Any]:
    """The speed of a row, of three epochs of its training.

    Raises:
      UserError: see `Job.begin`.
    """
    work, _, learner = job.begin()
    trainer, seconds = learner.trainer, []
    state = trainer.start()
    for epoch in range(1, 4):
        begun = time.perf_counter()
        state, _ = trainer.epoch(state, epoch)
        seconds.append(time.perf_counter() - begun)
    return {
        "cell": job.cell,
        "task": work.name,
        "steps_per_second": _steps(learner) / statistics.median(seconds),
        "timed_on": report.device(),
    }


def measure(job: Job) -> dict[str, Any]:
    """A cell's row: of each seed at the best learning rate, results and scores by length.

    Raises:
      UserError: see `Job.begin`.
    """
    config = job.config
    work, hidden_size, learner = job.begin()
    model = learner.model
    begun = time.perf_counter()
    trained = []
    for rate in config.learning_rates:
        seconds = time.perf_counter()
        params, curve = learner.train(rate)
        seconds = time.perf_counter() - seconds
        losses = [work.choose(model, p) for p in params]
        mean = float(np.mean(losses)) if np.isfinite(losses).all() else math.inf
        trained.append((mean, rate, params, curve, seconds))
    _, rate, params, curve, seconds = min(trained, key=lambda found: found[0])
    results = [work.measure(model, p) for p in params]
    return {
        "cell": job.cell,
        "task": work.name,
        "hidden_size": hidden_size,
        "parameters": learn.parameters(model),
        "learning_rate": rate,
        "losses_by_rate": {str(found[1]): found[0] for found in trained},
        "results": [{str(n): r for n, r in result.items()} for result in results],
        "scores": [{str(n): work.score(r, n) for n, r in result.items()} for result in results],
        "curve": [[round(x, 5) for x in point] for point in curve],
        "steps_per_second": learn.POINTS * _steps(learner) / seconds,
        "seconds": time.perf_counter() - begun,
        "versions": {"jax": jax.__version__},
        "device": report.device(),
    }
