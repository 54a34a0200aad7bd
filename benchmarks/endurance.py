"""A long run on small means: memory, open files and what lies on disk, over a million updates.

    python -m benchmarks.endurance

A tiny model trains in a process of its own, through `rnnzoo.main`, with all that a day's training has:
samples, validations, checkpoints, a row of metrics for each epoch. Meanwhile this process looks at it
from outside, by Linux's /proc, and at its folder. Nothing of what is reported should grow for ever:
memory and open files stay, the report's files have a bound (`rnnzoo.log.MOST_ROWS`, and
`train.log_every` for the samples).
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

from absl import flags
from matplotlib.figure import Figure

from benchmarks import report, settings
from rnnzoo.errors import UserError
from rnnzoo.log import METRICS, SAMPLES
from rnnzoo.runs import CHECKPOINTS

PIECES, TRUNCATION = 80, 4  # of an epoch; characters

UPDATES = flags.DEFINE_integer(
    "updates", 1_000_000, "Pieces to train on, 80 an epoch.", lower_bound=PIECES
)
EVERY = flags.DEFINE_float("every", 2.0, "Seconds between two looks.", lower_bound=0.01)
USED = (UPDATES, EVERY)

SERIES = {
    "resident_bytes": "resident memory",
    "open_files": "open files",
    "metrics_bytes": METRICS,
    "samples_bytes": SAMPLES,
    "checkpoints_bytes": f"{CHECKPOINTS}/",
}


def command(updates: int, folder: pathlib.Path) -> list[str]:
    """What trains: a sample and a validation in each ten epochs, a checkpoint in each hundred."""
    config = {
        "cell.name": "elman",
        "cell.hidden_size": 8,
        "train.epochs": updates // PIECES,
        "train.batch_size": 1,
        "train.truncation": TRUNCATION,
        "train.max_subsequence_length": PIECES * TRUNCATION,
        "train.save_every": 100,
        "corpus.split": (0.01, 0.001, 0.0),
        "corpus.unknown": True,
        "sample.length": 20,
    }
    flags = [f"--config.{key}={value}" for key, value in config.items()]
    return [sys.executable, "-m", "rnnzoo.main", f"--workdir={folder}", *flags]


def look(pid: int, folder: pathlib.Path) -> dict | None:
    """What the process and its folder take now; None if the process is just ending."""
    process = pathlib.Path("/proc") / str(pid)
    resident = re.search(r"VmRSS:\s+(\d+) kB", (process / "status").read_text())
    if resident is None:
        return None
    return {
        "resident_bytes": 1024 * int(resident[1]),
        "open_files": len(list((process / "fd").iterdir())),
        "epoch": _last_epoch(folder / METRICS),
        "metrics_bytes": _size(folder / METRICS),
        "samples_bytes": _size(folder / SAMPLES),
        "checkpoints_bytes": sum(
            _size(pathlib.Path(parent, name))
            for parent, _, names in os.walk(folder / CHECKPOINTS)  # passes over what has just gone
            for name in names
        ),
    }


def _size(path: pathlib.Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except FileNotFoundError:  # a checkpoint that has just gone
        return 0


def _last_epoch(path: pathlib.Path) -> int:
    lines = path.read_bytes().splitlines() if path.exists() else []
    whole = [line for line in lines[-2:] if line.endswith(b"}")]
    return json.loads(whole[-1])["epoch"] if whole else 0


def measure(updates: int, every: float) -> list[dict]:
    """Trains and looks.

    Args:
      updates: pieces to train on.
      every: seconds between two looks.

    Returns:
      One row for each look from the first epoch on: `seconds` since the start, `updates` so far, and
      those of `SERIES`.

    Raises:
      UserError: the system has no /proc.
      RuntimeError: the training failed.
    """
    if not pathlib.Path("/proc/self/fd").is_dir():
        raise UserError("this benchmark looks into /proc, which only Linux has: run it there")
    rows = []
    with tempfile.TemporaryDirectory() as parent:
        folder, begun = pathlib.Path(parent) / "run", time.perf_counter()
        with (pathlib.Path(parent) / "out.txt").open("w+") as out:
            training = subprocess.Popen(command(updates, folder), stdout=out, stderr=out)
            try:
                while training.poll() is None:
                    found = look(training.pid, folder)
                    if found and found["epoch"]:
                        seconds = round(time.perf_counter() - begun, 2)
                        done = PIECES * found.pop("epoch")
                        rows.append({"seconds": seconds, "updates": done, **found})
                    time.sleep(every)
            finally:
                training.kill()  # if it is not over, then this process has failed
            code = training.wait()
            if code or not rows:
                out.seek(0)
                raise RuntimeError(f"the training ended with code {code}: {out.read()[-1000:]}")
    return rows


def plot(rows: Sequence[dict], path: pathlib.Path) -> None:
    """Draws each series against the updates."""
    figure = Figure(figsize=(7, 9), layout="constrained")
    updates = [row["updates"] for row in rows]
    panels = zip(figure.subplots(len(SERIES), sharex=True), SERIES.items(), strict=True)
    for axes, (key, label) in panels:
        scale = 2**20 if key == "resident_bytes" else 2**10 if key.endswith("bytes") else 1
        unit = {2**20: " (MiB)", 2**10: " (KiB)", 1: ""}[scale]
        axes.plot(updates, [row[key] / scale for row in rows])
        axes.set(ylabel=label + unit, ylim=(0, None))
        axes.grid(alpha=0.3)
    axes.set_xlabel("updates")
    figure.savefig(path, dpi=120)


def main() -> None:
    """Measures what the flags say, prints a few rows, writes the file and the plot beside it."""
    asked = settings.values(USED)
    rows = measure(**asked)
    path = report.write("endurance", asked, rows, settings.OUT.value)
    plot(rows, path.with_suffix(".png"))
    shown = [rows[min(int(part * len(rows)), len(rows) - 1)] for part in (0, 0.1, 0.5, 1)]
    report.show(
        f"{UPDATES.value:,} updates of a tiny model",
        ["updates", "seconds", "memory (MiB)", "open files", METRICS, SAMPLES, f"{CHECKPOINTS}/"],
        [
            (
                f"{row['updates']:,}",
                f"{row['seconds']:,.0f}",
                f"{row['resident_bytes'] / 2**20:,.1f}",
                str(row["open_files"]),
                *(f"{row[f'{name}_bytes']:,}" for name in ("metrics", "samples", "checkpoints")),
            )
            for row in shown
        ],
        path,
    )


if __name__ == "__main__":
    settings.run(main, USED)
