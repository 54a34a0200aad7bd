"""Santa Claus: every cell at the exercise's recipe, beside n-grams and compressors.

    python -m benchmarks.santa --cells=zoo --epochs=250
    python -m benchmarks.santa --cells=my_cell --cell_module=my_cells      # its place

A model's row is its bits per character of the book's last tenth, given the nine before. What was run
before is kept, and not run again: stop it and start it as you like.
"""

import pathlib
import sys
import time

from absl import flags

from benchmarks import floors, jobs, report, settings
from benchmarks.santa import board, work
from rnnzoo import registry

EPOCHS = settings.define_numbers(
    "epochs", [250, 2000], "When to measure, as 250,2000; the last ends the training."
)
SEED = flags.DEFINE_integer(
    "seed", 0, "Of the training; a cell's seeds are averaged.", lower_bound=0
)
BOOK = flags.DEFINE_string("book", "santa", "The text: a corpus' name, or a file of the book.")
USED = (settings.CELLS, settings.CELL_MODULES, EPOCHS, SEED, BOOK, jobs.JOBS)
CELLS = ("elman", "stacked_elman", "gru", "lstm")  # of the exercise
ORDER = 6  # characters of the longest n-grams


def main() -> None:
    """Trains what the board lacks, writes its rows, and shows it."""
    for module in settings.CELL_MODULES.value:
        registry.load_module(module)
    path = pathlib.Path(settings.OUT.value or board.PATH)
    text = work.read(BOOK.value)
    asked = {"sha256": text.found.sha256, **work.recipe()}
    rows = report.kept(path, asked) or floors.of_text(text.found, ORDER)
    marks, seed = {str(epoch) for epoch in EPOCHS.value}, SEED.value
    done = {r["cell"] for r in board.models(rows) if r["seed"] == seed and marks <= set(r["bits"])}
    missing = [
        (cell, seed, EPOCHS.value, BOOK.value, settings.CELL_MODULES.value)
        for cell in settings.cells(settings.CELLS.value, CELLS)
        if cell not in done
    ]
    for row in jobs.side_by_side(work.measure, missing, jobs.JOBS.value):
        print(f"{time.strftime('%H:%M:%S')} {row['cell']}: {row['seconds']:.0f} s", file=sys.stderr)
        rows = [r for r in rows if (r.get("cell"), r.get("seed")) != (row["cell"], seed)] + [row]
        report.keep("santa", asked, rows, path)
    report.show("Bits per character", *board.table(rows), path)


if __name__ == "__main__":
    settings.run(main, USED)
