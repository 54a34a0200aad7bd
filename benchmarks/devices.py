"""The rows of a batch on 1, 2, 4 ... devices: what sharing them out gains, and what it costs.

    python -m benchmarks.devices
    python -m benchmarks.devices --cells=lstm --batch_size=128 --devices=1,2

Of a CPU, the devices are virtual ones (`rnnzoo.devices`): more of them than it has cores cannot be
faster, and show what the meetings cost. An update is that of `rnnzoo.train.advance`, with clipped Adam.
"""

import functools

import jax
import numpy as np

import rnnzoo
from benchmarks import report, settings, workloads
from benchmarks.timing import first_call, interleave
from rnnzoo import cost, train
from rnnzoo.devices import make_cpu_devices
from rnnzoo.errors import UserError
from rnnzoo.model import LanguageModel, language_model

CELLS = ("elman", "gru", "lstm")
DEVICES = settings.define_numbers("devices", [1, 2, 4], "n, how many devices: a list.")
PIECES = 4  # of a call
USED = (
    settings.CELLS,
    DEVICES,
    settings.HIDDEN_SIZE,
    settings.TRUNCATION,
    settings.VOCABULARY_SIZE,
    settings.BATCH_SIZE,
    settings.ROUNDS,
)


def training(model: LanguageModel, source: train.Source, devices: int):
    """A call that trains for one more epoch: its nats per character."""
    trainer = train.Trainer(model, workloads.CLIPPED_ADAM, source, devices=devices)
    if trainer.mesh.size != devices:
        raise UserError(
            f"--devices={devices} cannot share out {source.batch_size} rows evenly, or there are "
            f"only {jax.device_count()}: lower it"
        )
    state = trainer.start()

    def epoch():
        nonlocal state
        state, outcome = trainer.epoch(state, 1)
        return outcome.loss

    return epoch


def measure(
    cells: list[str],
    devices: list[int],
    hidden_size: int,
    truncation: int,
    vocabulary_size: int,
    batch_size: list[int],
    rounds: int,
) -> list[dict]:
    """Checks and times each number of devices in turn.

    Args:
      cells: registered names, or 'all'.
      devices: the numbers n of devices; the first is what the others are compared with.
      hidden_size: H.
      truncation: T.
      vocabulary_size: V.
      batch_size: the sizes of B.
      rounds: samples of each.

    Returns:
      One row for each cell, B and n: seconds per update, `speedup` over the first n, `bytes_sent` by
      each device in an update, 2 (n - 1) / n times those of the gradient and loss, and the counted
      `flops` of a device in it.

    Raises:
      UserError: an unknown cell, or more devices than share out the rows evenly.
      ArithmeticError: a number of devices changes the loss.
    """
    rows = []
    for cell in settings.cells(cells, CELLS):
        make_core = functools.partial(rnnzoo.make, cell, hidden_size)
        model = language_model(make_core, vocabulary_size)
        for B in batch_size:
            text = workloads.random_piece(PIECES * truncation * B, 1, vocabulary_size)[:, 0]
            source = train.source(np.asarray(text), "stream", B, truncation, 0)
            calls = {n: training(model, source, n) for n in devices}
            workloads.check_same({str(n): [first_call(call)[1]] for n, call in calls.items()})
            timings = interleave(calls, rounds)
            counted = cost.of_language_model(make_core, vocabulary_size, B)
            rows += [
                {
                    "cell": cell,
                    "batch_size": B,
                    "devices": n,
                    "characters_per_second": B * PIECES * truncation / timing.median,
                    "speedup": timings[devices[0]].median / timing.median,
                    "bytes_sent": 2 * (n - 1) / n * 4 * (counted.parameters + 1),
                    "flops": truncation * counted.training_flops / n,
                    **timing.divided(PIECES).as_json(),
                }
                for n, timing in timings.items()
            ]
    return rows


def main() -> None:
    """Measures what the flags say, prints the table and writes the file."""
    make_cpu_devices(max(DEVICES.value))
    asked = settings.values(USED)
    rows = measure(**asked)
    path = report.write("devices", asked, rows, settings.OUT.value)
    report.show(
        "Updates whose rows several devices share out",
        ["cell", "B", "n", "ms/update", "spread", "characters/s", "speedup", "kB sent", "MFLOP"],
        [
            (
                row["cell"],
                str(row["batch_size"]),
                str(row["devices"]),
                f"{1000 * row['median_seconds']:,.1f}",
                report.spread(row),
                f"{row['characters_per_second']:,.0f}",
                f"{row['speedup']:.2f}",
                f"{row['bytes_sent'] / 1000:,.0f}",
                f"{row['flops'] / 1e6:,.0f}",
            )
            for row in rows
        ],
        path,
    )


if __name__ == "__main__":
    settings.run(main, USED)
