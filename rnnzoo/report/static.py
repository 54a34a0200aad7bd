"""Figures as PNG and SVG, by matplotlib."""

import pathlib
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure as Canvas
from matplotlib.patches import Rectangle

from rnnzoo.report.figure import Figure, Heat, Line, file_name
from rnnzoo.report.material import Material

# Okabe & Ito's colours, which the colour-blind tell apart, then some of Tol's.
PALETTE = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9",
    "#332288", "#882255", "#999933", "#AA4499", "#44AA99", "#DDAA33",
)  # fmt: skip
# With their sizes; the next one where the colours come again.
MARKERS: dict[str, float] = {".": 11, "s": 5.5, "^": 6}
MANY = 8  # lines: the legend of more stands beside the figure instead of in it
STYLES = {"solid": "-", "dash": "--", "dot": ":", "faint": "-"}
LINE = 80  # characters of the reader's lines
SHOWN = 12  # lines
FEW = 9  # points, which are drawn large; more are a cloud
MOST_BITS = 8  # of a character, at the end of the colours


def color(line: Line) -> str:
    """A line's colour; a reference is grey."""
    number = _number(line)
    return "#808080" if number is None else palette(number)


def _number(line: Line) -> int | None:
    return line.run if line.color is None else line.color


def lap(line: Line) -> int:
    """How many times all colours were given away before this line's."""
    return (_number(line) or 0) // len(PALETTE)


def palette(number: int) -> str:
    """The colour of that number; there are as many as `PALETTE` has, over and over."""
    return PALETTE[number % len(PALETTE)]


def save(
    figures: Sequence[Figure | Heat], folder: pathlib.Path, materials: Sequence[Material] = ()
) -> list[pathlib.Path]:
    """Writes every figure, and the text as each run reads it, as PNG and as SVG.

    Returns:
      The paths.
    """
    folder.mkdir(parents=True, exist_ok=True)
    drawn = {figure.key: draw(figure) for figure in figures}
    drawn |= {f"text-{file_name(m.name)}": draw_text(m) for m in materials if m.look}
    paths: list[pathlib.Path] = []
    with matplotlib.rc_context({"svg.hashsalt": "rnnzoo"}):  # the same figure, the same file
        for key, canvas in drawn.items():
            for ending, notes in (("png", {}), ("svg", {"metadata": {"Date": None}})):
                paths.append(folder / f"{key}.{ending}")
                canvas.savefig(paths[-1], dpi=150, **notes)
    return paths


def _size(figure: Figure | Heat) -> tuple[float, float]:
    if isinstance(figure, Heat) and figure.written:
        row = 0.3 if figure.spread is None else 0.4
        return 3.5 + 0.5 * len(figure.x), 2 + row * len(figure.y)
    wide, high = (6, 5.4) if getattr(figure, "square", False) else (7, 4.2)
    return wide + 1.5 * _crowded(figure), high


def draw(figure: Figure | Heat) -> Canvas:
    """A figure with its title, axes and legend."""
    canvas = Canvas(figsize=_size(figure))
    canvas.set_layout_engine("constrained")
    axes = canvas.subplots()
    axes.set(title=figure.title, xlabel=figure.x_label, ylabel=figure.y_label)
    if isinstance(figure, Heat):
        _add_heat(canvas, axes, figure)
        return canvas
    for line in figure.lines:
        _add(axes, line)
    if figure.log_x:
        axes.set_xscale("log")
    if figure.log_y:
        axes.set_yscale("log")
    if figure.square:
        axes.set_aspect("equal", "datalim")
    axes.grid(alpha=0.25)
    place, where = (canvas, "outside right upper") if _crowded(figure) else (axes, "best")
    place.legend(loc=where, fontsize="small", frameon=False)
    return canvas


def _crowded(figure: Figure | Heat) -> bool:
    if isinstance(figure, Heat):
        return False
    return sum(line.style != "faint" for line in figure.lines) > MANY


def _add_heat(canvas: Canvas, axes: Axes, figure: Heat) -> None:
    x, y = (range(len(p)) if isinstance(p[0], str) else p for p in (figure.x, figure.y))
    colors = {"cmap": "cividis", "vmin": 0, "vmax": figure.most}
    mesh = axes.pcolormesh(edges(x), edges(y), figure.values, **colors)
    canvas.colorbar(mesh, label=figure.unit)
    if isinstance(figure.x[0], str):
        axes.set_xticks(x, figure.x, rotation=45, ha="right", rotation_mode="anchor")
    if isinstance(figure.y[0], str):
        axes.set_yticks(y, figure.y)
        axes.invert_yaxis()
    if figure.written:
        bright = 0.6 * (figure.most or np.nanmax(figure.values))
        for (i, j), value in np.ndenumerate(figure.values):
            shade = "white" if value <= bright else "black"
            text = figure.text(i, j).replace(" ", "\n")
            axes.text(x[j], y[i], text, ha="center", va="center", color=shade, fontsize=7)


def _add(axes: Axes, line: Line) -> None:
    shade = color(line)
    if line.style == "points":
        marker = [*MARKERS][lap(line) % len(MARKERS)]
        size, alpha = (MARKERS[marker], 1) if len(line.x) <= FEW else (2.5, 0.6)
        axes.plot(
            line.x, line.y, marker, color=shade, label=line.name, markersize=size, alpha=alpha
        )  # fmt: skip
        return
    faint = line.style == "faint"
    axes.plot(
        line.x, line.y, STYLES[line.style], color=shade, label=None if faint else line.name,
        alpha=0.3 if faint else 1, linewidth=0.8 if faint else 1.6,
        marker="." if len(line.x) == 1 else None,
    )  # fmt: skip
    if line.low is not None:
        axes.fill_between(line.x, line.low, line.high, color=shade, alpha=0.15, linewidth=0)


def edges(centres: Sequence[float]) -> np.ndarray:
    """The edges of cells around centres, which need not be evenly spaced."""
    centres = np.asarray(centres, float)
    if len(centres) == 1:
        return np.array([centres[0] - 0.5, centres[0] + 0.5])
    middle = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[2 * centres[0] - middle[0]], middle, [2 * centres[-1] - middle[-1]]])


def draw_text(material: Material) -> Canvas:
    """The beginning of the text, each character coloured by its loss."""
    look = material.look
    bits = look.inside.nats / np.log(2)
    canvas = Canvas(figsize=(9, 0.26 * SHOWN + 0.8))
    axes = canvas.add_axes((0.01, 0.12, 0.98, 0.76))
    axes.set(xlim=(0, LINE), ylim=(SHOWN, 0), title=f"{material.name}: bits for each character")
    axes.axis("off")
    colors = matplotlib.colormaps["YlOrRd"]
    x = y = 0
    for character, loss in zip(look.text[1:], bits, strict=True):
        if y >= SHOWN:
            break
        axes.add_patch(
            Rectangle((x, y), 1, 1, linewidth=0, facecolor=colors(min(loss / MOST_BITS, 1)))
        )
        axes.text(
            x + 0.5, y + 0.5, "↵" if character == "\n" else character.replace("$", r"\$"),
            family="monospace", ha="center", va="center", fontsize=9,
            color="white" if loss > 0.7 * MOST_BITS else "black",
        )  # fmt: skip
        x += 1
        if character == "\n" or x == LINE:
            x, y = 0, y + 1
    scale = canvas.add_axes((0.3, 0.06, 0.4, 0.03))
    mappable = ScalarMappable(Normalize(0, MOST_BITS), colors)
    canvas.colorbar(mappable, cax=scale, orientation="horizontal").ax.tick_params(labelsize=7)
    return canvas
