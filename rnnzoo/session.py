"""One training, from its config to its end, whatever interrupts it on the way.

The run folder holds all that is needed to go on: `train` on a folder that has a run in it resumes
that run from its newest whole checkpoint, and ends in the same losses and parameters, to the bit, as
a training that nothing interrupted.

Of several processes (`rnnzoo.distributed`), all compute and the writer alone has the folder. What
decides their way, such as a signal, they agree on, since each waits for the others at every step.
"""

import contextlib
import functools
import hashlib
import json
import math
import pathlib
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import filelock
import jax
import numpy as np
from ml_collections import ConfigDict

from rnnzoo import config as configs
from rnnzoo import corpus, distributed, optimizers, runs, sampler
from rnnzoo.checkpoint import Saved, Series
from rnnzoo.devices import make_cpu_devices
from rnnzoo.errors import UserError, about
from rnnzoo.evaluate import evaluate
from rnnzoo.report import Report, Silence, versions
from rnnzoo.runs import BEST, CHECKPOINTS, CONFIG, PROVENANCE, VOCABULARY
from rnnzoo.signals import Stopped, hear_signals
from rnnzoo.train import Epoch, Trainer, TrainState, source
from rnnzoo.vocabulary import Vocabulary

LOCK = "lock"
# What a run that goes on may have otherwise than before: none of it moves a parameter.
FREE_TO_CHANGE = ("sample.", "train.save_every", "train.save_minutes", "train.keep")


class Job(NamedTuple):
    """All that a training needs, checked before anything is made.

    Attributes:
      config: the run's.
      text: the training text's name, and its length in the vocabulary's units.
      vocabulary: of the training text.
      validation: the validation text's ids.
      trainer: the trainer.
      checksum: SHA-256 of the whole corpus.
      drawing: the options of samples.
    """

    config: ConfigDict
    text: str
    vocabulary: Vocabulary
    validation: np.ndarray
    trainer: Trainer
    checksum: str
    drawing: dict[str, Any]


class Progress(NamedTuple):
    """Where a training stands.

    Attributes:
      state: the trainer's.
      epoch: the number of the epoch to train next, or that `state` stands within.
      within: whether it stands within.
      best: the least validation loss so far, nats per character.
      written: the sizes in bytes of the report's files.
    """

    state: TrainState
    epoch: int = 1
    within: bool = False
    best: float = math.inf
    written: dict[str, int] | None = None


def prepare(config: ConfigDict) -> Job:
    """Reads the text and makes the trainer; nothing is written.

    Raises:
      UserError: a mistake in the config.
    """
    make_cpu_devices(config.cpu_devices)
    drawing = runs.sample_options(config)
    whole, split = runs.read_text(config)
    vocabulary = Vocabulary.of(split.train, config.corpus.unknown)
    with about("the validation text"):
        validation = vocabulary.encode(split.validation)
    with about("the test text"):
        vocabulary.encode(split.test)
    with about("config.sample.prompt"):
        vocabulary.encode(config.sample.prompt)
    t = config.train
    ids = vocabulary.encode(split.train)
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
    text = f"{whole.name}: {len(split.train):,} {vocabulary.unit} to train on"
    return Job(config, text, vocabulary, validation, trainer, _checksum(whole), drawing)


def _checksum(whole: corpus.Corpus) -> str:
    text = whole.text if isinstance(whole.text, bytes) else whole.text.encode()
    return hashlib.sha256(text).hexdigest()


def train(
    config: ConfigDict, workdir: str | pathlib.Path | None = None, fork: bool = False
) -> pathlib.Path:
    """Trains a model and leaves a run, or goes on with the one that the folder holds.

    Ctrl-C and SIGTERM stop it at the next occasion, with all that is needed to go on saved; Ctrl-C
    pressed twice stops it at once. Whatever can be found wrong is found before anything is made.

    Args:
      config: from `rnnzoo.config`.
      workdir: the run's folder, a new one or one to go on with; None for runs/<corpus>-<cell>.
      fork: go on from the run in `workdir` with a changed config, in a new folder beside it.

    Returns:
      The run's folder.

    Of several processes, the writer does all that has to do with the folder, and `workdir` and `fork`
    mean nothing to the others.

    Raises:
      UserError: a mistake in the config; the folder's run has another config or text, or is in use;
        a loss that is not finite, with the last good state saved.
      Stopped: Ctrl-C or SIGTERM, after saving.
    """
    if not distributed.is_writer():
        _Session(prepare(config), pathlib.Path(workdir or ""), Silence()).run(None)
        return pathlib.Path(workdir or "")
    resumed = workdir is not None and (pathlib.Path(workdir) / CONFIG).exists()
    if fork and not resumed:
        raise UserError(f"--fork goes on from a run, and there is none in {str(workdir)!r}")
    if resumed and not fork:
        _check_same_config(pathlib.Path(workdir), config)
    job = prepare(config)
    if resumed:
        _check_same_text(pathlib.Path(workdir), job)
    origin = folder = pathlib.Path(workdir) if resumed else None
    if not resumed or fork:
        folder = runs.new_folder(workdir, f"{job.text.split(':')[0]}-{config.cell.name}", fork)
    with (
        _writing(folder),
        _locked(folder),
        Series(folder / CHECKPOINTS, config.train.keep) as checkpoints,
    ):
        if not resumed or fork:
            configs.save(config, folder / CONFIG)
            job.vocabulary.save(folder / VOCABULARY)
            _save_provenance(job, folder / PROVENANCE)
        _Session(job, folder, checkpoints).run(origin)
    return folder


