"""A look inside a model while it trains: saturated gates and dead units, over a short text."""

from typing import Any

import numpy as np

from rnnzoo.instruments.gates import SATURATED, saturation
from rnnzoo.instruments.inside import Inside, Signal, look_inside
from rnnzoo.model import LanguageModel, Params

CHARACTERS = 256
DEAD = 1e-3  # a unit whose standard deviation over the text is below it tells nothing
MANY_DEAD = 0.2  # the share of dead units above which there is a warning


def observe(model: LanguageModel, params: Params, ids: np.ndarray) -> list[dict[str, Any]]:
    """Reads a text's first `CHARACTERS` from the initial state; what `summary` says of them."""
    return summary(look_inside(model, params, ids[: CHARACTERS + 1]))


def summary(inside: Inside) -> list[dict[str, Any]]:
    """What is to be said of the first `CHARACTERS` that a model read.

    Returns:
      For each signal: layer, kind, name, units; of a state `dead`, the share of its units that hardly
      move; of a gate what `gates.saturation` says.
    """
    rows = []
    for signal, values in inside.signals.items():
        values = values[:CHARACTERS]
        row = dict(signal._asdict())
        if signal.kind == "gate":
            row |= saturation(values)
        else:
            row["dead"] = float((values.std(axis=0) < DEAD).mean())
        rows.append(row)
    return rows


def warnings(rows: list[dict[str, Any]]) -> list[str]:
    """Lines about what `observe` found that a person should know."""
    lines = []
    for row in rows:
        where = Signal(*(row[field] for field in Signal._fields))
        if row["kind"] == "state" and row["dead"] > MANY_DEAD:
            lines.append(f"{where}: {row['dead']:.0%} of the units are dead, they hardly move")
        for key, what in (("below", "closed"), ("above", "open")):
            if row.get(key, 0) > SATURATED:
                lines.append(f"{where}: {row[key]:.0%} saturated, nearly always {what}")
    return lines
