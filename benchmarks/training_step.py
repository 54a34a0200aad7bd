"""The training step against Haiku: the same language model with another core or another unroll.

    python -m benchmarks.training_step

For each cell there are three contenders, whose losses over three updates are checked to be equal:
rnnzoo's cell and trainer, which takes many pieces in one compiled call and shares out the rows of a
large batch over the cores; Haiku's core, unmodified, on rnnzoo's unroll, and on `hk.dynamic_unroll`,
both in one jitted call with donated buffers for a piece. All else is the same: one-hot inputs, readout,
loss, clipped Adam on every piece of T characters.
"""

import functools
from collections.abc import Callable

import jax

import rnnzoo
from benchmarks import report, settings, workloads
from benchmarks.peers import haiku
from benchmarks.timing import first_call, interleave
from rnnzoo.model import language_model

PIECES = 16  # in a call that is timed
PEER = "hk core, hk.dynamic_unroll"
USED = (
    settings.HIDDEN_SIZE,
    settings.TRUNCATION,
    settings.VOCABULARY_SIZE,
    settings.BATCH_SIZE,
    settings.ROUNDS,
)


def contenders(cell: str, H: int, V: int, ids: jax.Array) -> dict[str, Callable[[int], jax.Array]]:
    """The training of one cell's contenders, by a number of pieces, from the same parameters on."""
    twin = haiku.TWINS[cell]
    make_peer = functools.partial(twin.make_core, H)
    ours = language_model(lambda: rnnzoo.make(cell, H, **twin.options), V)
    peer = haiku.language_model(make_peer, V)
    params = jax.jit(ours.init)(jax.random.key(0))
    peers_params = twin.from_rnnzoo(params)
    return {
        "rnnzoo": workloads.rnnzoo_training(ours, params, ids, PIECES),
        "hk core, rnnzoo.unroll": workloads.training_step(
            language_model(make_peer, V), peers_params, ids
        ),
        PEER: workloads.training_step(peer, peers_params, ids),
    }


def measure(
    hidden_size: int, truncation: int, vocabulary_size: int, batch_size: list[int], rounds: int
) -> list[dict]:
    """Checks and times all contenders in one interleaved run.

    Args:
      hidden_size: H.
      truncation: T, characters of a piece.
      vocabulary_size: V.
      batch_size: the sizes of B.
      rounds: samples of each contender.

    Returns:
      One row for each cell, batch size and contender: its times for a piece, in seconds, characters
      per second, and `speedup`, the peer's median time over the contender's.

    Raises:
      ArithmeticError: contenders of a cell do not compute the same function.
    """
    calls, first_calls = {}, {}
    for cell in haiku.TWINS:
        for B in batch_size:
            ids = workloads.random_piece(truncation, B, vocabulary_size)
            losses = {}
            for name, step in contenders(cell, hidden_size, vocabulary_size, ids).items():
                calls[cell, B, name] = functools.partial(step, PIECES)
                first_calls[cell, B, name], loss = first_call(step)
                losses[name] = [loss, step(), step()]
            workloads.check_same(losses)
    timings = {name: t.divided(PIECES) for name, t in interleave(calls, rounds).items()}
    return [
        {
            "cell": cell,
            "batch_size": B,
            "contender": name,
            "characters_per_second": truncation * B / timing.median,
            "speedup": timings[cell, B, PEER].median / timing.median,
            "first_call_seconds": first_calls[cell, B, name],
            **timing.as_json(),
        }
        for (cell, B, name), timing in timings.items()
    ]


def main() -> None:
    """Measures what the flags say, prints the table and writes the file."""
    asked = settings.values(USED)
    rows = measure(**asked)
    path = report.write("training_step", asked, rows, settings.OUT.value)
    report.show(
        "Training step: characters per second, and how many times the peer's",
        ["cell", "B", "contender", "characters/s", "spread", "speedup", "first call"],
        [
            (
                row["cell"],
                str(row["batch_size"]),
                row["contender"],
                f"{row['characters_per_second']:,.0f}",
                report.spread(row),
                f"{row['speedup']:.2f}",
                f"{row['first_call_seconds']:.1f} s",
            )
            for row in rows
        ],
        path,
    )


if __name__ == "__main__":
    settings.run(main, USED)
