"""The flags that benchmarks share, and the way each of them is started."""

import os
import pathlib
import signal
import sys
from collections.abc import Callable, Collection, Sequence
from typing import Any

from absl import app, flags, logging

from rnnzoo import registry
from rnnzoo.devices import make_cpu_devices
from rnnzoo.errors import UserError, did_you_mean
from rnnzoo.host_memory import keep_freed_memory

FLAGS = flags.FLAGS


class _WholeNumbers(flags.ListParser):
    """A comma-separated list of whole numbers, each at least 1."""

    def parse(self, argument):
        parts = super().parse(argument)
        if not parts or not all(str(part).isdecimal() and int(part) > 0 for part in parts):
            raise ValueError("give whole numbers of at least 1, as in 1,32")
        return [int(part) for part in parts]


def define_numbers(name: str, default: list[int], help: str) -> flags.FlagHolder[list[int]]:
    """Defines a flag that holds a comma-separated list of whole numbers."""
    return flags.DEFINE(_WholeNumbers(), name, default, help, serializer=flags.ListSerializer(","))


CELL = flags.DEFINE_string("cell", "lstm", "A registered cell.")
HIDDEN_SIZE = flags.DEFINE_integer("hidden_size", 256, "H, the units of a cell.", lower_bound=1)
TRUNCATION = flags.DEFINE_integer(
    "truncation", 64, "T, the characters of a piece; gradients go no further back.", lower_bound=1
)
VOCABULARY_SIZE = flags.DEFINE_integer(
    "vocabulary_size", 83, "V, the different characters.", lower_bound=2, upper_bound=1_000_000
)
CELLS = flags.DEFINE_list(
    "cells",
    ["all"],
    "Names of registered cells; 'all' for those that the benchmark is about, 'zoo' for every one.",
)
CELL_MODULES = flags.DEFINE_multi_string("cell_module", [], "A Python module that registers cells.")
BATCH_SIZE = define_numbers("batch_size", [1, 32], "B, rows of text read side by side: a list.")
ROUNDS = flags.DEFINE_integer(
    "rounds", 20, "How often each contender is timed, in turn with the others.", lower_bound=1
)
OUT = flags.DEFINE_string(
    "out", None, "Where the JSON goes; benchmarks/results/<benchmark>_<platform>.json if unset."
)
_SHARED = (CELL, CELLS, CELL_MODULES, HIDDEN_SIZE, TRUNCATION, VOCABULARY_SIZE, BATCH_SIZE, ROUNDS)


def values(used: Sequence[flags.FlagHolder]) -> dict[str, Any]:
    """The settings by the names of their flags."""
    return {flag.name: flag.value for flag in used}


def cells(
    asked: Sequence[str], every: Sequence[str], possible: Collection[str] | None = None
) -> list[str]:
    """The registered cells that `--cells` names.

    Args:
      asked: the flag's value.
      every: what 'all' stands for.
      possible: the cells that the benchmark can run; None for any.

    Raises:
      UserError: an unknown cell, one that the benchmark cannot run, or none.
    """
    if not asked:
        raise UserError("no cell is named: give --cells=all or names with commas between")
    if "all" in asked:
        return list(every)
    if "zoo" in asked:
        return registry.names()
    names = list(dict.fromkeys(registry.entry(cell).name for cell in asked))
    for name in names:
        if possible is not None and name not in possible:
            raise UserError(
                f"--cells={name}: this benchmark cannot run it: {did_you_mean(name, possible)}"
            )
    return names


def _check_out() -> None:
    """Refuses, before the work is done, an `--out` that could not be written after it."""
    if OUT.value is None:
        return
    path = pathlib.Path(OUT.value)
    if path.suffix != ".json":
        raise UserError(f"--out={path}: give the path of a .json file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise UserError(f"--out={path}: its folder cannot be made ({e.strerror})") from e
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise UserError(f"--out={path} cannot be written: give another path")


def run(main: Callable[[], None], used: Sequence[flags.FlagHolder]) -> None:
    """Starts a benchmark: parses the flags, and shows a person's mistake as one line.

    Args:
      main: called with the flags parsed.
      used: the flags that matter to it: `--help` shows them, other shared ones are refused.
    """
    for flag in (*used, OUT):
        FLAGS.register_key_flag_for_module(sys.argv[0], FLAGS[flag.name])

    def checked(argv):
        if len(argv) > 1:
            raise app.UsageError(f"unexpected argument {argv[1]!r}: settings look like --rounds=5")
        for name in {flag.name for flag in _SHARED} - {flag.name for flag in used}:
            if FLAGS[name].present:
                raise app.UsageError(f"--{name} has no meaning for this benchmark: leave it out")
        if not FLAGS["verbosity"].present:
            logging.set_verbosity(logging.WARNING)  # JAX tells which devices it does not find
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does
        try:
            _check_out()
            print("compiling, then timing ...", file=sys.stderr)
            main()
        except UserError as e:
            sys.exit(f"error: {e}")
        except KeyboardInterrupt:
            print("stopped", file=sys.stderr)
            sys.exit(130)

    keep_freed_memory()  # for all contenders alike
    make_cpu_devices()  # of which only rnnzoo's trainer uses more than one
    app.run(checked)
