"""docs/santa.md and the README's ten best, as the results are: `python -m benchmarks.santa.document`."""

import json
import re
from collections.abc import Sequence

from benchmarks.gallery import ROOT
from benchmarks.santa import board
from rnnzoo.report import static

PICTURE = ROOT / "docs" / "pictures" / "santa-speed.png"
# Of each document, how many cells it shows; None for all.
DOCUMENTS = {ROOT / "README.md": 10, ROOT / "docs" / "santa.md": None}
_PART = re.compile(
    r"(<!-- santa: made by python -m benchmarks\.santa\.document -->\n).*?(<!-- /santa -->)", re.S
)


def markdown(rows: Sequence[board.Row], most: int | None = None) -> str:
    """The board as a Markdown table of so many cells."""
    columns, lines = board.table(rows, most)
    heads = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    return "\n".join([*heads, *(f"| {' | '.join(line)} |" for line in lines)])


def filled(text: str, rows: Sequence[board.Row], most: int | None) -> str:
    """A document with the board as it is now."""
    return _PART.sub(lambda found: f"{found[1]}\n{markdown(rows, most)}\n\n{found[2]}", text)


def main() -> None:
    """Writes the documents' parts, and the picture."""
    rows = json.loads(board.PATH.read_text("utf-8"))["rows"]
    for path, most in DOCUMENTS.items():
        path.write_text(filled(path.read_text("utf-8"), rows, most), encoding="utf-8")
        print(path)
    static.draw(board.figure(rows)).savefig(PICTURE, dpi=110)
    print(PICTURE)


if __name__ == "__main__":
    main()
