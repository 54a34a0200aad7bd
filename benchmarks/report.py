"""What a benchmark leaves behind: a table on the terminal, and JSON with the machine beside it."""

import datetime
import json
import os
import pathlib
import platform
import subprocess
from collections.abc import Sequence
from typing import Any

import jax
from rich.console import Console
from rich.table import Table

from rnnzoo import log
from rnnzoo.devices import cores
from rnnzoo.errors import UserError

FOLDER = pathlib.Path(__file__).parent
PACKAGES = (
    "jax",
    "jaxlib",
    "dm-haiku",
    "optax",
    "numpy",
    "torch",
    "torchrecurrent",
    "flax",
    "keras",
)
ENVIRONMENT = ("XLA_FLAGS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
# Other processes that wanted to run in the minute before: any at all make the figures noisy.
LOAD_BEFORE = round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def machine() -> dict[str, Any]:
    """What a time depends on besides the code: processor, devices, versions, threads."""
    return {
        "cpu": cpu_model(),
        "cores": cores(),
        "system": platform.platform(),
        "platform": jax.default_backend(),
        "devices": [device.device_kind for device in jax.devices()],
        "python": platform.python_version(),
        "versions": {package: log.version(package) for package in PACKAGES},
        "x64": jax.config.jax_enable_x64,
        "environment": {name: os.environ.get(name) for name in ENVIRONMENT},
        "load_average_before": LOAD_BEFORE,
    }


def write(
    benchmark: str, settings: dict[str, Any], rows: Sequence[dict[str, Any]], out: str | None
) -> pathlib.Path:
    """Writes a result file.

    Args:
      benchmark: its name.
      settings: what it was asked to measure.
      rows: what it measured.
      out: the file; None for `benchmarks/results/<benchmark>_<platform>.json`.

    Returns:
      The file's path.
    """
    default = FOLDER / "results" / f"{benchmark}_{jax.default_backend()}.json"
    path = pathlib.Path(out) if out else default
    result = {
        "benchmark": benchmark,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": machine(),
        "settings": settings,
        "rows": list(rows),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return path


def kept(path: pathlib.Path, settings: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of a result file that grows; none if there is no file.

    Args:
      path: the file's.
      settings: what all its rows have in common.

    Raises:
      UserError: it is damaged, or of other settings: rows of both do not compare.
    """
    if not path.exists():
        return []
    try:
        found = json.loads(path.read_text("utf-8"))
        rows, before = found["rows"], found["settings"]
    except (OSError, ValueError, LookupError, TypeError) as e:
        raise UserError(f"{path} is no result file ({e}): bring it back, or give --out") from e
    changed = [key for key in settings if before.get(key) != settings[key]]
    if changed:
        key = changed[0]
        raise UserError(
            f"{path} was made with {key}={before.get(key)!r}, not {settings[key]!r}: give --out for "
            "a file of its own"
        )
    return rows


def keep(
    benchmark: str, settings: dict[str, Any], rows: Sequence[dict[str, Any]], path: pathlib.Path
) -> None:
    """Writes the rows of a result file that grows for hours: whole, or not at all."""
    new = path.with_suffix(".new.json")
    write(benchmark, settings, rows, str(new))
    new.replace(path)


def spread(row: dict[str, Any]) -> str:
    """How far the quartiles of a row's times lie from their median, on average, in per cent."""
    low, high = row["quartiles_seconds"]
    return f"±{(high - low) / 2 / row['median_seconds']:.0%}"


def show(title: str, columns: Sequence[str], lines: Sequence[Sequence[str]], path) -> None:
    """Prints a table, figures to the right, and where the JSON is."""
    here = machine()
    console = print_table(title, columns, lines)
    console.print(
        f"{here['cpu']}, {here['cores']} cores, {here['devices'][0]}; load before: {LOAD_BEFORE}"
    )
    console.print(f"written to {path}")


def print_table(title: str, columns: Sequence[str], lines: Sequence[Sequence[str]]) -> Console:
    """Prints a table, figures to the right, and returns the console that it is on."""
    table = Table()
    for column, cells in zip(columns, zip(*lines, strict=True), strict=True):
        is_text = any(cell[0].isalpha() for cell in cells)
        table.add_column(column, justify="left" if is_text else "right", no_wrap=True)
    for line in lines:
        table.add_row(*line)
    # A table is read whole or not at all: a narrow terminal wraps it, a file has no width.
    needed = Console(width=10_000).measure(table).maximum
    console = Console(width=max(Console().width, 120, needed))
    console.print(title)
    console.print(table)
    return console


def cpu_model() -> str:
    """The processor, as the system calls it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):  # not Linux, or a processor without a model name
        return platform.processor() or platform.machine()


def device() -> str:
    """What computes: the processor, or the GPU or TPU."""
    found = jax.devices()[0]
    return cpu_model() if found.platform == "cpu" else found.device_kind


def brief(device: str) -> str:
    """A device's name for a table: 'Intel Xeon' for 'Intel(R) Xeon(R) Processor'."""
    return device.replace("(R)", "").removesuffix(" Processor")


def commit() -> str | None:
    """The checkout's commit, with '-dirty' if tracked files differ from it, results and pages apart."""
    others = ("--", ":/", ":(top,exclude)benchmarks/results", ":(top,exclude)docs")
    try:
        found = _git("rev-parse", "HEAD").stdout.strip()
        is_dirty = bool(_git("diff", "HEAD", "--name-only", *others).stdout)
    except (OSError, subprocess.CalledProcessError):  # no git, or no checkout
        return None
    return found + "-dirty" * is_dirty


def _git(*arguments: str) -> subprocess.CompletedProcess:
    command = ["git", *arguments]
    return subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, check=True)
