"""What a training leaves of itself: log lines, a live view, metrics.jsonl, samples, the curves."""

import contextlib
import json
import pathlib
import platform
import subprocess
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from types import TracebackType
from typing import Any, Self

from rich.console import Console

from rnnzoo import metrics
from rnnzoo.curves import draw_curves
from rnnzoo.errors import UserError, flat
from rnnzoo.metrics import INSIDE, METRICS, SAMPLES, WARNINGS, Row, line, read_metrics
from rnnzoo.tensorboard import Events
from rnnzoo.view import View, live, shows, visible

CURVES = "curves.png"
MOST_ROWS = 10_000  # of metrics.jsonl, some 2 MB: of a longer training, not each epoch has one
MOST_WARNINGS = 1000  # of warnings.jsonl, of the first that come


def plain_console(quiet: bool = False) -> Console:
    """Standard output, for lines that are printed as they are; if it is `quiet`, for none."""
    return Console(highlight=False, markup=False, soft_wrap=True, quiet=quiet)


class Log:
    """Writes what a training reports into its folder and to standard output; a context manager.

    On a terminal there is a live view below the lines.

    Args:
      folder: the run's folder.
      epochs: how many there will be.
      pieces: how many pieces each has.
      console: where the lines go; by default, standard output.
      written: what `written` gave, to go on from there; whatever was written later is cut off.
      events: what writes event files for TensorBoard, if anything does.
    """

    folder: pathlib.Path
    epochs: int
    pieces: int

    def __init__(
        self,
        folder: pathlib.Path,
        epochs: int,
        pieces: int,
        console: Console | None = None,
        written: Mapping[str, int] | None = None,
        events: Events | None = None,
    ):
        """Opens metrics.jsonl; the view starts with the `with` block."""
        self.folder, self.epochs, self.pieces = folder, epochs, pieces
        rows, warnings = metrics.cut_back(folder, written or {})
        self._every = -(-epochs // MOST_ROWS)  # rounded up
        self._console = console or plain_console()
        self._metrics = (folder / METRICS).open("a", encoding="utf-8", buffering=1)  # by line
        self._events = events
        self._view = View(str(folder), epochs)
        self._view.show(rows, warnings)
        # As many as `metrics.new_spike` looks at, so that a run that goes on sees what it saw.
        self._losses = deque(self._view.losses, maxlen=metrics.SPIKE_WINDOW + 2)
        self._epoch = rows[-1]["epoch"] if rows else 0
        self._warnings = len(warnings)
        self._live = live(self._view, self._console, transient=True)

    def __enter__(self) -> Self:
        """Shows the view."""
        if shows(self._console):
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Takes the view away and draws the curves."""
        self._live.stop()
        # What ended the training, such as a full disk, is not to be hidden by what it ends here.
        with contextlib.suppress(OSError, UserError) if kind else contextlib.nullcontext():
            self._metrics.close()
            if self._events:
                self._events.close()
            if rows := read_metrics(self.folder):
                draw_curves(rows, self.folder / CURVES)

    def written(self) -> dict[str, int]:
        """The sizes in bytes of the files that grow, for a log that goes on from here."""
        self._metrics.flush()
        return metrics.sizes(self.folder)

    def progress(self, epoch: int, pieces: int) -> None:
        """Moves the bar: so many pieces of this epoch are done."""
        self._epoch = epoch
        self._view.at(epoch - 1 + pieces / self.pieces)

    def say(self, line: str) -> None:
        """Prints a line."""
        self._console.print(line)

    def warn(self, text: str) -> None:
        """Prints a warning about the epoch at hand, and keeps it in warnings.jsonl.

        Beyond `MOST_WARNINGS` of a run, it is printed only.
        """
        text = flat(text)
        told = f"epoch {self._epoch}: {text}"
        self.say(f"warning: {told}")
        self._view.warn(told)
        if self._warnings < MOST_WARNINGS:
            self._warnings += 1
            with (self.folder / WARNINGS).open("a", encoding="utf-8") as file:
                file.write(json.dumps({"epoch": self._epoch, "warning": text}) + "\n")
            if self._events:
                self._events.warning(self._epoch, text)

    def record(
        self,
        epoch: int,
        losses: Sequence[float],
        chars_per_second: float,
        validation: Sequence[float] = (),
    ) -> Row:
        """Adds a row to metrics.jsonl; for more than `MOST_ROWS` epochs, only to every so many.

        The loss is the mean over the seeds. Several seeds add `loss_spread`, the standard deviation,
        and `losses`, each seed's; and so for the validation. A loss of such a row that is a spike, see
        `rnnzoo.metrics.spike`, is warned of.

        Args:
          epoch: its number.
          losses: nats per character of each seed.
          chars_per_second: the training's speed.
          validation: nats per character of each seed, if they were computed.

        Returns:
          The row.
        """
        self._epoch = epoch
        row: Row = {"epoch": epoch, **metrics.summary("", losses)}
        row["chars_per_second"] = chars_per_second
        if validation:
            row |= metrics.summary("validation_", validation)
        if epoch % self._every == 0 or epoch == self.epochs:
            self._metrics.write(json.dumps(row) + "\n")
            self._view.add(row)
            if self._events:
                self._events.row(row)
            self._losses.append(row["loss"])
            if (before := metrics.new_spike(tuple(self._losses))) is not None:
                self.warn(
                    f"loss spike: {row['loss']:.3f} nats, {before:.3f} before it; if it stays, lower "
                    "optimizer.learning_rate or optimizer.clip_norm"
                )
        return row

    def show(self, row: Row, samples: Sequence[str]) -> None:
        """Prints a row for a person, with samples; these go into samples.txt too."""
        shown = map(visible, samples) if self._console.is_terminal else samples
        text = "".join("\n" + "\n".join(f"  | {x}" for x in s.split("\n")) for s in shown)
        self.say(line(row, self.epochs) + text)
        with (self.folder / SAMPLES).open("a", encoding="utf-8") as file:
            file.writelines(f"--- epoch {row['epoch']}\n{s}\n" for s in samples)
        if samples:
            self._view.sample = samples[0]
            if self._events:
                self._events.samples(row["epoch"], samples)

    def observe(self, epoch: int, signals: Sequence[Row]) -> None:
        """Adds a row to inside.jsonl: what `rnnzoo.instruments.observe` saw."""
        with (self.folder / INSIDE).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"epoch": epoch, "signals": signals}) + "\n")


class Silence:
    """What a process that writes nothing reports to, and saves to: any method does nothing."""

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing to end."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """A method that takes anything."""
        return lambda *args, **kwargs: None


PACKAGES = ("rnnzoo", "jax", "jaxlib", "dm-haiku", "optax", "orbax-checkpoint", "numpy")


def versions() -> dict[str, Any]:
    """Python, packages and, in a checkout, the commit."""
    here = pathlib.Path(__file__).parent
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=here, capture_output=True, text=True, check=True)
        commit = done.stdout.strip()
    except (OSError, subprocess.CalledProcessError):  # no git, or no checkout
        commit = None
    packages = {package: version(package) for package in PACKAGES}
    return {"python": platform.python_version(), "packages": packages, "commit": commit}


def version(package: str) -> str | None:
    """A package's version; None if it is not installed, as rnnzoo run from a checkout's files."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
