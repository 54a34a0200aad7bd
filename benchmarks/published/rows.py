"""The rows of published numbers, and how they are shown."""

import json
import statistics
from collections.abc import Sequence
from typing import Any, NamedTuple

from benchmarks import report
from benchmarks.published.number import MEASURES, Model, Number

Row = dict[str, Any]
PATH = report.FOLDER / "results" / "published.json"


def find(rows: Sequence[Row], name: str, number: Number, model: Model) -> Row | None:
    """The row of a model that was measured in the setting that the number now has, if any."""
    wanted = (name, model.label, json.loads(json.dumps(number.setting(model))))
    for row in rows:
        if (row["number"], row["model"], row["setting"]) == wanted:
            return row
    return None


class Line(NamedTuple):
    """A row beside what was expected, all as text.

    Attributes:
      model: its label.
      parameters: how many.
      expected: such as '≥ 0.99'.
      measured: mean ± standard deviation over the seeds.
      seeds: each of them.
      met: 'yes' or 'no'.
      minutes: of all seeds together, with compilation.
      device: that they took.
    """

    model: str
    parameters: str
    expected: str
    measured: str
    seeds: str
    met: str
    minutes: str
    device: str


def line(row: Row, number: Number, model: Model) -> Line:
    """A row as text."""
    decimals, results = MEASURES[number.measured], row["results"]
    mean = statistics.fmean(results)
    spread = statistics.stdev(results) if len(results) > 1 else 0.0
    return Line(
        model.label,
        f"{row['parameters']:,}",
        str(model.expected),
        f"{mean:.{decimals}f} ± {spread:.{decimals}f}",
        ", ".join(f"{x:.{decimals}f}" for x in results),
        "yes" if model.expected.met(mean) else "no",
        f"{row['seconds'] / 60:.1f}",
        report.brief(row["device"]),
    )
