"""One training, from its config to its end, whatever interrupts it on the way.

The run folder holds all that is needed to go on: `train` on a folder that has a run in it resumes
that run from its newest whole checkpoint, and ends in the same losses and parameters, to the bit, as
a training that nothing interrupted.

Of several processes (`rnnzoo.distributed`), all compute and the writer alone has the folder. What
decides their way, such as a signal, they agree on, since each waits for the others at every step.
"""

import contextlib
import functools
import json
import math
import os
import pathlib
import time
from collections.abc import Iterator
from typing import NamedTuple

import filelock
import numpy as np
from rich.console import Console

from rnnzoo import config as configs
from rnnzoo import distributed, runs, sampler
from rnnzoo.checkpoint import Saved, Series
from rnnzoo.errors import UserError
from rnnzoo.evaluate import evaluate
from rnnzoo.instruments.observe import observe, warnings
from rnnzoo.job import Job, prepare
from rnnzoo.log import Log, Silence, versions
from rnnzoo.model import count_parameters
from rnnzoo.runs import BEST, CHECKPOINTS, CONFIG, PROVENANCE, VOCABULARY
from rnnzoo.signals import Stopped, hear_signals
from rnnzoo.tensorboard import Events
from rnnzoo.train import Epoch, TrainState
from rnnzoo.untyped import ConfigDict

LOCK = "lock"


class Progress(NamedTuple):
    """Where a training stands.

    Attributes:
      state: the trainer's.
      epoch: the number of the epoch to train next, or that `state` stands within.
      within: whether it stands within.
      best: the least validation loss so far, nats per character.
      written: the sizes in bytes of the log's files.
    """

    state: TrainState
    epoch: int = 1
    within: bool = False
    best: float = math.inf
    written: dict[str, int] | None = None


class Beginning(NamedTuple):
    """Where a training begins.

    Attributes:
      progress: its first.
      checkpoint: the folder of the checkpoint that it is from, if any.
      seconds: how long it took to compile, or to read.
    """

    progress: Progress
    checkpoint: pathlib.Path | None
    seconds: float


def train(
    config: ConfigDict,
    workdir: str | pathlib.Path | None = None,
    fork: bool = False,
    console: Console | None = None,
) -> pathlib.Path:
    """Trains a model and leaves a run, or goes on with the one that the folder holds.

    Ctrl-C and SIGTERM stop it at the next occasion, with all that is needed to go on saved; Ctrl-C
    pressed twice stops it at once. Whatever can be found wrong is found before anything is made. Of
    several processes, the writer does all that has to do with the folder; `workdir` and `fork` mean
    nothing to the others.

    Args:
      config: from `rnnzoo.config`.
      workdir: the run's folder, a new one or one to go on with; None for runs/<corpus>-<cell>.
      fork: go on from the run in `workdir` with a changed config, in a new folder beside it.
      console: where the log's lines go; by default, standard output.

    Returns:
      The run's folder.

    Raises:
      UserError: a mistake in the config; the folder's run has another config or text, or is in use;
        a loss that is not finite, with the last good state saved.
      Stopped: Ctrl-C or SIGTERM, after saving.
    """
    if not distributed.is_writer():
        job = prepare(config)
        session = _Session(job, pathlib.Path(workdir or ""), Silence())
        session.run(_begin(job, None), None)
        return session.folder
    resumed = workdir is not None and os.path.exists(pathlib.Path(workdir) / CONFIG)
    if fork and not resumed:
        raise UserError(
            f"--fork goes on from a run, and there is none in --workdir={workdir or ''}: give its folder"
        )
    origin = folder = pathlib.Path(workdir) if resumed else None
    if resumed and not fork:
        runs.check_same_config(origin, config)
    job = prepare(config)
    if resumed and Series(origin / CHECKPOINTS, 1).numbers():
        runs.check_same_text(origin, job.checksum)
        runs.check_same_vocabulary(origin, job.vocabulary)
    begin = None
    if not resumed or fork:
        folder = runs.new_folder(workdir, f"{job.text.split(':')[0]}-{config.cell.name}", fork)
        try:
            begin = _begin(job, origin)
        except BaseException:  # what cannot begin leaves no folder
            with contextlib.suppress(OSError):
                folder.rmdir()
            raise
    with (
        _writing(folder),
        _locked(folder),
        Series(folder / CHECKPOINTS, config.train.keep) as checkpoints,
    ):
        begin = begin or _begin(job, origin)
        if not checkpoints.numbers():
            configs.save(config, folder / CONFIG)
            job.vocabulary.save(folder / VOCABULARY)
            _save_provenance(job, folder / PROVENANCE)
        _Session(job, folder, checkpoints, console).run(begin, origin)
    return folder


def _begin(job: Job, origin: pathlib.Path | None) -> Beginning:
    """From the newest checkpoint in the folder `origin`; without one, from the beginning.

    All processes begin as the writer does, which alone has an `origin`.
    """
    start = time.perf_counter()
    distributed.check_same(config=repr(job.config), text=job.checksum, versions=repr(versions()))
    series = Series(origin / CHECKPOINTS, 1) if origin else None
    found = series.newest() if series else None
    if found is None and series and series.numbers():
        raise UserError(
            f"no checkpoint in {str(series.folder)!r} is whole: bring one back, or give another "
            "--workdir"
        )
    notes = distributed.share(found.notes if found else None)
    begun = notes is not None
    progress = _restored(job, found, notes) if begun else Progress(job.trainer.start())
    return Beginning(progress, found and found.path, time.perf_counter() - start)


