"""What a training leaves of itself: log lines, a progress bar, metrics.jsonl and the curves."""

import contextlib
import json
import math
import os
import pathlib
import platform
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from rnnzoo.errors import UserError, one_line
from rnnzoo.loss import bits_per_character

METRICS, CURVES, SAMPLES, INSIDE = "metrics.jsonl", "curves.png", "samples.txt", "inside.jsonl"
GROWING = (METRICS, SAMPLES, INSIDE)
MOST_ROWS = 10_000  # of metrics.jsonl, some 2 MB: of a longer training, not each epoch has one


class Log:
    """Writes what a training reports into its folder and to standard output; a context manager.

    On a terminal there is a progress bar with the time left below the lines.

    Args:
      folder: the run's folder.
      epochs: how many there will be.
      pieces: how many pieces each has.
      console: where the lines go; by default, standard output.
      written: what `written` gave, to go on from there; whatever was written later is cut off.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        epochs: int,
        pieces: int,
        console=None,
        written: Mapping[str, int] | None = None,
    ):
        """Opens metrics.jsonl; the progress bar starts with the `with` block."""
        self.folder, self.epochs, self.pieces = folder, epochs, pieces
        sizes = {folder / name: (written or {}).get(name, 0) for name in GROWING}
        longer = [path for path, size in sizes.items() if _is_longer(path, size)]
        if written:  # a damaged row is found before anything is cut off
            read_metrics(folder, sizes[folder / METRICS])
        for path in longer:
            os.truncate(path, sizes[path])
        self._every = -(-epochs // MOST_ROWS)  # rounded up
        self._console = console or Console(highlight=False, markup=False, soft_wrap=True)
        self._metrics = (folder / METRICS).open("a", encoding="utf-8", buffering=1)  # by line
        self._progress = Progress(
            TextColumn("epoch"),
            TextColumn("{task.fields[epoch]}/" + str(epochs)),
            BarColumn(),
            TextColumn("{task.percentage:.0f}%"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._progress.add_task("", total=epochs * pieces, epoch=1)

    def __enter__(self):
        """Shows the progress bar."""
        self._progress.start()
        return self

    def __exit__(self, *error):
        """Takes the progress bar away and draws the curves."""
        self._progress.stop()
        # What ended the training, such as a full disk, is not to be hidden by what it ends here.
        with contextlib.suppress(OSError, UserError) if error[0] else contextlib.nullcontext():
            self._metrics.close()
            if rows := read_metrics(self.folder):
                draw_curves(rows, self.folder / CURVES)

    def written(self) -> dict[str, int]:
        """The sizes in bytes of the files that grow, for a log that goes on from here."""
        self._metrics.flush()
        paths = {name: self.folder / name for name in GROWING}
        return {n: path.stat().st_size if path.exists() else 0 for n, path in paths.items()}

    def progress(self, epoch: int, pieces: int) -> None:
        """Moves the bar: so many pieces of this epoch are done."""
        done = (epoch - 1) * self.pieces + pieces
        self._progress.update(self._task, completed=done, epoch=epoch)

    def say(self, line: str) -> None:
        """Prints a line."""
        self._console.print(line)

    def record(
        self,
        epoch: int,
        losses: Sequence[float],
        chars_per_second: float,
        validation: Sequence[float] = (),
    ) -> dict:
        """Adds a row to metrics.jsonl; for more than `MOST_ROWS` epochs, only to every so many.

        The loss is the mean over the seeds. Several seeds add `loss_spread`, the standard deviation,
        and `losses`, each seed's; and so for the validation.

        Args:
          epoch: its number.
          losses: nats per character of each seed.
          chars_per_second: the training's speed.
          validation: nats per character of each seed, if they were computed.

        Returns:
          The row.
        """
        row = {"epoch": epoch, **_summary("", losses), "chars_per_second": chars_per_second}
        if validation:
            row |= _summary("validation_", validation)
        if epoch % self._every == 0 or epoch == self.epochs:
            self._metrics.write(json.dumps(row) + "\n")
        return row

    def show(self, row: dict, samples: Sequence[str]) -> None:
        """Prints a row for a person, with samples; these go into samples.txt too."""
        width = len(str(self.epochs))
        spread, validation_spread = (
            f" ± {row[key]:.3f}" if key in row else ""
            for key in ("loss_spread", "validation_loss_spread")
        )
        parts = [
            f"epoch {row['epoch']:{width}}/{self.epochs}",
            f"loss {row['loss']:.3f}{spread} nats = {row['bpc']:.3f} bpc",
        ]
        if "validation_bpc" in row:
            nats = f"{row['validation_loss']:.3f}{validation_spread} nats = "
            nats = nats if validation_spread else ""
            parts.append(f"validation {nats}{row['validation_bpc']:.3f} bpc")
        parts.append(f"{row['chars_per_second']:,.0f} characters/s")
        text = "".join("\n" + "\n".join(f"  | {x}" for x in s.split("\n")) for s in samples)
        self.say("  ".join(parts) + text)
        with (self.folder / SAMPLES).open("a", encoding="utf-8") as file:
            file.writelines(f"--- epoch {row['epoch']}\n{s}\n" for s in samples)

    def warn(self, line: str) -> None:
        """Prints what a person should know."""
        self.say(f"warning: {line}")

    def observe(self, epoch: int, signals: Sequence[dict]) -> None:
        """Adds a row to inside.jsonl: what `rnnzoo.instruments.observe` saw."""
        with (self.folder / INSIDE).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"epoch": epoch, "signals": signals}) + "\n")


def _summary(prefix: str, losses: Sequence[float]) -> dict[str, Any]:
    """The mean of the seeds' losses and, if they are several, their standard deviation and each one."""
    mean = statistics.fmean(losses)
    found = {f"{prefix}loss": mean, f"{prefix}bpc": bits_per_character(mean)}
    if len(losses) > 1:
        found |= {
            f"{prefix}loss_spread": statistics.stdev(losses),
            f"{prefix}losses": list(losses),
        }
    return found


