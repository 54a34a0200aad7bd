"""Weights to and from Keras's recurrent layers, as NumPy arrays: Keras itself is not needed.

rnnzoo's cells and those of keras.layers:

- `elman`: `SimpleRNN`
- `gru`, reset after: `GRU`, with its default `reset_after=True`
- `lstm`: `LSTM`
"""

from collections.abc import Mapping, Sequence

import numpy as np

from rnnzoo.errors import UserError
from rnnzoo.weights import ours
from rnnzoo.weights.layouts import Layout, look_up

# Kernel, recurrent kernel, and the rows of the bias.
CELLS: dict[str, tuple[str, ...]] = {
    "elman": ("U", "W", "b"),
    "gru": ("U_zrn", "W_zrn", "b_zrn", "b_zr c_n"),
    "lstm": ("U_ifgo", "W_ifgo", "b_ifgo"),
}
NAMES = ("kernel", "recurrent_kernel", "bias", "recurrent_bias")


def from_keras(cell: str, weights: Sequence[np.ndarray], module: str | None = None) -> ours.Params:
    """The weights of a Keras layer as the parameters of rnnzoo's cell.

    Args:
      cell: 'elman', 'gru' or 'lstm'.
      weights: the layer's `get_weights()`: kernel, recurrent kernel and bias. A layer made with
        `use_bias=False` has zero biases.
      module: the Haiku module's name in the parameters; the cell's name if None.

    Returns:
      Haiku parameters.

    Raises:
      UserError: a cell without a counterpart, or a missing, misshapen or unknown weight.
    """
    layout = _layout(cell)
    matrices, rows = weights[:2], [row for bias in weights[2:] for row in np.atleast_2d(bias)]
    if rows and len(rows) != len(layout.rows) - 2:
        raise UserError(
            f"a bias of {len(rows)} rows is not that of a Keras layer for {cell!r}; a GRU needs "
            "reset_after=True"
        )
    return ours.params(
        cell, layout.read(dict(zip(NAMES, [*matrices, *rows], strict=False))), module
    )


def to_keras(
    cell: str, params: Mapping[str, Mapping[str, np.ndarray]], module: str | None = None
) -> list[np.ndarray]:
    """Our cell's parameters as a Keras layer's weights; the inverse of `from_keras`, see there.

    Args:
      cell: 'elman', 'gru' (with the reset after the product) or 'lstm'.
      params: Haiku parameters that hold the cell's.
      module: the Haiku module's name in them; the cell's name if None.
    """
    arrays = _layout(cell).write(ours.blocks(cell, params, module)).values()
    kernel, recurrent_kernel, *rows = arrays
    return [kernel, recurrent_kernel, np.stack(rows) if len(rows) > 1 else rows[0]]


def _layout(cell: str) -> Layout:
    rows = look_up(cell, CELLS, "Keras")
    return Layout(dict(zip(NAMES, rows, strict=False)))
