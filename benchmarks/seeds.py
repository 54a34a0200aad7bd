"""Several seeds at once as one program, against as many runs in a row.

    python -m benchmarks.seeds
    python -m benchmarks.seeds --cells=gru --seeds=2,4,8,16 --batch_size=1,8

An epoch is 16 pieces of T characters for each row and seed, drawn anew from a random text, trained on
by `rnnzoo.train.Trainer`: one with S seeds, or S with one. That each seed's loss is the same in both is
checked. Both take the devices that the trainer takes by itself.
"""

import functools

import numpy as np

import rnnzoo
from benchmarks import report, settings, workloads
from benchmarks.timing import first_call, interleave
from rnnzoo import train
from rnnzoo.model import LanguageModel, language_model

CELLS = ("elman", "gru", "lstm")
SEEDS = settings.define_numbers("seeds", [8], "S, how many seeds: a list.")
PIECES, TEXT = 16, 100_000
USED = (
    settings.CELLS,
    SEEDS,
    settings.HIDDEN_SIZE,
    settings.TRUNCATION,
    settings.VOCABULARY_SIZE,
    settings.BATCH_SIZE,
    settings.ROUNDS,
)


class Training:
    """A trainer and its state: each call is one more epoch."""

    def __init__(self, model: LanguageModel, source: train.Source, seed: int, seeds: int):
        """Compiles, or finds what is compiled already, and trains for the first epoch."""
        self.trainer = train.Trainer(model, workloads.CLIPPED_ADAM, source, seed, seeds=seeds)
        self.state = self.trainer.start()
        self.first_losses = self()

    def __call__(self) -> tuple[float, ...]:
        """Each seed's nats per character."""
        self.state, outcome = self.trainer.epoch(self.state, 1)
        return outcome.losses


def measure(
    cells: list[str],
    seeds: list[int],
    hidden_size: int,
    truncation: int,
    vocabulary_size: int,
    batch_size: list[int],
    rounds: int,
) -> list[dict]:
    """Checks and times both ways in turn.

    Args:
      cells: registered names, or 'all'.
      seeds: the numbers S of seeds.
      hidden_size: H.
      truncation: T.
      vocabulary_size: V.
      batch_size: the sizes of B, the rows of each seed.
      rounds: samples of each.

    Returns:
      Two rows for each cell, S and B: seconds per epoch of all seeds, `characters_per_second` of all,
      `speedup` over the runs in a row, and `first_call_seconds`, until the first epoch is done (of
      the runs in a row: of the first run, since the others find its program).

    Raises:
      UserError: an unknown cell.
      ArithmeticError: a seed's loss is another than in a run of its own.
    """
    ids = np.random.default_rng(0).integers(vocabulary_size, size=TEXT).astype(np.int32)
    rows = []
    for cell in settings.cells(cells, CELLS):
        make_core = functools.partial(rnnzoo.make, cell, hidden_size)
        model = language_model(make_core, vocabulary_size)
        for B in batch_size:
            source = train.source(ids, "subsequence", B, truncation, PIECES * truncation)
            rows += [
                {"cell": cell, "batch_size": B, "seeds": S, **row}
                for S in seeds
                for row in compare(model, source, S, rounds)
            ]
    return rows


def compare(model: LanguageModel, source: train.Source, S: int, rounds: int) -> list[dict]:
    """The rows of both ways."""
    first_seconds, first = first_call(functools.partial(Training, model, source, 0, 1))
    runs = [first, *(Training(model, source, seed, 1) for seed in range(1, S))]
    seconds, together = first_call(functools.partial(Training, model, source, 0, S))
    first_losses = [loss for run in runs for loss in run.first_losses]
    workloads.check_same({"in a row": first_losses, "at once": together.first_losses})
    timings = interleave({"in a row": lambda: [run() for run in runs], "at once": together}, rounds)
    characters = S * source.batch_size * source.pieces * source.reading.truncation
    return [
        {
            "contender": name,
            "characters_per_second": characters / timing.median,
            "speedup": timings["in a row"].median / timing.median,
            "first_call_seconds": {"in a row": first_seconds, "at once": seconds}[name],
            **timing.as_json(),
        }
        for name, timing in timings.items()
    ]


def main() -> None:
    """Measures what the flags say, prints the table and writes the file."""
    asked = settings.values(USED)
    rows = measure(**asked)
    path = report.write("seeds", asked, rows, settings.OUT.value)
    report.show(
        f"Epochs of {PIECES} pieces for each seed",
        ["cell", "B", "seeds", "contender", "ms/epoch", "spread", "characters/s", "speedup"],
        [
            (
                row["cell"],
                str(row["batch_size"]),
                str(row["seeds"]),
                row["contender"],
                f"{1000 * row['median_seconds']:,.1f}",
                report.spread(row),
                f"{row['characters_per_second']:,.0f}",
                f"{row['speedup']:.2f}",
            )
            for row in rows
        ],
        path,
    )


if __name__ == "__main__":
    settings.run(main, USED)
