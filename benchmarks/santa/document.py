"""docs/santa.md and the README's ten best, as the results are: `python -m benchmarks.documents`."""

import json
from collections.abc import Sequence

from benchmarks import markdown
from benchmarks.gallery import ROOT
from benchmarks.santa import board
from rnnzoo.report import static

PICTURE = ROOT / "docs" / "pictures" / "santa-speed.png"
# Of each document, how many cells it shows; None for all.
DOCUMENTS = {ROOT / "README.md": 10, ROOT / "docs" / "santa.md": None}


def filled(text: str, rows: Sequence[board.Row], most: int | None) -> str:
    """A document with the board of so many cells as it is now; None for all."""
    return markdown.filled(text, "santa", markdown.table(*board.table(rows, most)))


def main() -> None:
    """Writes the documents' parts, and the picture."""
    rows = json.loads(board.PATH.read_text("utf-8"))["rows"]
    for path, most in DOCUMENTS.items():
        path.write_text(filled(path.read_text("utf-8"), rows, most), encoding="utf-8")
        print(path)
    static.draw(board.figure(rows)).savefig(PICTURE, dpi=110)
    print(PICTURE)
