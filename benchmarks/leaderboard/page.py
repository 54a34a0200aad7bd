"""The leaderboard's page, its figures, and its table for the documents."""

import math
import pathlib
import statistics
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from benchmarks import markdown
from benchmarks.leaderboard import board
from benchmarks.leaderboard.board import Place, Row
from rnnzoo.report import html, static
from rnnzoo.report.figure import Figure, Heat, Line


def figures(rows: Sequence[Row]) -> list[Figure | Heat]:
    """Every figure of the board."""
    places = board.places(rows)
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    numbers = {place.cell: i for i, place in enumerate(places)}
    # Means over different tasks do not compare.
    alike = [place for place in places if place.missing == places[0].missing]
    return [
        _matrix(places, tasks),
        _against_speed(alike),
        _against_parameters(alike, rows),
        *_by_length(rows, numbers),
        *_curves(rows, numbers),
    ]


def _matrix(places: Sequence[Place], tasks: Sequence[str]) -> Heat:
    missing = math.nan, math.nan
    found = np.array([[place.scores.get(task, missing) for task in tasks] for place in places])
    best = places[0]
    return Heat(
        "matrix", "Cells and tasks",
        "Score of each cell on each task, mean and standard deviation of the seeds: 0 is chance, 1 is "
        f"all there is; the best cell first. {best.cell} leads with {best.score:.2f} in the mean.",
        "task", "cell", list(tasks), [place.cell for place in places], found[..., 0],
        unit="score", most=1.0, written=True, spread=found[..., 1], group="matrix",
    )  # fmt: skip


def _against_speed(places: Sequence[Place]) -> Figure:
    front = pareto([(p.speed, p.score) for p in places])
    names = ", ".join(places[i].cell for i in front)
    line = Line("not to be beaten in both", None, [places[i].speed for i in front],
                [places[i].score for i in front], style="dot")  # fmt: skip
    points = [Line(p.cell, i, [p.speed], [p.score], style="points") for i, p in enumerate(places)]
    return Figure(
        "speed", "Quality against speed",
        "Mean score against the time steps of training per second. No cell is both better and faster "
        f"than {names}.",
        "time steps per second", "mean score", [*points, line], log_x=True, group="pareto",
    )  # fmt: skip


def _against_parameters(places: Sequence[Place], rows: Sequence[Row]) -> Figure:
    lines = []
    for i, place in enumerate(places):
        counts = [row["parameters"] for row in rows if row["cell"] == place.cell]
        lines.append(Line(place.cell, i, [statistics.fmean(counts)], [place.score], style="points"))
    return Figure(
        "parameters", "Quality against parameters",
        "Mean score against the parameters, the mean over the tasks: as nearly equal as whole hidden "
        "sizes allow.",
        "parameters", "mean score", lines, group="pareto",
    )  # fmt: skip


def pareto(points: Sequence[tuple[float, float]]) -> list[int]:
    """Which points no other is above in one number without being below in the other; by the first."""
    found = []
    for i, (x, y) in enumerate(points):
        if not any(a >= x and b >= y and (a, b) != (x, y) for a, b in points):
            found.append(i)
    return sorted(found, key=lambda i: points[i][0])


def _by_length(rows: Sequence[Row], numbers: dict[str, int]) -> Iterator[Figure]:
    """Scores beyond the lengths of training."""
    for task in dict.fromkeys(row["task"] for row in rows):
        own = [r for r in rows if r["task"] == task and len(r["scores"][0]) > 1]
        lines = []
        for row in sorted(own, key=lambda row: numbers[row["cell"]]):
            lengths = sorted(map(int, row["scores"][0]))
            of_seeds = np.array(
                [[board.clipped(s[str(n)]) for n in lengths] for s in row["scores"]]
            )
            mean, low, high = of_seeds.mean(0), of_seeds.min(0), of_seeds.max(0)
            number = numbers[row["cell"]]
            lines.append(Line(row["cell"], number, lengths, mean, low, high))
        if lines:
            longest = {line.name: line.y[-1] for line in lines}
            kept = ", ".join(name for name, score in longest.items() if score > 0.9) or "no cell"
            yield Figure(
                f"length-{_file(task)}", f"{task}: beyond the lengths of training",
                f"Score by length, mean and range of the seeds; the first length is the longest of "
                f"training. Above 0.9 at the longest: {kept}.",
                "length", "score", lines, log_x=True, group="lengths", choice=(_file(task),),
            )  # fmt: skip


def _curves(rows: Sequence[Row], numbers: dict[str, int]) -> Iterator[Figure]:
    for task in dict.fromkeys(row["task"] for row in rows):
        lines = []
        for row in sorted((r for r in rows if r["task"] == task), key=lambda r: numbers[r["cell"]]):
            curve = np.array(row["curve"], float)
            finite = np.isfinite(curve).all(axis=1)
            x = (np.flatnonzero(finite) + 1) * 100 / len(curve)
            curve = curve[finite]
            if len(curve):
                mean, low, high = curve.mean(1), curve.min(1), curve.max(1)
                lines.append(Line(row["cell"], numbers[row["cell"]], x, mean, low, high))
        if lines:
            best = min(lines, key=lambda line: line.y[-1])
            yield Figure(
                f"curve-{_file(task)}", f"{task}: learning curves",
                "Training loss, mean and range of the seeds, at the best learning rate. "
                f"{best.name} ends lowest, at {best.y[-1]:.3g}.",
                "per cent of the training", "loss", lines, group="curves", choice=(_file(task),),
            )  # fmt: skip


def _file(name: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in name).strip("-")


def _sizes(rows: Sequence[Row]) -> dict[str, list[int]]:
    """The hidden sizes of each cell, the least first."""
    found: dict[str, set[int]] = {}
    for row in rows:
        found.setdefault(row["cell"], set()).add(row["hidden_size"])
    return {cell: sorted(sizes) for cell, sizes in found.items()}


def table(rows: Sequence[Row]) -> str:
    """The board as a Markdown table."""
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    columns = ["", "cell", "score", "longer", *(f"`{task}`" for task in tasks)]
    lines = []
    for number, place in enumerate(board.places(rows), 1):
        score = f"{place.score:.3f} ± {place.spread:.3f}"
        each = [_score(place.scores.get(task)) for task in tasks]
        lines.append([str(number), f"`{place.cell}`", score, _number(place.longer), *each])
    return markdown.table(columns, lines) + "\n"


def _score(found: tuple[float, float] | None) -> str:
    return "–" if found is None else f"{found[0]:.2f} ± {found[1]:.2f}"


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.2f}"


def write(
    rows: Sequence[Row], settings: dict[str, Any], page: str | None, folder: str | None
) -> list[pathlib.Path]:
    """Writes the page and the figures that are wanted.

    Returns:
      What was written.

    Raises:
      UserError: a library is missing.
    """
    found, written = figures(rows), []
    if page:
        html.check_libraries()
        places = board.places(rows)
        text = html.render(
            "page.html", found, {}, package="benchmarks.leaderboard", brand="rnnzoo leaderboard",
            title=f"budget {settings['budget']}", settings=settings, places=places,
            tasks=list(dict.fromkeys(row["task"] for row in rows)),
            palette=[static.palette(i) for i in range(len(places))], score=_score, number=_number,
            sizes=_sizes(rows),
        )  # fmt: skip
        written.append(pathlib.Path(page))
        written[0].write_text(text, encoding="utf-8")
    if folder:
        written += static.save(found, pathlib.Path(folder))
    return written
