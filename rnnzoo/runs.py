"""A run: the folder that holds a training's config, vocabulary, parameters and report.

`train` makes one, `sample` and `evaluate` read one.

    runs/pydoc-gru/
      config.json  vocabulary.json
      best/  last/                     parameters; `best` only if there was a validation
      metrics.jsonl  samples.txt  curves.png
"""

import contextlib
import itertools
import math
import pathlib
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import jax
from ml_collections import ConfigDict

from rnnzoo import checkpoint, corpus, optimizers, registry, sampler
from rnnzoo import config as configs
from rnnzoo.devices import make_cpu_devices
from rnnzoo.errors import UserError
from rnnzoo.evaluate import evaluate as evaluate_text
from rnnzoo.model import LanguageModel, Params, language_model
from rnnzoo.report import Report
from rnnzoo.train import Trainer, source
from rnnzoo.vocabulary import Vocabulary

ROOT = pathlib.Path("runs")
CONFIG, VOCABULARY, BEST, LAST = "config.json", "vocabulary.json", "best", "last"


class Run(NamedTuple):
    """A trained model with all that belongs to it.

    Attributes:
      folder: the run's.
      config: of the training.
      vocabulary: of the training's text.
      model: the language model.
      params: its best parameters by validation loss; without a validation, the last.
    """

    folder: pathlib.Path
    config: ConfigDict
    vocabulary: Vocabulary
    model: LanguageModel
    params: Params


def open_run(folder: str | pathlib.Path, cell_modules: Sequence[str] = ()) -> Run:
    """Reads a run from its folder; modules that register cells may be given besides its own.

    Raises:
      UserError: it is no run, or its parts do not fit together.
    """
    folder = pathlib.Path(folder)
    if not (folder / CONFIG).exists():
        raise UserError(f"{str(folder)!r} holds no run, there is no {CONFIG} in it: {_newest()}")
    config = configs.load(str(folder / CONFIG))
    config.cell.modules += tuple(cell_modules)
    vocabulary = Vocabulary.load(folder / VOCABULARY)
    model = make_model(config, len(vocabulary))
    best = folder / BEST
    params = checkpoint.restore(best if best.exists() else folder / LAST, model)
    return Run(folder, config, vocabulary, model, params)


def find_folder(workdir: str | None) -> pathlib.Path:
    """The folder of the run to read.

    Raises:
      UserError: none is given; it names the newest.
    """
    if workdir is None:
        raise UserError(f"this mode reads a run: give its --workdir; {_newest()}")
    return pathlib.Path(workdir)


def _newest() -> str:
    found = sorted(ROOT.glob(f"*/{CONFIG}"), key=lambda path: path.stat().st_mtime)
    return f"the newest run is {found[-1].parent}" if found else f"there is none in {ROOT}/ yet"


def make_model(config: ConfigDict, vocabulary_size: int) -> LanguageModel:
    """The language model of a config; its cells are imported and tried out.

    Raises:
      UserError: a cell, module or option that does not exist, or does not fit.
    """
    for module in dict.fromkeys(config.cell.modules):
        registry.load_module(module)
    names = [name.strip() for name in config.cell.name.split(",")]
    cell = config.cell

    def make_core():
        return registry.make(names, cell.hidden_size, layers=cell.layers, **cell.options)

    model = language_model(make_core, vocabulary_size, config.model.embedding_size)
    jax.eval_shape(model.init, jax.random.key(0))
    return model


def sample_options(config: ConfigDict) -> dict:
    """The section `sample` as arguments of `sampler.sample`.

    Raises:
      UserError: a value is out of its range.
    """
    options = {**config.sample, "top_k": config.sample.top_k or None}
    with _about("config.sample"):
        sampler.Options(**{k: v for k, v in options.items() if k != "prompt"})
    return options


def read_text(config: ConfigDict) -> tuple[corpus.Corpus, corpus.Split]:
    """The corpus of a config, whole and in its parts.

    Raises:
      UserError: it cannot be read, or not be split.
    """
    c = config.corpus
    found = corpus.load(c.name, c.path, c.unit, c.cache_dir)
    return found, corpus.split(found.text, c.split)


def evaluate(run: Run, part: str | None = None) -> dict[str, float]:
    """The loss over parts of the run's text.

    Args:
      run: from `open_run`.
      part: 'train', 'validation' or 'test'; None for all that training did not see or, if it saw
        all, for 'train'.

    Returns:
      Nats per character of each part.

    Raises:
      UserError: the part is empty, or has characters outside the vocabulary.
    """
    _, split = read_text(run.config)
    parts = [part] if part else [p for p in ("validation", "test") if getattr(split, p)]
    losses = {}
    for part in parts or ["train"]:
        if not (text := getattr(split, part)):
            raise UserError(f"config.corpus.split {run.config.corpus.split} has no {part} part")
        with _about(f"the {part} text"):
            losses[part] = evaluate_text(run.model, run.params, run.vocabulary.encode(text))
    return losses


