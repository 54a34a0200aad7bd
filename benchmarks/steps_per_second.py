"""Steps per second of every registered cell: forward, training step and sampling.

    python -m benchmarks.steps_per_second

A step is one time step of the whole batch: characters/s = steps/s times B. Forward and training
take one piece of T characters in one compiled call; training is the loss, its gradient and a
clipped Adam update, in donated buffers. Sampling draws `DRAWN` characters by
`rnnzoo.sampler.sample`, the way from ids to text included.
"""

from collections.abc import Callable
from typing import Any

import jax

import rnnzoo
from benchmarks import report, settings, workloads
from benchmarks.timing import first_call, interleave
from rnnzoo.model import LanguageModel, Params, language_model
from rnnzoo.sampler import sample

USED = (
    settings.CELLS,
    settings.HIDDEN_SIZE,
    settings.TRUNCATION,
    settings.VOCABULARY_SIZE,
    settings.BATCH_SIZE,
    settings.ROUNDS,
)
WORK = ("forward", "training", "sampling")
DRAWN = 128


def works(
    model: LanguageModel, params: Params, T: int, B: int, V: int
) -> dict[str, tuple[int, Callable[[], Any]]]:
    """The model's calls by kind of work, each with the time steps that it takes."""
    ids = workloads.random_piece(T, B, V)
    inputs = ids[:-1]
    state = model.initial_state(params, B)
    forward, key = jax.jit(model.apply), jax.random.key(0)
    vocabulary = workloads.vocabulary(V)
    return {
        "forward": (T, lambda: forward(params, key, inputs, state)),
        "training": (T, workloads.training_step(model, params, ids)),
        "sampling": (DRAWN, lambda: sample(model, params, vocabulary, length=DRAWN, count=B)),
    }


def measure(
    cells: list[str],
    hidden_size: int,
    truncation: int,
    vocabulary_size: int,
    batch_size: list[int],
    rounds: int,
) -> list[dict]:
    """Times all work of all cells in one interleaved run.

    Args:
      cells: registered names, or 'all' among them.
      hidden_size: H.
      truncation: T, characters of a piece.
      vocabulary_size: V.
      batch_size: the sizes of B.
      rounds: samples of each.

    Returns:
      One row for each cell, batch size and kind of work.

    Raises:
      UserError: an unknown cell, or none.
    """
    steps, calls, first_calls = {}, {}, {}
    for cell in settings.cells(cells, rnnzoo.names()):
        model = language_model(lambda cell=cell: rnnzoo.make(cell, hidden_size), vocabulary_size)
        params = jax.jit(model.init)(jax.random.key(0))
        for B in batch_size:
            work = works(model, params, truncation, B, vocabulary_size)
            for kind, (taken, call) in work.items():
                steps[cell, B, kind], calls[cell, B, kind] = taken, call
                first_calls[cell, B, kind], _ = first_call(call)
    return [
        {
            "cell": cell,
            "batch_size": B,
            "work": kind,
            "steps_per_second": steps[cell, B, kind] / timing.median,
            "characters_per_second": steps[cell, B, kind] * B / timing.median,
            "first_call_seconds": first_calls[cell, B, kind],
            **timing.as_json(),
        }
        for (cell, B, kind), timing in interleave(calls, rounds).items()
    ]


def main() -> None:
    """Measures what the flags say, prints the table and writes the file."""
    asked = settings.values(USED)
    rows = measure(**asked)
    path = report.write("steps_per_second", asked, rows, settings.OUT.value)
    lines = {}
    for row in rows:  # those of one cell and batch size, in the order of WORK, make a line
        line = lines.setdefault((row["cell"], str(row["batch_size"])), [])
        line += [f"{row['steps_per_second']:,.0f}", report.spread(row)]
    columns = [column for kind in WORK for column in (f"{kind} steps/s", "spread")]
    report.show(
        "Steps per second; a step is one time step of all B rows",
        ["cell", "B", *columns],
        [(*name, *line) for name, line in lines.items()],
        path,
    )


if __name__ == "__main__":
    settings.run(main, USED)
