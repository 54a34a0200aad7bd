"""Figures as plotly.js draws them: plain data, which the page holds as JSON."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from rnnzoo.report.figure import Figure, Heat, Line
from rnnzoo.report.static import FEW, color, lap

DASHES = {"solid": "solid", "dash": "dash", "dot": "dot", "faint": "solid"}
SYMBOLS = ("circle", "square", "triangle-up")  # as `MARKERS`
ROWS = 8  # of the table that says in numbers what a figure shows


def spec(figure: Figure | Heat) -> dict[str, Any]:
    """Traces and layout; `meta` of a trace says whose run's it is, and whether it shows raw values."""
    layout = {
        "xaxis": {"title": {"text": figure.x_label, "standoff": 8}, "automargin": True},
        "yaxis": {"title": {"text": figure.y_label, "standoff": 8}, "automargin": True},
    }
    if isinstance(figure, Heat):
        heat = {
            "type": "heatmap", "x": places(figure.x), "y": places(figure.y),
            "z": _values(figure.values), "colorscale": "Cividis", "zmin": 0,
            "hovertemplate": f"%{{x}}<br>%{{y}}<br>{figure.unit} %{{z:.3f}}<extra></extra>",
        }  # fmt: skip
        if figure.most:
            heat["zmax"] = figure.most
        if figure.written:
            rows, columns = figure.values.shape
            heat["text"] = [[figure.text(i, j) for j in range(columns)] for i in range(rows)]
            heat["texttemplate"] = "%{text}"
            layout["yaxis"]["autorange"] = "reversed"
        return {"data": [heat], "layout": layout}
    if figure.log_x:
        layout["xaxis"]["type"] = "log"
    if figure.log_y:
        layout["yaxis"] |= {"type": "log", "exponentformat": "power"}
    if figure.square:
        layout["yaxis"] |= {"scaleanchor": "x"}
    return {"data": [t for line in figure.lines for t in _traces(line)], "layout": layout}


def _traces(line: Line) -> list[dict[str, Any]]:
    shade = color(line)
    meta = {"run": line.run, "raw": line.style == "faint"}
    trace = {
        "type": "scatter", "name": line.name, "x": numbers(line.x), "y": numbers(line.y), "meta": meta,
        "mode": "lines" if len(line.x) > 1 else "markers",
        "line": {"color": shade, "width": 2, "dash": DASHES.get(line.style, "solid")},
        "marker": {"color": shade, "symbol": SYMBOLS[lap(line) % len(SYMBOLS)]},
    }  # fmt: skip
    if line.style == "points":
        cloud = {"size": 4, "opacity": 0.6} if len(line.x) > FEW else {"size": 11}
        trace |= {"mode": "markers", "marker": trace["marker"] | cloud}
    if line.style == "faint":
        trace |= {"opacity": 0.3, "showlegend": False, "hoverinfo": "skip"}
        trace["line"]["width"] = 1
    if line.low is None:
        return [trace]
    band = {
        "type": "scatter", "mode": "lines", "showlegend": False, "hoverinfo": "skip", "meta": meta,
        "x": numbers([*line.x, *reversed(line.x)]), "y": numbers([*line.high, *reversed(line.low)]),
        "fill": "toself", "fillcolor": f"{shade}26", "line": {"width": 0},
    }  # fmt: skip
    return [band, trace]


def _values(values: np.ndarray) -> list[list[float | None]]:
    """Rows of a heat map; JSON has no NaN."""
    return [[None if np.isnan(v) else v for v in row] for row in np.round(values, 4).tolist()]


def places(values: Sequence[float] | Sequence[str]) -> list[Any]:
    """Numbers as `numbers` gives them, or names."""
    return list(values) if isinstance(values[0], str) else numbers(values)


def numbers(values: Iterable[float]) -> list[float]:
    """Numbers with six digits, which is more than a screen shows."""
    return [float(f"{v:.6g}") for v in values]


def table(figure: Figure | Heat) -> tuple[list[str], list[list[str]]]:
    """What a figure shows as a table: its head, and some of its rows, evenly spread."""
    if isinstance(figure, Heat):
        named = lambda place: place if isinstance(place, str) else f"{place:.4g}"  # noqa: E731
        columns = range(len(figure.x)) if figure.written else _spread(len(figure.x))
        return [figure.x_label, *map(named, figure.y)], [
            [named(figure.x[i]), *("–" if np.isnan(v) else f"{v:.3f}" for v in figure.values[:, i])]
            for i in columns
        ]
    head, rows = ["line", figure.x_label, figure.y_label], []
    for line in figure.lines:
        if line.style not in ("faint", "points", "dot"):
            rows += [
                [line.name, f"{line.x[i]:.4g}", f"{line.y[i]:.4g}"] for i in _spread(len(line.x))
            ]
    return head, rows


def _spread(count: int) -> list[int]:
    return sorted({round(i) for i in np.linspace(0, count - 1, min(count, ROWS))})
