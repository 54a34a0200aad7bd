"""What a figure shows, apart from how it is drawn: `interactive` and `static` do that."""

import dataclasses
from collections.abc import Sequence

import numpy as np


@dataclasses.dataclass(frozen=True)
class Line:
    """One line, or a cloud of points.

    Attributes:
      name: for the legend.
      run: the number of its run; None for a reference.
      x: left to right.
      y: as many.
      low: the lower edge of a band around it, if any.
      high: the upper edge.
      style: 'solid', 'dash', 'dot', 'faint' (raw values behind a smooth line) or 'points'.
      color: the number of its colour; None for its run's.
    """

    name: str
    run: int | None
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None
    style: str = "solid"
    color: int | None = None


@dataclasses.dataclass(frozen=True)
class Figure:
    """What a figure shows.

    Attributes:
      key: its name as a file.
      title: its title.
      caption: what there is to see, in words and numbers, for those who don't see it too.
      x_label: with its unit.
      y_label: with its unit.
      lines: in the order of the legend.
      log_x: whether the axis is logarithmic.
      log_y: whether the axis is logarithmic.
      square: whether both axes have the same scale.
      group: figures of one group take turns in the same place.
      choice: what this one is called there, a word for each choice that a person has.
    """

    key: str
    title: str
    caption: str
    x_label: str
    y_label: str
    lines: list[Line]
    log_x: bool = False
    log_y: bool = False
    square: bool = False
    group: str = "memory"
    choice: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Heat:
    """A figure of one heat map.

    Attributes:
      key: as those of a `Figure`; and so on.
      x: the columns' places, or their names.
      y: the rows' places, or their names.
      values: [rows, columns]; NaN where there is none.
      unit: what the values are.
      most: the value at the end of the colours; None for the largest.
      written: whether the values are written into the map.
      spread: of the values, to be written beside them, [rows, columns].
    """

    key: str
    title: str
    caption: str
    x_label: str
    y_label: str
    x: Sequence[float] | Sequence[str]
    y: Sequence[float] | Sequence[str]
    values: np.ndarray
    unit: str = "share of the values"
    most: float | None = None
    written: bool = False
    spread: np.ndarray | None = None
    group: str = "heats"
    choice: tuple[str, ...] = ()

    def text(self, row: int, column: int) -> str:
        """What is written at a place."""
        value = self.values[row, column]
        if np.isnan(value):
            return "–"
        if self.spread is None:
            return f"{value:.2f}"
        return f"{value:.2f} ±{self.spread[row, column]:.2f}"


def file_name(name: str) -> str:
    """A name as a part of a file's."""
    return "".join(c if c.isalnum() or c in "-+." else "_" for c in name)
