"""All that is made from the results and the registry in README.md and docs/, made again.

    python -m benchmarks.documents

The tests compare what stands there with the results.
"""

import json
from collections.abc import Sequence

from benchmarks import gallery, report, summary, task_gallery
from benchmarks.leaderboard import document as leaderboard
from benchmarks.markdown import filled, table
from benchmarks.published import document as published
from benchmarks.santa import document as santa

ROOT = report.FOLDER.parent
TRAINING = report.FOLDER / "results" / "training_step_cpu.json"
SHOWN_IN = (ROOT / "README.md", ROOT / "docs" / "performance.md")
HAIKU_CORES = {"elman": "VanillaRNN", "gru": "GRU", "lstm": "LSTM"}


def training_step(rows: Sequence[dict]) -> str:
    """The table of the training step against Haiku's, of the rows of `benchmarks.training_step`."""
    speedup = {(r["cell"], r["batch_size"], r["contender"]): r["speedup"] for r in rows}
    batches = sorted({row["batch_size"] for row in rows})
    lines = []
    for cell, core in HAIKU_CORES.items():
        for who, name in (
            ("rnnzoo", f"`{cell}`, rnnzoo's trainer"),
            ("hk core, rnnzoo.unroll", f"`hk.{core}` itself, on `rnnzoo.unroll`"),
        ):
            lines.append((name, *(f"{speedup[cell, B, who]:.2f}" for B in batches)))
    return table(["", *(f"batch {B}" for B in batches)], lines)


def with_training_step(text: str) -> str:
    """A document with that table as the committed results are."""
    rows = json.loads(TRAINING.read_text("utf-8"))["rows"]
    return filled(text, "training_step", training_step(rows))


def main() -> None:
    """Makes them."""
    for path in SHOWN_IN:
        path.write_text(with_training_step(path.read_text("utf-8")), encoding="utf-8")
    summary.write()
    for each in (santa, leaderboard, published, gallery, task_gallery):
        each.main()


if __name__ == "__main__":
    main()
