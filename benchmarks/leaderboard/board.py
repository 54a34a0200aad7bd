"""The rows of a leaderboard, summed up."""

import pathlib
import statistics
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from benchmarks import report

Row = dict[str, Any]


def default_path(budget: str) -> pathlib.Path:
    """Where a budget's rows are kept."""
    return report.FOLDER / "results" / f"leaderboard_{budget}.json"


class Place(NamedTuple):
    """A cell's place on the board.

    Attributes:
      cell: its name.
      score: the mean over the tasks of the mean over the seeds, each from 0, nothing learned, to 1.
      spread: the standard deviation over the seeds of the mean over the tasks.
      longer: the same mean, over the tasks with longer sequences, at the longest; NaN without any.
      speed: time steps per second, the geometric mean over the tasks.
      scores: by task, (mean over the seeds, their standard deviation).
      missing: tasks that were not run.
    """

    cell: str
    score: float
    spread: float
    longer: float
    speed: float
    scores: dict[str, tuple[float, float]]
    missing: list[str]


def clipped(score: float) -> float:
    """A score within 0 and 1: what is worse than chance is 0, and so is what is not finite."""
    return min(max(score, 0.0), 1.0) if score == score else 0.0


def places(rows: Sequence[Row]) -> list[Place]:
    """The board, the best cell first; cells that ran fewer tasks come after those with more."""
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    found = [_place(cell, rows, tasks) for cell in dict.fromkeys(row["cell"] for row in rows)]
    return sorted(found, key=lambda place: (len(place.missing), -place.score))


def _place(cell: str, rows: Sequence[Row], tasks: Sequence[str]) -> Place:
    own = {row["task"]: row for row in rows if row["cell"] == cell}
    first = {task: by_seed(row, lambda lengths: lengths[0]) for task, row in own.items()}
    longer = [
        statistics.fmean(by_seed(row, lambda lengths: lengths[-1]))
        for row in own.values()
        if len(row["scores"][0]) > 1
    ]
    of_seeds = [statistics.fmean(seed) for seed in zip(*first.values(), strict=True)]
    return Place(
        cell,
        statistics.fmean(of_seeds),
        _spread(of_seeds),
        statistics.fmean(longer) if longer else float("nan"),
        statistics.geometric_mean([row["steps_per_second"] for row in own.values()]),
        {task: (statistics.fmean(s), _spread(s)) for task, s in first.items()},
        [task for task in tasks if task not in own],
    )


def by_seed(row: Row, pick: Callable[[list[str]], str]) -> list[float]:
    """Each seed's score at the length that is picked from those measured, shortest first."""
    return [clipped(s[pick(sorted(s, key=int))]) for s in row["scores"]]


def _spread(values: Sequence[float]) -> float:
    return statistics.stdev(values) if len(values) > 1 else 0.0
