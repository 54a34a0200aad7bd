"""How the time of a training step grows with T, B, H, the layers and V, one of them at a time.

    python -m benchmarks.scaling

The step is that of the whole language model: loss, gradient and clipped Adam update on a piece of T
characters, in one compiled call with donated buffers. All points are timed in one interleaved run,
together with the machine's limits; the plot beside the JSON draws the least time that these leave to
the counted work (`benchmarks.cost`, `benchmarks.limits`) under the time measured. What the count leaves
out, above all the update and activations, is no part of that limit.
"""

import functools
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

import rnnzoo
from benchmarks import limits, report, settings, timing, workloads
from rnnzoo import cost, registry
from rnnzoo.model import language_model

BASE = (
    settings.CELL,
    settings.HIDDEN_SIZE,
    settings.TRUNCATION,
    settings.VOCABULARY_SIZE,
    settings.BATCH_SIZE,
    settings.ROUNDS,
)


def _values(variable: str, default: list[int]):
    return settings.define_numbers(f"vary_{variable}", default, f"The values of {variable}.")


VARIABLES = {
    "T": "T, time steps of a piece",
    "B": "B, rows of text",
    "H": "H, hidden units",
    "layers": "layers",
    "V": "V, different characters",
}
VARY = {
    "T": _values("T", [16, 32, 64, 128, 256, 512]),
    "B": _values("B", [1, 2, 4, 8, 16, 32, 64, 128]),
    "H": _values("H", [32, 64, 128, 256, 512, 1024]),
    "layers": _values("layers", [1, 2, 4, 8]),
    "V": _values("V", [16, 64, 256, 1024, 4096]),
}
USED = (*BASE, *VARY.values())
GREY = "0.35"


class Point(NamedTuple):
    """The sizes of one training step."""

    T: int
    B: int
    H: int
    layers: int
    V: int


def training_step(cell: str, point: Point) -> tuple[Callable[[], jax.Array], cost.Cost]:
    """A call that trains once more at that point, and what a time step of it costs at least."""
    make_core = functools.partial(rnnzoo.make, cell, point.H, layers=point.layers)
    model = language_model(make_core, point.V)
    params = jax.jit(model.init)(jax.random.key(0))
    ids = workloads.random_piece(point.T, point.B, point.V)
    counted = cost.of_language_model(make_core, point.V, point.B)
    return workloads.training_step(model, params, ids), counted


def points(bases: Sequence[Point], vary: Mapping[str, Sequence[int]]) -> list[tuple[str, Point]]:
    """Each variable with its points: all its values, from each base point; none twice."""
    return list(
        dict.fromkeys(
            (variable, base._replace(**{variable: value}))
            for variable, values in vary.items()
            for base in bases
            for value in sorted(values)
        )
    )


def measure(
    cell: str,
    hidden_size: int,
    truncation: int,
    vocabulary_size: int,
    batch_size: list[int],
    rounds: int,
    vary: Mapping[str, Sequence[int]],
) -> list[dict]:
    """Times the training step along each variable, from one base point for each batch size.

    Args:
      cell: a registered name; the base points have one layer of it.
      hidden_size: H of the base points.
      truncation: T of the base points.
      vocabulary_size: V of the base points.
      batch_size: B of the base points.
      rounds: samples of each.
      vary: the values by the variable's name in `Point`.

    Returns:
      One row for each variable and point, with the point's B and the variable's `value`.

    Raises:
      UserError: an unknown cell.
    """
    registry.entry(cell)
    bases = [Point(truncation, B, hidden_size, 1, vocabulary_size) for B in batch_size]
    wanted = points(bases, vary)
    calls, costs, first_calls = {}, {}, {}
    for point in dict.fromkeys(point for _, point in wanted):  # the base point is on every line
        calls[point], costs[point] = training_step(cell, point)
        first_calls[point], _ = timing.first_call(calls[point])
    calls |= {probe: probe.call for probe in limits.probes(batch_size)}
    timings = timing.interleave(calls, rounds)
    machine = limits.Limits.of(timings)
    rows = {}
    for point, counted in costs.items():
        flops, loops = counted.training_flops, counted.training_loops
        seconds = timings[point].median
        rows[point] = {
            "characters_per_second": point.T * point.B / seconds,
            "first_call_seconds": first_calls[point],
            **machine.against(flops, loops, point.T, seconds),
            **timings[point].as_json(),
        }
    return [
        {"variable": variable, "value": getattr(point, variable), "batch_size": point.B}
        | rows[point]
        for variable, point in wanted
    ]


