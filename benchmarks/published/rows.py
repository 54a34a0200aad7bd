"""The rows of published numbers: kept in one JSON file, and summed up."""

import json
import pathlib
import statistics
from collections.abc import Sequence
from typing import Any, NamedTuple

from benchmarks import report
from benchmarks.published.number import MEASURES, Model, Number
from rnnzoo.errors import UserError

Row = dict[str, Any]
PATH = report.FOLDER / "results" / "published.json"


def read(path: pathlib.Path) -> list[Row]:
    """The rows of a file; none if there is no file.

    Raises:
      UserError: it is damaged.
    """
    if not path.exists():
        return []
    try:
        rows = json.loads(path.read_text("utf-8"))["rows"]
        return [row for row in rows if row["number"] and row["model"] and row["setting"]]
    except (OSError, ValueError, LookupError, TypeError) as e:
        raise UserError(
            f"{path} holds no published numbers ({e}): bring it back, or give --out"
        ) from e


def write(path: pathlib.Path, rows: Sequence[Row]) -> None:
    """Keeps the rows; whole or not at all, since they are the work of hours."""
    new = path.with_suffix(".new.json")
    report.write("published", {}, rows, str(new))
    new.replace(path)


def find(rows: Sequence[Row], name: str, number: Number, model: Model) -> Row | None:
    """The row of a model that was measured in the setting that the number now has, if any."""
    setting = json.loads(json.dumps(number.setting(model)))
    for row in rows:
        if (row["number"], row["model"], row["setting"]) == (name, model.label, setting):
            return row
    return None


class Line(NamedTuple):
    """A row beside what was expected, all as text.

    Attributes:
      model: its label.
      expected: such as '≥ 0.99'.
      measured: mean ± standard deviation over the seeds.
      seeds: each of them.
      met: 'yes' or 'no'.
      parameters: how many.
      minutes: of all seeds together, with compilation.
    """

    model: str
    expected: str
    measured: str
    seeds: str
    met: str
    parameters: str
    minutes: str


def line(row: Row, number: Number, model: Model) -> Line:
    """A row as text."""
    decimals, results = MEASURES[number.measured], row["results"]
    mean = statistics.fmean(results)
    spread = statistics.stdev(results) if len(results) > 1 else 0.0
    return Line(
        model.label,
        str(model.expected),
        f"{mean:.{decimals}f} ± {spread:.{decimals}f}",
        ", ".join(f"{x:.{decimals}f}" for x in results),
        "yes" if model.expected.met(mean) else "no",
        f"{row['parameters']:,}",
        f"{row['seconds'] / 60:.1f}",
    )
