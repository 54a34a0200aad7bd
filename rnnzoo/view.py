"""How a run looks on a terminal while it trains: one panel, for the training itself and for `watch`."""

import datetime
import itertools
import math
import time
from collections.abc import Iterator, Sequence
from typing import Any

from rich.box import ASCII, ROUNDED
from rich.console import Console, ConsoleOptions, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from rnnzoo.loss import bits_per_character

BARS, ASCII_BARS = "▁▂▃▄▅▆▇█", "_.-=+*#@"
REFRESHES = 4  # a second
WARNINGS_SHOWN, SAMPLE_LINES = 3, 6
MARGIN = 11  # columns of the border and of what a line is called
NARROW = 60  # columns, below which there is less to see


class View:
    """A panel with where a run stands; rich draws it anew from its attributes each time.

    Attributes:
      title: the run's name.
      epochs: how many there will be.
      done: how many are, with parts.
      losses: nats per character, of the epochs that have a row.
      row: the last row.
      validation: bits per character and epoch of the last validation, and of the best; or None.
      sample: the latest.
      warnings: lines, the newest last.
      note: a line below, or ''.
    """

    title: str
    epochs: int
    done: float
    losses: list[float]
    row: dict[str, Any] | None
    validation: tuple[tuple[float, int], tuple[float, int]] | None
    sample: str
    warnings: tuple[str, ...]
    note: str

    def __init__(self, title: str, epochs: int):
        """A run of so many epochs, none of which is done."""
        self.title, self.epochs, self.done = title, epochs, 0.0
        self.sample, self.note = "", ""
        self.show([], [])
        self._begun: tuple[float, float] | None = None

    def at(self, done: float) -> None:
        """So many epochs are done."""
        self.done = done
        self._begun = self._begun or (time.monotonic(), done)

    def show(self, rows: Sequence[dict[str, Any]], warnings: Sequence[dict[str, Any]]) -> None:
        """Takes in all rows and warnings of a run, in place of those before."""
        self.losses, self.row, self.validation, self.warnings = [], None, None, ()
        for row in rows:
            self.add(row)
        for row in warnings[-WARNINGS_SHOWN:]:
            self.warn(f"epoch {row['epoch']}: {row['warning']}")

    def add(self, row: dict[str, Any]) -> None:
        """Takes in the next row of metrics.jsonl."""
        self.row = row
        self.losses.append(row["loss"])
        if "validation_loss" in row:
            new = (bits_per_character(row["validation_loss"]), row["epoch"])
            best = min(new, self.validation[1]) if self.validation else new
            self.validation = new, best

    def warn(self, line: str) -> None:
        """Takes in a warning."""
        self.warnings = (*self.warnings, line)[-WARNINGS_SHOWN:]

    def seconds_left(self) -> float | None:
        """Until the last epoch, at the speed since the first call of `at`; None if that is not known."""
        if self.done >= self.epochs:
            return 0.0
        if not self._begun or self.done <= self._begun[1]:
            return None
        pace = (time.monotonic() - self._begun[0]) / (self.done - self._begun[1])
        return pace * (self.epochs - self.done)

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        """The panel, as wide as the terminal and not higher."""
        width, plain = options.max_width, options.ascii_only
        body = Table.grid(padding=(0, 1), expand=True)
        body.add_column(style="dim", no_wrap=True, overflow="crop", width=6)
        body.add_column(no_wrap=True, overflow="crop" if plain else "ellipsis", ratio=1)
        body.add_row("epoch", self._bar(width))
        if self.row is not None:
            body.add_row("loss", self._loss(width, plain))
            body.add_row("bpc", self._bits(self.row, width))
        most = max(0, min(SAMPLE_LINES, console.height - 8 - len(self.warnings)))
        sample = Text(visible(self.sample.rstrip(), plain))
        lines: list[Text] = []
        if sample:
            lines.extend(sample.wrap(console, max(1, width - MARGIN), overflow="fold"))
        for i, text in enumerate(lines[:most]):
            body.add_row("" if i else "sample", text)
        for warning in self.warnings:
            body.add_row(Text("!", "bold yellow"), Text(visible(warning, plain), "yellow"))
        if self.note:
            body.add_row("", Text(self.note, "dim"))
        box, title = ASCII if plain else ROUNDED, Text(visible(self.title, plain), "not dim bold")
        yield Panel(body, title=title, title_align="left", box=box, border_style="dim", width=width)

    def _bar(self, width: int) -> Table:
        number = min(self.epochs, math.floor(self.done) + 1)
        left = self.seconds_left()
        clock = "" if left is None else f"{datetime.timedelta(seconds=round(left))} left"
        grid = Table.grid(padding=(0, 1), expand=True)
        for ratio in (None, 1, None, None):
            grid.add_column(no_wrap=True, ratio=ratio)
        bar = ProgressBar(self.epochs, self.done) if width >= NARROW else ""
        grid.add_row(f"{number}/{self.epochs}", bar, f"{self.done / self.epochs:.0%}", clock)
        return grid

    def _loss(self, width: int, ascii_only: bool) -> Text:
        number = f"{self.losses[-1]:.3f} nats "
        bars = sparkline(self.losses, max(1, width - MARGIN - len(number)), ascii_only)
        return Text.assemble((number, "bold"), (bars, "cyan"))

    def _bits(self, row: dict[str, Any], width: int) -> Text:
        parts = [f"{row['bpc']:.3f}"]
        if self.validation:
            (new, _), (best, epoch) = self.validation
            parts.append(f"validation {new:.3f}")
            parts += [f"best {best:.3f} at {epoch}"] if width >= NARROW else []
        parts.append(f"{row['chars_per_second']:,.0f} characters/s")
        return Text("   ".join(parts))


def live(view: View, console: Console, transient: bool) -> Live:
    """Draws a view at the bottom of the terminal, a few times a second, within a `with` block.

    Args:
      view: is drawn as it is at that time.
      console: a terminal.
      transient: whether it goes away at the end.
    """
    return Live(view, console=console, refresh_per_second=REFRESHES, transient=transient)


def shows(console: Console) -> bool:
    """Whether a view can be drawn there: on a terminal that lets the cursor move."""
    return console.is_interactive and not console.quiet


def sparkline(values: Sequence[float], width: int, ascii_only: bool = False) -> str:
    """The finite values as a line of bars, at most so many, each the mean of its share of them."""
    values = [value for value in values if math.isfinite(value)]
    if not values:
        return ""
    bars, N = ASCII_BARS if ascii_only else BARS, len(values)
    width = min(width, N)
    edges = [i * N // width for i in range(width + 1)]
    means = [math.fsum(values[a:b]) / (b - a) for a, b in itertools.pairwise(edges)]
    low, high = min(means), max(means)
    scale = (len(bars) - 1) / (high - low) if high > low else 0.0
    return "".join(bars[round((mean - low) * scale)] for mean in means)


def visible(text: str, ascii_only: bool = False) -> str:
    """A text whose control characters are shown, not obeyed by the terminal; white space stays."""

    def one(c: str) -> str:
        c = c if c.isprintable() or c in "\n\t" else repr(c)[1:-1]
        return ascii(c)[1:-1] if ascii_only and not c.isascii() else c

    return "".join(map(one, text))
