"""How fast rnnzoo is beside its peers, at a glance: one table from the results of several benchmarks.

    python -m benchmarks.summary                                  # of the committed results
    python -m benchmarks.summary --measure --results=mine         # all measured anew, into a folder

A figure is the peer's time as a multiple of rnnzoo's, both at their best on a CPU: PyTorch with one
thread or two, rnnzoo with its rows on one device or on two. A layer has dense inputs, and goes forward
and backward; each benchmark says more of its own. Measuring takes half an hour on two cores, and needs
the peers: `pip install -e '.[peers]'`.
"""

import json
import pathlib
import statistics
import subprocess
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from absl import flags

from benchmarks import markdown, report, settings
from rnnzoo.errors import UserError

COMMITTED = report.FOLDER / "results"
RESULTS = flags.DEFINE_string("results", str(COMMITTED), "The folder of the result files.")
MEASURE = flags.DEFINE_boolean("measure", False, "Run all the benchmarks first.")
PAGE = report.FOLDER.parent / "docs" / "performance.md"
CELLS = ("elman", "stacked_elman", "gru", "lstm")
COLUMNS = ("work", "beside", *CELLS)
ALL_COLUMNS = ("beside", "batch", "cells", "least", "of", "median")
ONE, BEST = ("rnnzoo",), ("rnnzoo", "rnnzoo, 2 devices")
_PLAIN = ("plain", "plain `lax.scan`, one device", ONE)
# By result file: how a peer's contenders begin, its name, and ours that it is set beside.
PEERS = {
    "layers": (("torch.nn", "torch.nn", BEST), _PLAIN),
    "zoo": (("torchrecurrent", "torchrecurrent", BEST), _PLAIN),
}
# By result file: the benchmark, and its flags.
RUNS = {
    "job": ("job", "--rounds=3"),
    "layers": ("layers", "--rounds=8"),
    "sampling": ("sampling",),
    "steps_per_second": ("steps_per_second", f"--cells={','.join(CELLS)}", "--rounds=7"),
    "zoo": ("layers", "--cells=zoo", "--peers=torchrecurrent", "--rounds=3"),
}
Rows = Sequence[Mapping[str, Any]]


def measure(folder: pathlib.Path) -> None:
    """Runs all the benchmarks, one after the other.

    Args:
      folder: where their results go.

    Raises:
      UserError: one of them failed.
    """
    for name, (benchmark, *asked) in RUNS.items():
        command = ["-m", f"benchmarks.{benchmark}", *asked, f"--out={folder / name}_cpu.json"]
        print("python", *command, file=sys.stderr)
        if subprocess.run([sys.executable, *command], stdout=subprocess.DEVNULL).returncode:
            raise UserError(f"benchmarks.{benchmark} failed: see above")


def results(folder: pathlib.Path) -> dict[str, Rows]:
    """The rows of all results in a folder.

    Raises:
      UserError: one is missing or damaged.
    """
    found = {}
    for name in RUNS:
        path = folder / f"{name}_cpu.json"
        try:
            found[name] = json.loads(path.read_text("utf-8"))["rows"]
        except (OSError, ValueError, LookupError) as e:
            raise UserError(f"{path} is no result file ({e}): give --measure") from e
    return found


def times(rows: Rows, peer: str, ours: Collection[str], **where: Any) -> float | None:
    """A peer's least median time as a multiple of rnnzoo's; None where one of them has none.

    Args:
      rows: of a result.
      peer: how the names of its contenders begin.
      ours: the names of rnnzoo's.
      **where: what else a row must be of.
    """
    of = {r["contender"]: r["median_seconds"] for r in rows if where.items() <= r.items()}
    theirs = min((of[name] for name in of if name.startswith(peer)), default=None)
    own = min((of[name] for name in of if name in ours), default=None)
    return theirs / own if theirs and own else None


def of_cells(found: Mapping[str, Rows]) -> list[tuple[str, ...]]:
    """Lines of work, peer, and a figure for each of `CELLS`."""
    lines = []

    def line(work: str, peer: str, figures: Iterable[float | None], form: str = "{:.2f}") -> None:
        lines.append((work, peer, *(form.format(x) if x else "–" for x in figures)))

    for B in (1, 32):
        job = [times(found["job"], "torch", BEST, cell=c, batch_size=B) for c in CELLS]
        line(f"epochs of the exercise, batch {B}", "PyTorch", job)
    for peer, name, ours in PEERS["layers"]:
        for B in (1, 32):
            layer = [times(found["layers"], peer, ours, cell=c, batch_size=B) for c in CELLS]
            line(f"one layer, batch {B}", name, layer)
    line("sampling", "PyTorch", [times(found["sampling"], "torch", BEST, cell=c) for c in CELLS])
    for B in (1, 32):
        training = {
            row["cell"]: row["limit_fraction"]
            for row in found["steps_per_second"]
            if row["work"] == "training" and row["batch_size"] == B
        }
        shares = [training.get(c) for c in CELLS]
        line(f"training step, batch {B}", "share of the machine's limit", shares, "{:.0%}")
    return lines


def of_all(zoo: Rows) -> list[tuple[str, ...]]:
    """Lines of peer, batch, how many cells, the least multiple, its cell, and the median."""
    lines = []
    for peer, name, ours in PEERS["zoo"]:
        for B in (1, 32):
            every = {
                cell: multiple
                for cell in sorted({row["cell"] for row in zoo})
                if (multiple := times(zoo, peer, ours, cell=cell, batch_size=B))
            }
            if every:
                least = min(every, key=lambda cell: every[cell])
                median = statistics.median(every.values())
                figures = f"{every[least]:.2f}", f"`{least}`", f"{median:.1f}"
                lines.append((name, str(B), str(len(every)), *figures))
    return lines


def filled(text: str, found: Mapping[str, Rows]) -> str:
    """A document with the tables as they are now."""
    heads = [*COLUMNS[:2], *(f"`{cell}`" for cell in CELLS)]
    of_four = markdown.table(heads, of_cells(found))
    return markdown.filled(
        text, "summary", f"{of_four}\n\n{markdown.table(ALL_COLUMNS, of_all(found['zoo']))}"
    )


def write() -> None:
    """Writes the document's part, from the committed results."""
    PAGE.write_text(filled(PAGE.read_text("utf-8"), results(COMMITTED)), encoding="utf-8")
    print(PAGE)


def main() -> None:
    """Measures if asked to, and shows or writes the tables."""
    folder = pathlib.Path(RESULTS.value)
    if MEASURE.value:
        measure(folder)
    found = results(folder)
    report.print_table("A peer's time as a multiple of rnnzoo's", COLUMNS, of_cells(found))
    report.print_table("One layer of every cell", ALL_COLUMNS, of_all(found["zoo"]))


if __name__ == "__main__":
    settings.run(main, (RESULTS, MEASURE))
