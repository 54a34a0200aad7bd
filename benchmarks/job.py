"""The exercise's job, in whole epochs: rnnzoo against the same job in PyTorch.

    python -m benchmarks.job --rounds=3

An epoch is a random stretch of 5,000 characters for each row, read in pieces of T; the state goes
on from piece to piece. One-hot inputs, Adam 1e-3 on every piece, without clipping. rnnzoo trains
through `rnnzoo.train.Trainer.epoch`; PyTorch by the loop that one writes in it, on one thread and
on two, in its fastest form (`benchmarks.peers.torch`): a written-out loop with looked-up inputs for
the Elman cells, torch.nn's layer on one-hot inputs for GRU and LSTM, fused Adam.

All start from the same parameters; that their losses over the first pieces are equal is checked.
"""

import jax

import rnnzoo
from benchmarks import epochs, peers, report, settings
from rnnzoo import batches
from rnnzoo.model import language_model

CELLS = ("elman", "stacked_elman", "gru", "lstm")
USED = (
    epochs.CORPUS,
    settings.CELLS,
    settings.HIDDEN_SIZE,
    settings.TRUNCATION,
    epochs.LENGTH,
    settings.BATCH_SIZE,
    settings.ROUNDS,
)


def measure(
    corpus: str,
    cells: list[str],
    hidden_size: int,
    truncation: int,
    max_subsequence_length: int,
    batch_size: list[int],
    rounds: int,
) -> list[dict]:
    """Checks and times whole epochs, those of a cell and batch size in one interleaved run.

    Args:
      corpus: a name, or a file's path.
      cells: registered names that torch.nn has too, or 'all'.
      hidden_size: H.
      truncation: T, the characters of a piece.
      max_subsequence_length: L, the characters of a row in an epoch.
      batch_size: the sizes of B.
      rounds: samples of each contender.

    Returns:
      The rows of `epochs.compare`, each with its `cell` and `batch_size`.

    Raises:
      UserError: an unknown corpus or cell, sizes that do not fit, or PyTorch is not installed.
      ArithmeticError: the contenders do not compute the same function.
    """
    torch, rows = peers.load("torch"), []
    T, L = truncation, max_subsequence_length
    ids, V = epochs.read(corpus)
    for cell in settings.cells(cells, CELLS, torch.LAYERS):
        model = language_model(lambda cell=cell: rnnzoo.make(cell, hidden_size), V)
        params = jax.jit(model.init)(jax.random.key(0))
        for B in batch_size:
            batches.check_subsequence(len(ids), B, L, T)
            contenders = {
                "rnnzoo": lambda m=model, p=params, B=B: epochs.rnnzoo_epoch(m, p, B, T),
                **torch.jobs(cell, params, T),
            }
            rows += [
                {"cell": cell, "batch_size": B, **row}
                for row in epochs.compare(contenders, ids, B, T, L, rounds)
            ]
    return rows


def main() -> None:
    """Measures what the flags say, prints the table and writes the file."""
    asked = settings.values(USED)
    rows = measure(**asked)
    path = report.write("job", asked, rows, settings.OUT.value)
    report.show(
        f"Epochs of {epochs.LENGTH.value:,} characters a row of {epochs.CORPUS.value}",
        ["cell", "B", "contender", "ms/epoch", "spread", "characters/s", "× rnnzoo's time"],
        [
            (
                row["cell"],
                str(row["batch_size"]),
                row["contender"],
                f"{1000 * row['median_seconds']:,.1f}",
                report.spread(row),
                f"{row['characters_per_second']:,.0f}",
                f"{row['times_rnnzoo']:.2f}",
            )
            for row in rows
        ],
        path,
    )


if __name__ == "__main__":
    settings.run(main, USED)