def train(config: ConfigDict, workdir: str | pathlib.Path | None = None) -> pathlib.Path:
    """Trains a model and leaves a run; whatever can be found wrong is found before.

    Ctrl-C stops it at the next occasion, with the parameters saved.

    Args:
      config: from `rnnzoo.config`.
      workdir: the run's folder, a new one; None for runs/<corpus>-<cell>.

    Returns:
      The run's folder.

    Raises:
      UserError: a mistake in the config; or a loss that is not finite, with the last good
        parameters saved.
      KeyboardInterrupt: Ctrl-C, after saving.
    """
    make_cpu_devices(config.cpu_devices)
    drawing = sample_options(config)
    _check_free(workdir)
    whole, split = read_text(config)
    vocabulary = Vocabulary.of(split.train, config.corpus.unknown)
    with _about("the validation text"):
        validation = vocabulary.encode(split.validation)
    with _about("the test text"):
        vocabulary.encode(split.test)
    with _about("config.sample.prompt"):
        vocabulary.encode(config.sample.prompt)
    trainer = _make_trainer(config, vocabulary, vocabulary.encode(split.train))
    folder = _new_folder(workdir, f"{whole.name}-{config.cell.name}")
    configs.save(config, folder / CONFIG)
    vocabulary.save(folder / VOCABULARY)

    epochs, every = config.train.epochs, config.train.evaluate_every
    best = math.inf
    with Report(folder, epochs, trainer.source.pieces) as report, _interruption() as interrupted:
        report.say(f"{whole.name}: {len(split.train):,} {vocabulary.unit} to train on, {folder}")
        begun = time.perf_counter()
        state = trainer.start()
        seconds = time.perf_counter() - begun
        parameters = sum(leaf.size for leaf in jax.tree.leaves(state.params))
        shares = f" for {devices} devices" if (devices := trainer.mesh.size) > 1 else ""
        report.say(
            f"{config.cell.name}: {parameters:,} parameters, compiled in {seconds:.1f} s{shares}"
        )
        for epoch in range(1, epochs + 1):

            def keep_going(pieces, epoch=epoch):
                report.progress(epoch, pieces)
                return not interrupted()

            state, outcome = trainer.epoch(state, epoch, keep_going)
            if not outcome.finite or interrupted():
                checkpoint.save(folder / LAST, trainer.params(state))
                raise _stopped(folder, epoch, outcome)
            loss = None
            if len(validation) and every and (epoch % every == 0 or epoch == epochs):
                loss = evaluate_text(trainer.model, trainer.params(state), validation)
                if loss < best:
                    best = loss
                    checkpoint.save(folder / BEST, trainer.params(state))
            row = report.record(epoch, outcome.loss, outcome.chars_per_second, loss)
            if epoch % config.train.log_every == 0 or epoch == epochs:
                params = trainer.params(state)
                checkpoint.save(folder / LAST, params)
                samples = sampler.sample(trainer.model, params, vocabulary, **drawing)
                report.log(row, samples)
    return folder


def _make_trainer(config: ConfigDict, vocabulary: Vocabulary, ids) -> Trainer:
    t = config.train
    model = make_model(config, len(vocabulary))
    stretches = source(ids, t.sampling, t.batch_size, t.truncation, t.max_subsequence_length)
    optimizer = optimizers.make(updates=t.epochs * stretches.pieces, **config.optimizer)
    return Trainer(model, optimizer, stretches, t.seed, config.cpu_devices)


def _stopped(folder: pathlib.Path, epoch: int, outcome) -> BaseException:
    where = f"in epoch {epoch} after {outcome.pieces} pieces; parameters saved in {folder / LAST}"
    if outcome.finite:
        return KeyboardInterrupt(f"stopped {where}")
    return UserError(
        f"the loss or its gradient is no finite number any more, {where}: "
        "lower optimizer.learning_rate or optimizer.clip_norm"
    )


def _check_free(workdir: str | pathlib.Path | None) -> None:
    if workdir is not None and (pathlib.Path(workdir) / CONFIG).exists():
        raise UserError(f"{str(workdir)!r} holds a run already: give another --workdir")


def _new_folder(workdir: str | pathlib.Path | None, name: str) -> pathlib.Path:
    """Makes the run's folder; without a workdir, one of a name not yet taken."""
    if workdir is not None:
        folder = pathlib.Path(workdir)
    else:
        name = re.sub(r"[^\w.+-]+", "_", name.replace(",", "+"))
        names = (name if n == 1 else f"{name}-{n}" for n in itertools.count(1))
        folder = next(ROOT / n for n in names if not (ROOT / n).exists())
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / CONFIG).touch()
    except OSError as e:
        raise UserError(f"workdir {str(folder)!r} cannot be written: {e.strerror}") from e
    return folder


@contextlib.contextmanager
def _about(what: str):
    """Says in a UserError what it is about."""
    try:
        yield
    except UserError as e:
        raise UserError(f"{what}: {e}") from e


@contextlib.contextmanager
def _interruption() -> Iterator[Callable[[], bool]]:
    """A function that tells whether Ctrl-C was pressed; pressed twice, it interrupts at once."""
    pressed = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False  # only the main thread hears signals
        return

    def press(*_):
        pressed.append(True)
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, press)
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, before)