class Silence:
    """What a process that writes nothing reports to, and saves to: any method does nothing."""

    def __enter__(self):
        """Itself."""
        return self

    def __exit__(self, *error):
        """Nothing to end."""

    def __getattr__(self, name):
        """A method that takes anything."""
        return lambda *args, **kwargs: None


def read_metrics(folder: pathlib.Path, size: int | None = None) -> list[dict]:
    """The rows of a run's metrics.jsonl, in its first `size` bytes or in all.

    Raises:
      UserError: the file is missing or damaged.
    """
    path = folder / METRICS
    try:
        lines = path.read_bytes()[:size].decode().splitlines()
        rows = [json.loads(line) for line in lines]
    except OSError as e:
        raise UserError(f"{str(path)!r} cannot be read: {e.strerror}: bring it back") from e
    except (ValueError, RecursionError) as e:
        raise UserError(f"{str(path)!r} is damaged ({one_line(e)}): bring it back") from e
    if not all(isinstance(row, dict) and {"epoch", "loss"} <= row.keys() for row in rows):
        raise UserError(f"{str(path)!r} is damaged, a line is no epoch's: bring it back")
    return rows


def read_inside(folder: pathlib.Path) -> dict[int, list[dict]]:
    """What inside.jsonl says of each epoch; nothing if there is no such file.

    Raises:
      UserError: the file is damaged.
    """
    path = folder / INSIDE
    if not path.exists():
        return {}
    try:
        rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        return {row["epoch"]: row["signals"] for row in rows}
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as e:
        raise UserError(f"{str(path)!r} is damaged ({one_line(e)}): bring it back") from e


def _is_longer(path: pathlib.Path, size: int) -> bool:
    """Whether something was written to a file after it had this size."""
    found = path.stat().st_size if path.exists() else 0
    if found < size:
        raise UserError(
            f"{path} is shorter than when it was saved: bring it back, or give another --workdir"
        )
    return found > size


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
    packages = {package: metadata.version(package) for package in PACKAGES}
    return {"python": platform.python_version(), "packages": packages, "commit": commit}


def draw_curves(rows: Sequence[dict], path: pathlib.Path) -> None:
    """Draws loss and validation loss against epochs, in nats on the left and bpc on the right."""
    from matplotlib.figure import Figure  # slow to import, and needed once

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    epochs, losses = [r["epoch"] for r in rows], [r["loss"] for r in rows]
    span = max(1, len(rows) // 50)
    if span == 1:
        axes.plot(epochs, losses, color="C0", marker=".", label="training")
    else:
        axes.plot(epochs, losses, color="C0", alpha=0.25, linewidth=0.8, label="training, epoch")
        smooth = _running_mean(losses, span)
        axes.plot(epochs, smooth, color="C0", label=f"training, mean of {span} epochs")
    if "loss_spread" in rows[-1]:
        low, high = ([r["loss"] + sign * r["loss_spread"] for r in rows] for sign in (-1, 1))
        axes.fill_between(epochs, low, high, color="C0", alpha=0.15, label="± spread of the seeds")
    validated = [r for r in rows if "validation_loss" in r]
    if validated:
        points = [r["epoch"] for r in validated], [r["validation_loss"] for r in validated]
        axes.plot(*points, color="C1", marker=".", label="validation")
    axes.set(xlabel="epoch", ylabel="loss (nats per character)")
    bpc = axes.secondary_yaxis("right", functions=(bits_per_character, lambda b: b * math.log(2)))
    bpc.set_ylabel("bits per character")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)


def _running_mean(values: Sequence[float], span: int) -> list[float]:
    """The mean of each value and those before it, `span` in all."""
    windows = (values[max(0, i + 1 - span) : i + 1] for i in range(len(values)))
    return [sum(w) / len(w) for w in windows]
