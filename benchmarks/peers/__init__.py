"""The peers that rnnzoo is measured against, one adapter per file.

Each offers `layers(cell, H, params, xs)`: by the contender's name, a `workloads.Layer` over the
inputs xs [T, B, D] with the parameters of rnnzoo's cell; none for a cell that it lacks.
"""

import importlib
import sys
from collections.abc import Sequence
from types import ModuleType

import jax

from rnnzoo.errors import UserError, did_you_mean

NAMES = ("haiku", "torch", "torchrecurrent", "flax", "keras")
ON_GPU = ("cudnn", "whole_sequence")


def load(name: str) -> ModuleType:
    """The adapter of that name.

    Raises:
      UserError: there is none, or its package is not installed.
    """
    if name not in (known := [*NAMES, *ON_GPU]):
        raise UserError(f"no peer is named {name!r}: {did_you_mean(name, known)}")
    try:
        return importlib.import_module(f"{__name__}.{name}")
    except ModuleNotFoundError as e:
        raise UserError(
            f"the peer {name} needs the package {e.name.split('.')[0]!r}, which is not installed: "
            "pip install -e '.[peers]'"
        ) from e


def choose(asked: Sequence[str]) -> dict[str, ModuleType]:
    """The adapters by name; for 'all', those whose packages are installed.

    Raises:
      UserError: see `load`; with 'all', a line on the terminal tells what is left out.
    """
    if "all" not in asked:
        return {name: load(name) for name in asked}
    found = {}
    for name in [*NAMES, *(ON_GPU if jax.default_backend() == "gpu" else ())]:
        try:
            found[name] = load(name)
        except UserError as e:
            print(f"left out: {e}", file=sys.stderr)
    return found
