"""The files that grow as a run trains: rows of numbers, samples, warnings; and how to read them."""

import json
import os
import pathlib
import re
import statistics
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from rnnzoo.errors import UserError, one_line
from rnnzoo.loss import bits_per_character

METRICS, SAMPLES, WARNINGS = "metrics.jsonl", "samples.txt", "warnings.jsonl"
INSIDE = "inside.jsonl"  # what the instruments see
GROWING = METRICS, SAMPLES, WARNINGS, INSIDE
SPIKE_WINDOW = 50  # epochs
SPIKE_LEAST_EPOCHS = 20
SPIKE_SPREADS, SPIKE_FRACTION = 8.0, 0.1
TAIL = 2**16  # bytes, more than the samples of an epoch take

Row = dict[str, Any]


def summary(prefix: str, losses: Sequence[float]) -> Row:
    """The mean of the seeds' losses and, if they are several, their standard deviation and each one."""
    mean = statistics.fmean(losses)
    found: Row = {f"{prefix}loss": mean, f"{prefix}bpc": bits_per_character(mean)}
    if len(losses) > 1:
        found |= {
            f"{prefix}loss_spread": statistics.stdev(losses),
            f"{prefix}losses": list(losses),
        }
    return found


def line(row: Row, epochs: int) -> str:
    """A row for a person, of a training of so many epochs."""
    width = len(str(epochs))
    spread, validation_spread = (
        f" ± {row[key]:.3f}" if key in row else ""
        for key in ("loss_spread", "validation_loss_spread")
    )
    parts = [
        f"epoch {row['epoch']:{width}}/{epochs}",
        f"loss {row['loss']:.3f}{spread} nats = {row['bpc']:.3f} bpc",
    ]
    if "validation_bpc" in row:
        nats = f"{row['validation_loss']:.3f}{validation_spread} nats = "
        nats = nats if validation_spread else ""
        parts.append(f"validation {nats}{row['validation_bpc']:.3f} bpc")
    parts.append(f"{row['chars_per_second']:,.0f} characters/s")
    return "  ".join(parts)


def spike(losses: Sequence[float]) -> float | None:
    """What the last of the losses leaps above, if it is a spike.

    It is one if it lies above the median of the `SPIKE_WINDOW` losses before it by more than
    `SPIKE_SPREADS` of their robust spreads (1.4826 times the median distance from the median, which is
    the standard deviation of normal numbers), and by more than `SPIKE_FRACTION` of the median: a loss
    that has settled hardly spreads, and its wobble is none. Fewer than `SPIKE_LEAST_EPOCHS` losses say
    nothing.

    Args:
      losses: of the last epochs, in their order.

    Returns:
      The median, or None.
    """
    *before, last = losses[-1 - SPIKE_WINDOW :]
    if len(before) < SPIKE_LEAST_EPOCHS:
        return None
    median = statistics.median(before)
    spread = 1.4826 * statistics.median(abs(x - median) for x in before)
    leap = max(SPIKE_SPREADS * spread, SPIKE_FRACTION * median)
    return median if last > median + leap else None


def new_spike(losses: Sequence[float]) -> float | None:
    """As `spike`, but None if the loss before the last was one too: a spike is told of once."""
    return None if len(losses) > 1 and spike(losses[:-1]) is not None else spike(losses)


def read_metrics(folder: pathlib.Path, size: int | None = None, growing: bool = False) -> list[Row]:
    """The rows of a run's metrics.jsonl.

    Args:
      folder: the run's.
      size: read so many bytes of the file only.
      growing: the run trains: its last line may not be whole yet, and is passed over then; there may
        be no file yet.

    Raises:
      UserError: the file is missing or damaged.
    """
    keys = {"epoch", "loss", "bpc", "chars_per_second"} if growing else {"epoch", "loss"}
    return _read_rows(folder / METRICS, keys, size, growing)


def read_warnings(folder: pathlib.Path, size: int | None = None) -> list[Row]:
    """The rows of a run's warnings.jsonl, each with 'epoch' and 'warning'.

    Args:
      folder: the run's.
      size: read so many bytes of the file, which it has; None for all lines of it that are whole, of
        which there may be none, and no file.

    Raises:
      UserError: it is damaged.
    """
    return _read_rows(folder / WARNINGS, {"epoch", "warning"}, size, growing=size is None)


def read_inside(folder: pathlib.Path) -> dict[int, list[Row]]:
    """What a run's inside.jsonl says of each epoch; nothing without the file.

    Raises:
      UserError: it is damaged.
    """
    rows = _read_rows(folder / INSIDE, {"epoch", "signals"}, None, growing=True)
    return {row["epoch"]: row["signals"] for row in rows}


def _read_rows(
    path: pathlib.Path, keys: Collection[str], size: int | None, growing: bool
) -> list[Row]:
    try:
        if growing and not path.exists():
            return []
        data = path.read_bytes()[:size]
        if growing:
            data = data[: data.rfind(b"\n") + 1]
        rows = [json.loads(line) for line in data.decode().splitlines()]
    except OSError as e:
        raise UserError(f"{str(path)!r} cannot be read: {e.strerror}: bring it back") from e
    except (ValueError, RecursionError) as e:
        raise UserError(f"{str(path)!r} is damaged ({one_line(e)}): bring it back") from e
    if not all(isinstance(row, dict) and row.keys() >= set(keys) for row in rows):
        raise UserError(f"{str(path)!r} is damaged, a line is no epoch's: bring it back")
    return rows


def latest_sample(folder: pathlib.Path) -> str:
    """The first sample of the last epoch that has some; "" if there are none."""
    try:
        with (folder / SAMPLES).open("rb") as file:
            file.seek(-min(TAIL, os.fstat(file.fileno()).st_size), os.SEEK_END)
            tail = file.read().decode(errors="replace")
    except OSError:
        return ""
    parts = re.split(r"(?:^|\n)--- epoch (\d+)\n", tail)
    numbers, texts = parts[1::2], parts[2::2]
    if not numbers:
        return ""
    return texts[numbers.index(numbers[-1])].removesuffix("\n")


def cut_back(folder: pathlib.Path, written: Mapping[str, int]) -> tuple[list[Row], list[Row]]:
    """Cuts off whatever was written to a run's files after they had these sizes.

    Returns:
      The rows and the warnings that are left.

    Raises:
      UserError: a file is shorter, or a row damaged; nothing was cut off then.
    """
    size = {name: written.get(name, 0) for name in GROWING}
    longer = [name for name in GROWING if _is_longer(folder / name, size[name])]
    rows = read_metrics(folder, size[METRICS]) if written else []
    warnings = read_warnings(folder, size[WARNINGS]) if size[WARNINGS] else []
    for name in longer:
        os.truncate(folder / name, size[name])
    return rows, warnings


def sizes(folder: pathlib.Path) -> dict[str, int]:
    """The sizes in bytes of the files that grow, as `cut_back` takes them."""
    paths = {name: folder / name for name in GROWING}
    return {n: path.stat().st_size if path.exists() else 0 for n, path in paths.items()}


def _is_longer(path: pathlib.Path, size: int) -> bool:
    """Whether something was written to a file after it had this size."""
    found = path.stat().st_size if path.exists() else 0
    if found < size:
        raise UserError(
            f"{path} is shorter than when it was saved: bring it back, or give another --workdir"
        )
    return found > size