class _Session:
    """The epochs of one call of `train`."""

    def __init__(self, job: Job, folder: pathlib.Path, checkpoints: Series):
        self.job, self.folder, self.checkpoints = job, folder, checkpoints
        self.saved_at = time.monotonic()

    def run(self, origin: pathlib.Path | None) -> None:
        """Trains to the last epoch, from the newest checkpoint in the folder `origin`, if any."""
        job, epochs = self.job, self.job.config.train.epochs
        begun = time.perf_counter()
        distributed.check_same(
            config=repr(job.config), text=job.checksum, versions=repr(versions())
        )
        self.folder = pathlib.Path(distributed.share(str(self.folder)))
        found = self._find(origin) if origin else None
        notes = distributed.share(found.notes if found else None)
        progress = self._restored(found, notes) if notes else Progress(job.trainer.start())
        rows = progress.written if origin == self.folder else None
        with self._report(rows) as report:
            report.say(f"{job.text}, {self.folder}")
            if found:
                report.say(f"resumed from {found.path}, {_where(progress)}")
            elif origin:
                report.say("resumed from the beginning: there is no checkpoint yet")
            if progress.epoch > epochs:
                report.say("the run is complete: change train.epochs with --fork to train on")
                return
            size = sum(leaf.size for leaf in jax.tree.leaves(progress.state.params))
            size //= (seeds := job.config.seeds)
            shares = f" for {n} devices" if (n := job.trainer.mesh.size) > 1 else ""
            shares += f" of {n} processes" if (n := distributed.processes()) > 1 else ""
            seconds = time.perf_counter() - begun
            report.say(
                f"{job.config.cell.name}: {size:,} parameters"
                f"{f' for each of {seeds} seeds' if seeds > 1 else ''}, "
                f"compiled in {seconds:.1f} s{shares}"
            )
            with self._best() as best, hear_signals() as heard:
                signalled = lambda: int(distributed.largest(heard()))  # noqa: E731
                for _ in range(progress.epoch, epochs + 1):
                    progress = self._epoch(progress, report, best, signalled)

    def _report(self, rows) -> Report | Silence:
        if not distributed.is_writer():
            return Silence()
        epochs, pieces = self.job.config.train.epochs, self.job.trainer.source.pieces
        return Report(self.folder, epochs, pieces, written=rows)

    def _best(self) -> Series | Silence:
        return Series(self.folder / BEST, 1) if distributed.is_writer() else Silence()

    def _epoch(self, progress: Progress, report: Report, best: Series, signalled) -> Progress:
        """Trains, validates, records and saves one epoch."""
        job, t, epoch = self.job, self.job.config.train, progress.epoch

        def keep_going(pieces):
            report.progress(epoch, pieces)
            return not signalled()

        state, outcome = job.trainer.epoch(progress.state, epoch, keep_going, progress.within)
        whole = outcome.finite and outcome.pieces == job.trainer.source.pieces
        if not whole:
            progress = progress._replace(state=state, within=True, written=report.written())
            self._save(progress)
            self.checkpoints.wait()
            raise self._stopped(progress, outcome, signalled())
        if outcome.skipped:
            report.say(
                f"epoch {epoch}: {outcome.skipped} pieces skipped, their loss or gradient is not "
                "finite: lower optimizer.learning_rate or optimizer.clip_norm"
            )
        least, last = progress.best, epoch == t.epochs
        if distributed.is_writer():
            least = self._record(state, outcome, epoch, least, report, best)
        after = Progress(state, epoch + 1, False, least, report.written())
        number, due = signalled(), distributed.largest(self._due(epoch))
        if last or number or due:
            best.wait()  # what the checkpoint says is the best is on disk before it
            self._save(after)
        if number and not last:
            self.checkpoints.wait()
            raise self._stopped(after, outcome, number)
        return after

    def _record(self, state: TrainState, outcome: Epoch, epoch: int, least: float, report, best):
        """Validates, keeps the best parameters of all seeds, writes the log with samples of its best.

        Returns:
          The least validation loss so far.
        """
        job, t = self.job, self.job.config.train
        model, losses, last = job.trainer.model, [], epoch == t.epochs
        params = functools.partial(job.trainer.params, state)  # of a seed
        if len(job.validation) and t.evaluate_every and (epoch % t.evaluate_every == 0 or last):
            losses = [evaluate(model, params(i), job.validation) for i in range(job.config.seeds)]
        first = int(np.argmin(losses or outcome.losses))  # of the seeds
        if losses and losses[first] < least:
            least = losses[first]
            notes = {"epoch": epoch, "validation_loss": least, "seed": t.seed + first}
            best.save(epoch, {"params": params(first)}, notes)
        row = report.record(epoch, outcome.losses, outcome.chars_per_second, losses)
        if epoch % t.log_every == 0 or last:
            report.log(row, sampler.sample(model, params(first), job.vocabulary, **job.drawing))
        return least

    def _due(self, epoch: int) -> bool:
        t = self.job.config.train
        by_clock = t.save_minutes and time.monotonic() - self.saved_at >= 60 * t.save_minutes
        return bool(by_clock or (t.save_every and epoch % t.save_every == 0))

    def _save(self, progress: Progress) -> None:
        notes = {
            "epoch": progress.epoch,
            "within": progress.within,
            "best": progress.best if math.isfinite(progress.best) else None,
            "written": progress.written,
            "versions": versions(),
        }
        pieces = self.job.trainer.source.pieces
        number = (progress.epoch - 1) * pieces + (
            int(np.min(progress.state.piece)) if progress.within else 0
        )
        self.checkpoints.save(
            number, distributed.whole(self.job.trainer.save(progress.state)), notes
        )
        self.saved_at = time.monotonic()

    def _find(self, origin: pathlib.Path) -> Saved | None:
        here = origin == self.folder
        return (self.checkpoints if here else Series(origin / CHECKPOINTS, 1)).newest()

    def _restored(self, found: Saved | None, notes: dict) -> Progress:
        shapes = self.job.trainer.saved_shapes()
        trees = distributed.share_arrays(
            lambda: {name: found.restore(name, wanted) for name, wanted in shapes.items()}, shapes
        )
        return Progress(
            state=self.job.trainer.resume(trees),
            epoch=notes["epoch"],
            within=notes["within"],
            best=math.inf if notes["best"] is None else notes["best"],
            written=notes["written"],
        )

    def _stopped(self, progress: Progress, outcome, number: int) -> BaseException:
        where = f"{_where(progress)}; saved in {self.folder / CHECKPOINTS}"
        finite = np.asarray(progress.state.finite)
        if outcome.finite:
            again = f"run the same command with --workdir={self.folder} to go on"
            return Stopped(f"stopped {where}: {again}", number)
        whose = [
            str(self.job.config.train.seed + i) for i in np.flatnonzero(~np.atleast_1d(finite))
        ]
        of_seeds = f" of seed {', '.join(whose)}" if self.job.config.seeds > 1 else ""
        return UserError(
            f"the loss{of_seeds} or its gradient is no finite number any more, {where}: lower "
            "optimizer.learning_rate or optimizer.clip_norm, or set train.not_finite=skip, and --fork"
        )


