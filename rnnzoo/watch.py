"""Following a run that trains in another process, by the files in its folder."""

import contextlib
import json
import pathlib
import time

from rich.console import Console

from rnnzoo import metrics, runs
from rnnzoo.log import plain_console
from rnnzoo.metrics import GROWING, METRICS, Row
from rnnzoo.view import View, live, shows

LONG = 10.0  # seconds without a row, after which the view says for how long


class Follower:
    """Reads what a training has written since the last time.

    Attributes:
      folder: the run's.
      epochs: how many it will have.
      view: where it stands.
      last: its last row; None before the first.
    """

    folder: pathlib.Path
    epochs: int
    view: View
    last: Row | None

    def __init__(self, folder: pathlib.Path):
        """Reads the config, nothing else.

        Raises:
          UserError: the folder holds no run.
        """
        self.folder, self.epochs = folder, runs.load_config(folder).train.epochs
        self.view, self.last = View(str(folder), self.epochs), None
        self._told: set[tuple[int, str]] = set()
        self._stamp: list[tuple[int, int]] = []

    @property
    def complete(self) -> bool:
        """Whether the last epoch has a row."""
        return self.last is not None and self.last["epoch"] >= self.epochs

    def poll(self) -> list[Row]:
        """The rows and warnings that are new, in the order of their epochs.

        The files are read as a whole if they changed: a training that goes on from a checkpoint cuts
        them back, and writes the same again, which is not new then.

        Raises:
          UserError: a row is damaged; one that is not whole yet is none.
        """
        paths = [path for name in GROWING if (path := self.folder / name).exists()]
        stats = [path.stat() for path in paths]
        stamp = [(stat.st_mtime_ns, stat.st_size) for stat in stats]
        if stamp == self._stamp:
            self._note()
            return []
        rows = metrics.read_metrics(self.folder, growing=True)
        warnings = metrics.read_warnings(self.folder)
        self._stamp = stamp
        self.view.show(rows, warnings)
        self.view.at(rows[-1]["epoch"] if rows else 0)
        self.view.sample = metrics.latest_sample(self.folder)
        seen = self.last["epoch"] if self.last else 0
        new = [row for row in rows if row["epoch"] > seen]
        self.last = new[-1] if new else self.last
        told = {(row["epoch"], row["warning"]): row for row in warnings}
        new += [row for key, row in told.items() if key not in self._told]
        self._told |= told.keys()
        self._note()
        return sorted(new, key=lambda row: row["epoch"])

    def _note(self) -> None:
        """Says in the view why nothing moves."""
        self.view.note = ""
        if self.last is None:
            self.view.note = "no epoch yet"
        elif not self.complete:
            with contextlib.suppress(OSError):
                idle = time.time() - (self.folder / METRICS).stat().st_mtime
                self.view.note = f"the last epoch was {idle:.0f} s ago" if idle > LONG else ""


def watch(
    folder: pathlib.Path,
    interval: float = 1.0,
    as_json: bool = False,
    quiet: bool = False,
    console: Console | None = None,
) -> None:
    """Shows a run until it is complete: in a view on a terminal, else in a line for each row.

    Args:
      folder: the run's.
      interval: seconds between two looks at it.
      as_json: print the rows of metrics.jsonl and warnings.jsonl instead.
      quiet: print the last row only.
      console: where; by default, standard output.

    Raises:
      UserError: the folder holds no run, or a row is damaged.
    """
    console = console or plain_console()
    follower = Follower(folder)
    on_terminal = shows(console) and not (as_json or quiet)
    lines = not (on_terminal or as_json or quiet)
    shown = live(follower.view, console, transient=False) if on_terminal else None
    with shown or contextlib.nullcontext():
        new = follower.poll()
        if lines and not new:
            console.print(f"{folder}: no epoch yet, waiting for the first")
        while True:
            for row in new:
                if as_json:
                    print(json.dumps(row), flush=True)
                elif lines:
                    console.print(_line(row, follower.epochs))
            if follower.complete:
                break
            time.sleep(interval)
            new = follower.poll()
    if quiet and not as_json and follower.last:
        console.print(f"{folder}: {_line(follower.last, follower.epochs)}")


def _line(row: Row, epochs: int) -> str:
    if "warning" in row:
        return f"warning: epoch {row['epoch']}: {row['warning']}"
    return metrics.line(row, epochs)