def _restored(job: Job, found: Saved | None, notes: dict) -> Progress:
    shapes = job.trainer.saved_shapes()
    trees = distributed.share_arrays(
        lambda: {name: found.restore(name, like) for name, like in shapes.items()}, shapes
    )
    try:
        return Progress(
            state=job.trainer.resume(trees),
            epoch=notes["epoch"],
            within=notes["within"],
            best=math.inf if notes["best"] is None else notes["best"],
            written=notes["written"],
        )
    except KeyError as e:
        where = str(found.path) if found else "the checkpoint"
        raise UserError(
            f"the notes of {where!r} are not this version's, {e} is missing: give another --workdir"
        ) from e


class _Session:
    """The epochs of one call of `train`."""

    def __init__(
        self,
        job: Job,
        folder: pathlib.Path,
        checkpoints: Series | Silence,
        console: Console | None = None,
    ):
        self.job, self.folder, self.checkpoints = job, folder, checkpoints
        self.console = console
        self.saved_at = time.monotonic()

    def run(self, begin: Beginning, origin: pathlib.Path | None) -> None:
        """Trains to the last epoch, from a beginning that the folder `origin` holds, if any."""
        job, epochs, progress = self.job, self.job.config.train.epochs, begin.progress
        self.folder = pathlib.Path(distributed.share(str(self.folder)))
        rows = progress.written if origin == self.folder else None
        with self._log(rows, progress.epoch) as log:
            log.say(f"{job.text}, {self.folder}")
            if begin.checkpoint:
                log.say(f"resumed from {begin.checkpoint}, {_where(progress)}")
            elif origin:
                log.say("resumed from the beginning: there is no checkpoint yet")
            if progress.epoch > epochs:
                log.say("the run is complete: change train.epochs with --fork to train on")
                return
            log.say(self._description(begin))
            with self._best() as best, hear_signals() as heard:
                signalled = lambda: int(distributed.largest(heard()))  # noqa: E731
                for _ in range(progress.epoch, epochs + 1):
                    progress = self._epoch(progress, log, best, signalled)

    def _description(self, begin: Beginning) -> str:
        """The model's size, on what it trains, and how long that took to compile."""
        config, mesh = self.job.config, self.job.trainer.mesh
        size = count_parameters(begin.progress.state.params)
        each = f" for each of {config.seeds} seeds" if config.seeds > 1 else ""
        shares = f" for {mesh.size} devices" if mesh.size > 1 else ""
        shares += f" of {n} processes" if (n := distributed.processes()) > 1 else ""
        return (
            f"{config.cell.name}: {size // config.seeds:,} parameters{each}, compiled in "
            f"{begin.seconds:.1f} s{shares}"
        )

    def _log(self, rows: dict[str, int] | None, first: int) -> Log | Silence:
        """The log that goes on from the files' sizes, with the epoch `first`."""
        if not distributed.is_writer():
            return Silence()
        epochs, pieces = self.job.config.train.epochs, self.job.trainer.source.pieces
        events = Events(self.folder, self.job.config, first, self.job.learning_rate)
        return Log(
            self.folder,
            epochs,
            pieces,
            self.console,
            written=rows,
            events=events if self.job.config.log.tensorboard else None,
        )

    def _best(self) -> Series | Silence:
        return Series(self.folder / BEST, 1) if distributed.is_writer() else Silence()

    def _epoch(self, progress: Progress, log: Log, best: Series, signalled) -> Progress:
        """Trains, validates, records and saves one epoch."""
        job, t, epoch = self.job, self.job.config.train, progress.epoch

        def keep_going(pieces):
            log.progress(epoch, pieces)
            return not signalled()

        state, outcome = job.trainer.epoch(progress.state, epoch, keep_going, progress.within)
        whole = outcome.finite and outcome.pieces == job.trainer.source.pieces
        if not whole:
            progress = progress._replace(state=state, within=True, written=log.written())
            self._save(progress)
            self.checkpoints.wait()
            raise self._stopped(progress, outcome, signalled())
        if outcome.skipped:
            log.say(
                f"epoch {epoch}: {outcome.skipped} pieces skipped, their loss or gradient is not "
                "finite: lower optimizer.learning_rate or optimizer.clip_norm"
            )
        least, last = progress.best, epoch == t.epochs
        if distributed.is_writer():
            least = self._record(state, outcome, epoch, least, log, best)
        after = Progress(state, epoch + 1, False, least, log.written())
        number, due = signalled(), distributed.largest(self._due(epoch))
        if last or number or due:
            best.wait()  # what the checkpoint says is the best is on disk before it
            self._save(after)
        if number and not last:
            self.checkpoints.wait()
            raise self._stopped(after, outcome, number)
        return after

    def _record(self, state: TrainState, outcome: Epoch, epoch: int, least: float, log, best):
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
        row = log.record(epoch, outcome.losses, outcome.chars_per_second, losses)
        if epoch % t.log_every == 0 or last:
            if job.config.log.inside:
                signals = observe(model, params(first), job.observed)
                log.observe(epoch, signals)
                for line in warnings(signals):
                    log.warn(line)
            log.show(row, sampler.sample(model, params(first), job.vocabulary, **job.drawing))
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

    def _stopped(self, progress: Progress, outcome, number: int) -> BaseException:
        where = f"{_where(progress)}; saved in {self.folder / CHECKPOINTS}"
        finite = np.asarray(progress.state.finite)
        if outcome.finite:
            again = f"run the same command with --workdir={self.folder} to go on"
            return Stopped(f"stopped {where}: {again}", number)
        if progress.epoch == 1 and not outcome.pieces:
            return UserError(
                "the loss or its gradient is no finite number from the first piece on; saved in "
                f"{self.folder / CHECKPOINTS}: python -m rnnzoo.certify checks the cell"
            )
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