def _where(progress: Progress) -> str:
    if progress.within:
        return f"in epoch {progress.epoch} after {int(np.min(progress.state.piece))} pieces"
    return f"after epoch {progress.epoch - 1}"


def _check_same_config(folder: pathlib.Path, config: ConfigDict) -> None:
    """Refuses to go on with a run under another config."""
    before, now = (dict(configs.flatten(c)) for c in (configs.load(folder / CONFIG), config))
    changed = [
        f"{key} is {now[key]!r}, was {before[key]!r}"
        for key in now
        if _plain(now[key]) != _plain(before[key]) and not key.startswith(FREE_TO_CHANGE)
    ]
    if changed:
        raise UserError(
            f"{str(folder)!r} holds a run with another config: {', '.join(changed)}: give the same "
            "again to go on, --fork to go on with the changed one, or another --workdir"
        )


def _plain(value) -> str:
    return json.dumps(value.to_dict() if isinstance(value, ConfigDict) else value, sort_keys=True)


def _check_same_text(folder: pathlib.Path, job: Job) -> None:
    path = folder / PROVENANCE
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if before.get("corpus_sha256", job.checksum) != job.checksum:
        raise UserError(
            f"the text has changed since the run in {str(folder)!r} began: bring it back to go on, "
            "or give another --workdir"
        )


def _save_provenance(job: Job, path: pathlib.Path) -> None:
    """What a person needs to repeat the run, besides its config."""
    found = {"corpus_sha256": job.checksum, "seed": job.config.train.seed, **versions()}
    path.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


@contextlib.contextmanager
def _writing(folder: pathlib.Path) -> Iterator[None]:
    """Says in one line that the folder cannot be written, be it full or forbidden."""
    try:
        yield
    except OSError as e:
        raise UserError(
            f"workdir {str(folder)!r} cannot be written: {e.strerror}; mend that, and run again to go on"
        ) from e


@contextlib.contextmanager
def _locked(folder: pathlib.Path) -> Iterator[None]:
    """Holds the folder for this process; the system lets go of it when the process dies."""
    try:
        with filelock.FileLock(folder / LOCK, timeout=0):
            yield
    except filelock.Timeout as e:
        raise UserError(
            f"another process trains in {str(folder)!r}: wait for it, or give another --workdir"
        ) from e
