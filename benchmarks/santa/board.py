"""The board of Santa Claus: its rows, summed up and in order."""

import functools
import json
import math
import statistics
from collections.abc import Sequence
from typing import Any, NamedTuple

from benchmarks import gallery, report
from benchmarks.leaderboard.page import pareto
from rnnzoo.report.figure import Figure, Line

Row = dict[str, Any]
FLOORS = {"6-gram": "solid", "4-gram": "dash", "xz": "dot"}  # in the figure
SMOOTHING = "kneser-ney"  # of the n-grams that are shown: the better one


PATH = report.FOLDER / "results" / "santa.json"


class Place(NamedTuple):
    """A model's place.

    Attributes:
      name: a cell's, or a floor's.
      is_cell: whether it is a cell.
      bits: by epochs, the bits per character of the validation text, the mean over the seeds; None
        where it was not measured, or is not finite. Of a floor, by 0.
      seeds: how many.
      parameters: of the model; None of a floor.
      trained: bits per character of the training text, over the last epochs.
      microseconds: of a time step, see `step_times`; None of a floor, or a cell that is not there.
    """

    name: str
    is_cell: bool
    bits: dict[int, float | None]
    seeds: int = 0
    parameters: int | None = None
    trained: float | None = None
    microseconds: float | None = None

    @property
    def best(self) -> float:
        """The least of its bits; infinite without any."""
        return min((b for b in self.bits.values() if b is not None), default=math.inf)


def models(rows: Sequence[Row]) -> list[Row]:
    """The rows of cells."""
    return [row for row in rows if "cell" in row]


def places(rows: Sequence[Row]) -> list[Place]:
    """Cells and floors, the best first."""
    found = [
        Place(row["model"], False, {0: row["bits_per_character"]})
        for row in rows
        if "cell" not in row and row["smoothing"] in ("", SMOOTHING)
    ]
    for cell in dict.fromkeys(row["cell"] for row in models(rows)):
        found.append(_place([row for row in models(rows) if row["cell"] == cell]))
    return sorted(found, key=lambda place: place.best)


def _place(rows: Sequence[Row]) -> Place:
    epochs = sorted({int(epoch) for row in rows for epoch in row["bits"]})
    bits = {}
    for epoch in epochs:
        measured = [row["bits"].get(str(epoch)) for row in rows]
        bits[epoch] = statistics.fmean(measured) if None not in measured else None
    ends = [row["curve"][-1][1] for row in rows if row["curve"]]
    return Place(
        rows[0]["cell"],
        True,
        bits,
        len(rows),
        rows[0]["parameters"],
        statistics.fmean(ends) if ends else None,
        step_times().get(rows[0]["cell"]),
    )


@functools.cache
def step_times() -> dict[str, float]:
    """By cell, microseconds of a time step forward and backward, H = 256, one row.

    They were measured in turn, on a machine without other work, which no board that takes hours has.
    """
    rows = json.loads(gallery.TIMES.read_text("utf-8"))["rows"]
    return {
        row["cell"]: row["microseconds_per_step"]
        for row in rows
        if row["contender"] == "rnnzoo" and row["batch_size"] == 1
    }


def marks(rows: Sequence[Row]) -> list[int]:
    """The epochs after which any cell was measured."""
    return sorted({int(epoch) for row in models(rows) for epoch in row["bits"]})


def table(rows: Sequence[Row], most: int | None = None) -> tuple[list[str], list[list[str]]]:
    """The board's columns and lines.

    Args:
      rows: of the result file.
      most: how many cells; None for all. No floor is shown below the last of them.
    """
    epochs = marks(rows)
    measured = [f"{epoch:,} epochs" for epoch in epochs]
    columns = ["", "model", *measured, "training", "parameters", "µs/step"]
    lines, rank = [], 0
    for place in places(rows):
        if place.is_cell:
            if rank == most:
                break
            rank += 1
            bits = [place.bits.get(epoch) for epoch in epochs]
            lines.append(
                [str(rank), place.name, *(_bits(b) for b in bits), _bits(place.trained),
                 f"{place.parameters:,}", f"{place.microseconds:.0f}" if place.microseconds else "–"]
            )  # fmt: skip
        else:
            bits = _bits(place.bits[0])
            lines.append(["–", place.name, *[bits] * len(epochs), "–", "–", "–"])
    return columns, lines


def _bits(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def figure(rows: Sequence[Row]) -> Figure:
    """What each cell reaches, against the speed of its training."""
    bits = {place.name: place.best for place in places(rows)}
    worst = bits.get("1-gram", math.inf)
    cells = [p for p in places(rows) if p.is_cell and p.microseconds and p.best < worst]
    front = [cells[i] for i in pareto([(_speed(p), -p.best) for p in cells])]
    others = [place for place in cells if place not in front]
    ends = [min(map(_speed, cells)), max(map(_speed, cells))]
    return Figure(
        "santa-speed", "Santa Claus: quality against speed",
        "Bits per character of the validation text, the best of those measured, against time steps of "
        "training per second with one row. No cell is both better and faster than "
        f"{', '.join(p.name for p in front)}. Cells worse than counting single characters are left out.",
        "time steps per second", "bits per character",
        [
            _points("others", None, others),
            *(_points(p.name, i, [p]) for i, p in enumerate(front)),
            *(Line(name, None, ends, [bits[name]] * 2, style=s) for name, s in FLOORS.items()),
        ],
        log_x=True,
    )  # fmt: skip


def _speed(place: Place) -> float:
    return 1e6 / (place.microseconds or math.inf)


def _points(name: str, number: int | None, cells: Sequence[Place]) -> Line:
    return Line(name, number, [*map(_speed, cells)], [p.best for p in cells], style="points")
