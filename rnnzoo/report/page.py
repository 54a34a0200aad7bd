"""The report's page: its tables, and what its reader shows."""

import base64
import itertools
import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np

from rnnzoo import config as configs
from rnnzoo.instruments import Signal, memory
from rnnzoo.loss import NATS_PER_BIT
from rnnzoo.report import html, interactive
from rnnzoo.report.figure import Figure, Heat
from rnnzoo.report.material import Material, finite
from rnnzoo.report.static import palette

MOST_SHOWN_UNITS = 256  # of a signal in the reader, to keep the page small
PROBES_SHOWN = 3  # signals for each property


def render(materials: Sequence[Material], figures: Sequence[Figure | Heat]) -> str:
    """The page, which needs nothing else."""
    data = {
        "samples": [{"name": m.name, "epochs": list(m.samples.items())} for m in materials],
        "texts": [_text(m, i) for i, m in enumerate(materials) if m.look],
    }
    return html.render(
        "page.html",
        figures,
        data,
        brand="rnnzoo report",
        title=", ".join(m.name for m in materials),
        palette=[palette(i) for i in range(len(materials))],
        runs=[_row(m) for m in materials],
        differences=differences(materials),
        probes=[(m.name, i, _probes(m)) for i, m in enumerate(materials) if m.look],
        problems=[(m.name, m.problem) for m in materials if m.problem],
    )


def _row(m: Material) -> dict[str, Any]:
    """A run's row in the table."""
    best, cell, reset = m.best, m.run.config.cell, m.look and m.look.reset
    return {
        "name": m.name,
        "cell": cell.name + (f" × {cell.layers}" if cell.layers > 1 else ""),
        "hidden": cell.hidden_size,
        "parameters": f"{m.parameters:,}",
        "validation": f"{best['validation_bpc']:.3f}" if best else "none",
        "validation_epoch": best["epoch"] if best else None,
        "training": f"{m.rows[-1]['bpc']:.3f}",
        "epochs": m.rows[-1]["epoch"],
        "speed": f"{statistics.median(row['chars_per_second'] for row in m.rows):,.0f}",
        "time": _time(m.seconds[-1]) if m.characters else "unknown",
        "context": finite(reset.context()) if reset else "unknown",
        "horizon": finite(memory.horizon(m.look.norms)) if m.look else "unknown",
    }


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def differences(materials: Sequence[Material]) -> list[tuple[str, list[str]]]:
    """The config keys in which the runs differ, each with every run's value."""
    flat = [dict(configs.flatten(m.run.config)) for m in materials]
    keys = dict.fromkeys(key for config in flat for key in config)
    rows = [(key, [repr(c[key]) if key in c else "not set" for c in flat]) for key in keys]
    return [row for row in rows if len(set(row[1])) > 1]


def _probes(m: Material) -> list[dict[str, Any]]:
    """For each property, the signals that tell it best, and where the reader finds the unit."""
    signals, found = list(m.look.inside.signals), []
    for _, probes in itertools.groupby(m.look.probes, key=lambda p: p.property):
        for probe in sorted(probes, key=lambda p: -p.unit_score)[:PROBES_SHOWN]:
            index = signals.index(probe.signal)
            found.append({**probe._asdict(), "signal": str(probe.signal), "index": index})
    return found


def _text(m: Material, run: int) -> dict[str, Any]:
    """What the reader shows of a run: characters, and numbers as bytes between two ends."""
    inside = m.look.inside
    bits = {"loss": inside.nats, "uncertainty": inside.entropies}
    return {
        "run": run,
        "name": m.name,
        "part": m.look.part,
        "characters": m.look.text,
        "losses": [
            {"name": name, **_bytes(nats[:, None] / NATS_PER_BIT, 0.0, 8.0)}
            for name, nats in bits.items()
        ],
        "signals": [_signal(m, signal, values) for signal, values in inside.signals.items()],
    }


def _signal(m: Material, signal: Signal, values: np.ndarray) -> dict[str, Any]:
    """All units or, of many, some: those that probes found among them."""
    wanted = {p.unit for p in m.look.probes if p.signal == signal}
    wanted |= set(range(0, signal.units, -(-signal.units // MOST_SHOWN_UNITS)))
    numbers = sorted(wanted)
    values = values[:, numbers]
    most = np.maximum(np.abs(values).max(axis=0), 1e-6)  # each unit has its own
    low, high = (0 * most, 1 + 0 * most) if signal.kind == "gate" else (-most, most)
    packed = _bytes(values, low, high)
    return {"name": str(signal), "kind": signal.kind, "numbers": numbers, **packed}


def _bytes(values: np.ndarray, low, high) -> dict[str, Any]:
    """Numbers [N, units] as bytes from each unit's low to its high, [units]."""
    low, high = np.broadcast_to(low, values.shape[1]), np.broadcast_to(high, values.shape[1])
    scaled = np.clip((values - low) / (high - low), 0, 1) * 255
    packed = base64.b64encode(scaled.round().astype(np.uint8).tobytes()).decode()
    ends = {"low": interactive.numbers(low), "high": interactive.numbers(high)}
    return {"units": values.shape[1], **ends, "bytes": packed}
