"""Weights to and from Flax's cells, `flax.linen`, as NumPy arrays: Flax itself is not needed.

rnnzoo's cells and those of flax.linen:

- `elman`: `SimpleCell`
- `gru`, reset after: `GRUCell`
- `lstm`: `LSTMCell` and `OptimizedLSTMCell`, whose parameters are the same
"""

from collections.abc import Mapping

import numpy as np

from rnnzoo.weights import ours
from rnnzoo.weights.layouts import Layout, look_up

CELLS = {
    "elman": {"i/kernel": "U", "h/kernel": "W", "i/bias": "b"},
    "gru": {
        "ir/kernel": "U_r",
        "iz/kernel": "U_z",
        "in/kernel": "U_n",
        "hr/kernel": "W_r",
        "hz/kernel": "W_z",
        "hn/kernel": "W_n",
        "ir/bias": "b_r",
        "iz/bias": "b_z",
        "in/bias": "b_n",
        "hn/bias": "c_n",
    },
    "lstm": {
        "ii/kernel": "U_i",
        "if/kernel": "U_f",
        "ig/kernel": "U_g",
        "io/kernel": "U_o",
        "hi/kernel": "W_i",
        "hf/kernel": "W_f",
        "hg/kernel": "W_g",
        "ho/kernel": "W_o",
        "hi/bias": "b_i",
        "hf/bias": "b_f",
        "hg/bias": "b_g",
        "ho/bias": "b_o",
    },
}


def from_flax(
    cell: str, params: Mapping[str, Mapping[str, np.ndarray]], module: str | None = None
) -> ours.Params:
    """The parameters of a Flax cell as those of rnnzoo's.

    Args:
      cell: 'elman', 'gru' or 'lstm'.
      params: the Flax cell's own, such as {'i': {'kernel': [D, H], 'bias': [H]}, 'h': {...}}.
      module: the Haiku module's name in the result; the cell's name if None.

    Returns:
      Haiku parameters.

    Raises:
      UserError: a cell without a counterpart, or a missing, misshapen or unknown weight.
    """
    layout = _layout(cell)
    named = {f"{dense}/{name}": a for dense, own in params.items() for name, a in own.items()}
    return ours.params(cell, layout.read(named), module)


def to_flax(
    cell: str, params: Mapping[str, Mapping[str, np.ndarray]], module: str | None = None
) -> dict[str, dict[str, np.ndarray]]:
    """Our cell's parameters as those of the Flax cell; the inverse of `from_flax`, see there.

    Args:
      cell: 'elman', 'gru' (with the reset after the product) or 'lstm'.
      params: Haiku parameters that hold the cell's.
      module: the Haiku module's name in them; the cell's name if None.
    """
    nested = {}
    for path, array in _layout(cell).write(ours.blocks(cell, params, module)).items():
        dense, name = path.split("/")
        nested.setdefault(dense, {})[name] = array
    return nested


def _layout(cell: str) -> Layout:
    return Layout(look_up(cell, CELLS, "Flax"))