def plot(rows: Sequence[dict], base: Mapping[str, Any], path: pathlib.Path) -> None:
    """Draws a panel for each variable, and writes it as PNG and SVG beside `path`.

    Args:
      rows: as of `measure`.
      base: its arguments, but for `vary`.
      path: a file's; its suffix is replaced.
    """
    figure = Figure(figsize=(11, 6.8), layout="constrained")
    panels = figure.subplots(2, 3, sharey=True)
    *axes_of, left_over = panels.flat
    colors = {B: f"C{i}" for i, B in enumerate(sorted(set(base["batch_size"])))}
    crossings = {"T": base["truncation"], "H": base["hidden_size"], "layers": 1}
    crossings["V"] = base["vocabulary_size"]
    for axes, (variable, name) in zip(axes_of, VARIABLES.items(), strict=True):
        line = [row for row in rows if row["variable"] == variable]
        if variable == "B":
            _draw_line(axes, line, GREY)
        for B, color in colors.items() if variable != "B" else ():
            _draw_line(axes, [row for row in line if row["batch_size"] == B], color)
        for crossing in {crossings.get(variable, B) for B in colors}:
            axes.axvline(crossing, color=GREY, linestyle=":", linewidth=1)
        _label(axes, name, sorted({row["value"] for row in line}))
    for axes in panels[:, 0]:
        axes.set_ylabel("milliseconds per training step")
    _draw_legend(left_over, colors)
    title = (
        "Training step of {cell}: one layer, H = {hidden_size}, T = {truncation}, "
        "V = {vocabulary_size}, one of them varied at a time"
    )
    figure.suptitle(title.format(**base))
    for suffix in (".png", ".svg"):
        figure.savefig(path.with_suffix(suffix), dpi=150)


def _draw_line(axes: Axes, line: Sequence[dict], color: str) -> None:
    """The time measured, with its quartiles, and below it what the limit would allow."""
    x = [row["value"] for row in line]
    measured = [1000 * row["median_seconds"] for row in line]
    least = [1000 * row["limit_seconds"] for row in line]
    for value, row in zip(x, line, strict=True):
        low, high = row["quartiles_seconds"]
        axes.vlines(value, 1000 * low, 1000 * high, color=color, linewidth=4, alpha=0.3)
    axes.plot(x, measured, "o-", color=color, markersize=4)
    axes.plot(x, least, "--", color=color, linewidth=1)
    axes.fill_between(x, least, measured, color=color, alpha=0.08, linewidth=0)


def _label(axes: Axes, name: str, values: Sequence[int]) -> None:
    """Logarithmic axes in plain numbers."""
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(values, [f"{value:,}" for value in values])
    axes.set_xticks([], minor=True)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda ms, _: f"{ms:,g}"))
    axes.set_xlabel(name)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_legend(axes: Axes, colors: Mapping[int, str]) -> None:
    """What the colours and the kinds of line mean, in the panel that is left over."""
    axes.set_axis_off()
    lines = [
        *((f"B = {B}", {"color": color, "marker": "o"}) for B, color in colors.items()),
        ("B varies", {"color": GREY, "marker": "o"}),
        ("the least that the machine's\nlimits allow", {"color": GREY, "linestyle": "--"}),
        ("where the panels meet", {"color": GREY, "linestyle": ":"}),
    ]
    handles = [Line2D([], [], label=label, markersize=4, **style) for label, style in lines]
    axes.legend(handles=handles, loc="center", frameon=False, fontsize="large", labelspacing=0.8)


def main() -> None:
    """Measures what the flags say, prints the table, writes the file and the plots beside it."""
    base = settings.values(BASE)
    rows = measure(**base, vary={name: flag.value for name, flag in VARY.items()})
    path = report.write("scaling", settings.values(USED), rows, settings.OUT.value)
    plot(rows, base, path)
    report.show(
        f"Training step of {settings.CELL.value} against one variable at a time",
        ["variable", "value", "B", "ms", "spread", "limit, ms", "of limit", "characters/s"],
        [
            (
                row["variable"],
                f"{row['value']:,}",
                str(row["batch_size"]),
                f"{1000 * row['median_seconds']:,.2f}",
                report.spread(row),
                f"{1000 * row['limit_seconds']:,.2f}",
                f"{row['limit_fraction']:.0%}",
                f"{row['characters_per_second']:,.0f}",
            )
            for row in rows
        ],
        path,
    )


if __name__ == "__main__":
    settings.run(main, USED)
