"""The figures of a report of runs."""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from rnnzoo.instruments import memory
from rnnzoo.instruments.gates import BINS, CLOSED, OPEN
from rnnzoo.loss import NATS_PER_BIT
from rnnzoo.report.figure import Figure, Heat, Line, file_name
from rnnzoo.report.material import Material, finite

MOST_POINTS = 600  # of a line; of more, means of neighbours are drawn
SMOOTHED = 40  # points of a smoothed line
LEAST_NORM = 1e-12  # of a gradient, for its figure


def curves(materials: Sequence[Material]) -> Iterator[Figure]:
    """Loss against epochs, characters and seconds, in bits and in nats per character."""
    axes = {"epochs": "epoch", "characters": "characters read", "seconds": "seconds of training"}
    units = {"bits": ("bits per character", NATS_PER_BIT), "nats": ("nats per character", 1.0)}
    known = all(m.characters for m in materials)
    ends = "; ".join(_end(m) for m in materials)
    for axis, x_label in axes.items():
        for unit, (y_label, size) in units.items():
            if axis != "epochs" and not known:
                continue
            lines = [line for i, m in enumerate(materials) for line in _curve(i, m, axis, size)]
            caption = (
                "Loss of training (solid, smoothed; raw values faint) and validation (dashed). "
                f"{ends}."
            )
            yield Figure(
                f"curves-{axis}-{unit}", "Loss", caption, x_label, y_label, lines,
                group="curves", choice=(axis, unit),
            )  # fmt: skip


def _end(m: Material) -> str:
    last = f"{m.name} ends at {m.rows[-1]['bpc']:.3f} bits per character in training"
    best = m.best
    return last + (f", its best validation is {best['validation_bpc']:.3f}" if best else "")


