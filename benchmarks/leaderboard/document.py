"""docs/leaderboard.md with the board as its results are: `python -m benchmarks.documents`."""

import json
import pathlib
from collections import Counter
from collections.abc import Iterable

from benchmarks import report
from benchmarks.leaderboard import board, page
from rnnzoo.report import static

DOCUMENT = pathlib.Path(__file__).parents[2] / "docs" / "leaderboard.md"
PICTURES = {"matrix": "leaderboard-matrix.png", "speed": "leaderboard-speed.png"}
BEGIN = "<!-- board: made by python -m benchmarks.documents -->\n"


def text() -> str:
    """The board of the committed small budget, as Markdown."""
    result = json.loads(board.default_path("small").read_text("utf-8"))
    rows = result["rows"]
    trained = _devices(row["device"] for row in rows)
    timed = _devices(row.get("timed_on", row["device"]) for row in rows)
    captions = {f.key: f.caption for f in page.figures(rows) if f.key in PICTURES}
    seconds = Counter()
    for row in rows:
        seconds[row["cell"]] += row["seconds"]
    lines = [
        f"Trained on {trained}, timed on {timed}, {result['date'][:10]}, seeds 0 to "
        f"{result['settings']['seeds'] - 1}; of every task the mean of the seeds and their standard "
        f"deviation. A cell took {min(seconds.values()) / 60:.0f} to "
        f"{max(seconds.values()) / 60:.0f} minutes for these tasks.\n",
        page.table(rows),
    ]
    lines += [f"![{captions[key]}](pictures/{name})\n" for key, name in PICTURES.items()]
    return BEGIN + "\n" + "\n".join(lines)


def _devices(names: Iterable[str]) -> str:
    return " and ".join(dict.fromkeys(map(report.brief, names)))


def main() -> None:
    """Writes the document's last part, and its pictures."""
    head, _, _ = DOCUMENT.read_text("utf-8").partition(BEGIN)
    DOCUMENT.write_text(head + text(), encoding="utf-8")
    rows = json.loads(board.default_path("small").read_text("utf-8"))["rows"]
    for figure in page.figures(rows):
        if figure.key in PICTURES:
            static.draw(figure).savefig(
                DOCUMENT.parent / "pictures" / PICTURES[figure.key], dpi=110
            )
