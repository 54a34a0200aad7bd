"""Two result files of one benchmark side by side: what became faster, what slower.

    python -m benchmarks.compare old.json new.json

Rows belong together if they agree in everything that is not a measurement. A difference is marked if
it lies outside of both spreads: each median beyond the quartiles of the other.
"""

import json
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

from absl import app

from benchmarks import report
from rnnzoo.errors import UserError

MEASURED = ("_seconds", "_per_second", "_bytes", "_flops", "_fraction", "parameters")
Key = tuple  # of the values that identify a row


def read(path: str) -> dict[str, Any]:
    """A result file, as `benchmarks.report.write` made it.

    Raises:
      UserError: there is no such file, it is none of a benchmark, or it holds no times.
    """
    try:
        result = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    except OSError as e:
        raise UserError(f"{path} cannot be read ({e.strerror}): give two result files") from e
    except ValueError as e:
        raise UserError(f"{path} is no JSON: give what a benchmark wrote") from e
    if not isinstance(result, dict) or not {"benchmark", "machine", "settings", "rows"} <= set(
        result
    ):
        raise UserError(f"{path} is no result of a benchmark: give what a benchmark wrote")
    result["rows"] = [row for row in result["rows"] if "median_seconds" in row]
    if not result["rows"]:
        raise UserError(f"{path} holds no times, so that there is nothing to compare")
    return result


def matched(
    old: dict[str, Any], new: dict[str, Any]
) -> tuple[list[str], dict[Key, tuple[dict, dict]]]:
    """The rows that two results have in common.

    Returns:
      The names of what identifies a row, and the pairs of old and new row by these values.

    Raises:
      UserError: the results are of different benchmarks, or have no row in common.
    """
    if old["benchmark"] != new["benchmark"]:
        raise UserError(
            f"the files are of different benchmarks, {old['benchmark']} and {new['benchmark']}: "
            "give two of the same"
        )
    rows = [*old["rows"], *new["rows"]]
    names = [name for name in rows[0] if all(_identifies(name, row) for row in rows)]
    olds, news = (
        {tuple(row[name] for name in names): row for row in result["rows"]} for result in (old, new)
    )
    if len(olds) < len(old["rows"]) or len(news) < len(new["rows"]):
        raise UserError(
            f"rows of a file agree in all of {', '.join(names)}: they cannot be matched"
        )
    pairs = {key: (row, news[key]) for key, row in olds.items() if key in news}
    if not pairs:
        raise UserError(f"no row of the files agrees in {', '.join(names)}: measure the same again")
    return names, pairs


def _identifies(name: str, row: dict[str, Any]) -> bool:
    """Whether a row has this entry and it is not a measurement."""
    is_plain = name in row and not isinstance(row[name], float | list | dict)
    return is_plain and not name.endswith(MEASURED)


def differing(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """The names of what was not the same about the machine, the versions and the settings."""
    olds, news = (_flat({k: result[k] for k in ("machine", "settings")}) for result in (old, new))
    names = {**olds, **news}
    return [
        name.removeprefix("machine.")
        for name in names
        if olds.get(name) != news.get(name) and not name.endswith("load_average_before")
    ]


def _flat(tree: dict[str, Any]) -> dict[str, Any]:
    """Nested dictionaries as one, with dots in the names."""
    found = {}
    for name, value in tree.items():
        inner = _flat(value) if isinstance(value, dict) else {}
        found |= {f"{name}.{k}": v for k, v in inner.items()} if inner else {name: value}
    return found


def verdict(old: dict[str, Any], new: dict[str, Any]) -> str:
    """'faster' or 'slower' if the new row's time lies outside of both spreads, else '–'."""
    a, b = old["median_seconds"], new["median_seconds"]
    if _within(a, new) or _within(b, old):
        return "–"
    return "faster" if b < a else "slower"


def _within(seconds: float, row: dict[str, Any]) -> bool:
    low, high = row["quartiles_seconds"]
    return low <= seconds <= high


def main(argv: Sequence[str]) -> None:
    """Prints the comparison of the two files that are named."""
    if len(argv) != 3:
        raise app.UsageError("give two result files: old.json new.json")
    try:
        old, new = map(read, argv[1:])
        names, pairs = matched(old, new)
    except UserError as e:
        sys.exit(f"error: {e}")
    if different := differing(old, new):
        print(f"warning: not measured alike: {', '.join(different)}", file=sys.stderr)
    console = report.print_table(
        f"{old['benchmark']}: old is {_source(old)}, new is {_source(new)}",
        [*names, "old ms", "spread", "new ms", "spread", "new/old", "outside of both spreads"],
        [(*map(str, key), *_figures(*pair)) for key, pair in pairs.items()],
    )
    alone = len(old["rows"]) + len(new["rows"]) - 2 * len(pairs)
    if alone:
        console.print(f"rows in one of the files only: {alone}")


def _figures(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    times = [
        text
        for row in (old, new)
        for text in (f"{1000 * row['median_seconds']:,.3f}", report.spread(row))
    ]
    return [*times, f"{new['median_seconds'] / old['median_seconds']:.2f}", verdict(old, new)]


def _source(result: dict[str, Any]) -> str:
    """Of which commit and day a result is."""
    commit = str(result.get("commit"))
    short = commit[:10] + ("-dirty" if commit.endswith("-dirty") else "")
    return f"{short} of {str(result.get('date'))[:10]}"


if __name__ == "__main__":
    app.run(main)