def _curve(i: int, m: Material, axis: str, size: float) -> Iterator[Line]:
    epochs = np.array([row["epoch"] for row in m.rows])
    x = {"epochs": epochs, "characters": epochs * (m.characters or 0), "seconds": m.seconds}
    x = np.asarray(x[axis], float)
    loss = np.array([row["loss"] for row in m.rows]) / size
    spread = np.array([row.get("loss_spread", 0.0) for row in m.rows]) / size
    band = {"low": loss - spread, "high": loss + spread} if spread.any() else {}
    if len(loss) > SMOOTHED and not band:
        yield Line(f"{m.name}, raw", i, *_thin(x, loss), style="faint")
        loss = smooth(loss, len(loss) // SMOOTHED)
    x_thin, loss, *edges = _thin(x, loss, *band.values())
    yield Line(m.name, i, x_thin, loss, *edges)
    at = [k for k, row in enumerate(m.rows) if "validation_loss" in row]
    if at:
        losses = [m.rows[k]["validation_loss"] / size for k in at]
        yield Line(f"{m.name}, validation", i, x[at].tolist(), losses, style="dash")


def smooth(values: np.ndarray, span: int) -> np.ndarray:
    """The mean of each value and those around it, `span` in all, fewer at the ends."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    at = np.arange(len(values))
    first, last = np.maximum(0, at - span // 2), np.minimum(len(values), at + (span + 1) // 2)
    return (sums[last] - sums[first]) / (last - first)


def _thin(*arrays: np.ndarray) -> list[list[float]]:
    """Means of neighbours, so that there are at most `MOST_POINTS`."""
    step = -(-len(arrays[0]) // MOST_POINTS)
    cuts = range(0, len(arrays[0]), step)
    return [[float(np.mean(a[i : i + step])) for i in cuts] for a in arrays]


def gates(materials: Sequence[Material]) -> Iterator[Figure | Heat]:
    """How saturated each gate is while a run trains, and the histogram of its values."""
    for i, m in enumerate(materials):
        by_epoch = m.observed or ({m.rows[-1]["epoch"]: m.look.observed} if m.look else {})
        series: dict[tuple, dict[int, dict]] = {}
        for epoch, signals in by_epoch.items():
            for s in signals:
                if s["kind"] == "gate":
                    series.setdefault((s["layer"], s["name"]), {})[epoch] = s
        if not series:
            continue
        lines, said = [], []
        for number, ((layer, name), rows) in enumerate(series.items()):
            label, epochs, last = f"layer {layer}, {name}", list(rows), list(rows.values())[-1]
            shares = {key: [100 * r[key] for r in rows.values()] for key in ("below", "above")}
            lines += [
                Line(f"{label} {what}", i, epochs, shares[key], style=style, color=number)
                for what, key, style in (("closed", "below", "solid"), ("open", "above", "dash"))
            ]
            said.append(f"{label} {last['below']:.0%} closed and {last['above']:.0%} open")
        caption = (
            f"Share of each gate's values below {CLOSED} (closed, solid) and above {OPEN} (open, "
            f"dashed). At the end: {'; '.join(said)}."
        )
        yield Figure(
            f"gates-{file_name(m.name)}", f"Saturated gates: {m.name}", caption, "epoch", "per cent",
            lines, group="gates", choice=(m.name,),
        )  # fmt: skip
        for (layer, name), rows in series.items():
            shares = np.array([r["counts"] for r in rows.values()], float).T
            shares /= shares.sum(axis=0)
            means = [r["mean"] for r in rows.values()]
            caption = (
                "How often each value of the gate, from 0 (closed) to 1 (open). Mean "
                f"{means[-1]:.2f} at the end."
            )
            yield Heat(
                f"gate-{file_name(m.name)}-{layer}-{file_name(name)}",
                f"{m.name}: layer {layer}, gate {name}",
                caption, "epoch", "value of the gate", list(rows), (np.arange(BINS) + 0.5) / BINS,
                shares,
            )  # fmt: skip


def gradients(materials: Sequence[Material]) -> Figure:
    """How far back gradients reach."""
    lines, said = [], []
    for i, m in _looked(materials):
        quartiles = np.quantile(m.look.norms, [0.25, 0.5, 0.75], axis=1)
        lags = int((quartiles[0] > LEAST_NORM).cumprod().sum())  # below it, there is but rounding
        low, median, high = quartiles[:, :lags]
        lines.append(Line(m.name, i, list(range(lags)), median, low, high))
        said.append(
            f"{m.name} {median[-1]:.1e} after {lags - 1} characters, and first below a tenth after "
            f"{finite(memory.horizon(m.look.norms))}"
        )
    return Figure(
        "gradients", "Gradients through time",
        "The norm of ds_T/ds_(T-k), the gradient of the state with regard to an earlier one, 1 for "
        "k = 0: median and quartiles over stretches of text. Towards 0 gradients vanish, above 1 they "
        f"explode. {'; '.join(said)}.",
        "k, characters back", "norm", lines, log_y=True,
    )  # fmt: skip


def spectrum(materials: Sequence[Material]) -> Figure | None:
    """The eigenvalues of the recurrent Jacobian; None if no run has any."""
    lines, said = [], []
    for i, m in _looked(materials):
        if m.look.eigenvalues is None:
            said.append(f"{m.name} has too large a state")
            continue
        values = m.look.eigenvalues.ravel()
        lines.append(Line(m.name, i, values.real, values.imag, style="points"))
        radii = np.abs(m.look.eigenvalues).max(axis=1)
        near = (np.abs(values) > 0.9).mean()
        said.append(
            f"{m.name} has its largest at {radii.mean():.2f} from 0 in the mean, and {near:.0%} of "
            "them beyond 0.9"
        )
    if not lines:
        return None
    angles = np.linspace(0, 2 * math.pi, 100)
    lines.append(Line("unit circle", None, np.cos(angles), np.sin(angles), style="dot"))
    return Figure(
        "spectrum", "Spectrum of the recurrent Jacobian",
        "Eigenvalues of ds_t/ds_(t-1) at a few characters. Those near the unit circle keep what was "
        f"read, those near 0 forget it at once. {'; '.join(said)}.",
        "real part", "imaginary part", lines, square=True,
    )  # fmt: skip


def after_reset(materials: Sequence[Material]) -> Figure:
    """The loss by position after a reset of the state."""
    lines, said = [], []
    for i, m in _looked(materials):
        octaves = m.look.reset.by_octave()
        x = [math.sqrt(first * last) for first, last, *_ in octaves]
        cold, warm = ([o[k] / NATS_PER_BIT for o in octaves] for k in (2, 3))
        lines += [Line(m.name, i, x, cold), Line(f"{m.name}, warm", i, x, warm, style="dash")]
        said.append(
            f"{m.name} is within {memory.TOLERANCE} nats of the warm state's loss from character "
            f"{finite(m.look.reset.context())} on"
        )
    return Figure(
        "reset", "Loss after a reset: cold state against warm",
        "Loss of the k-th character after the state was set back (solid), and of the same characters "
        f"with the state carried on (dashed), by octaves of k. {'; '.join(said)}.",
        "k, characters since the reset", "bits per character", lines, log_x=True,
    )  # fmt: skip


def _looked(materials: Sequence[Material]) -> list[tuple[int, Material]]:
    return [(i, m) for i, m in enumerate(materials) if m.look]


def all_figures(materials: Sequence[Material]) -> list[Figure | Heat]:
    """Every figure of a report, in its order."""
    found: list[Figure | Heat | None] = [*curves(materials), *gates(materials)]
    if _looked(materials):
        found += [gradients(materials), spectrum(materials), after_reset(materials)]
    return [figure for figure in found if figure]
