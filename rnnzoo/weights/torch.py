"""Weights to and from torch.nn's recurrent layers, as NumPy arrays: torch itself is not needed.

rnnzoo's cells and those of torch.nn:

- `elman`: `RNN`
- `gru`, reset after: `GRU`
- `lstm`: `LSTM`

Torch has two biases where only their sum matters; they are summed on the way in, and on the way out
the sum is in bias_ih and bias_hh is zero. A GRU's bias_hh of n is c_n, which is no part of a sum. A
stack of rnnzoo's cells is one torch layer after the other.
"""

from collections.abc import Mapping

import numpy as np

from rnnzoo.weights import ours
from rnnzoo.weights.layouts import Layout, look_up

CELLS = {
    "elman": ("U", "W", "b", "b"),
    "gru": ("U_rzn", "W_rzn", "b_rzn", "b_rz c_n"),
    "lstm": ("U_ifgo", "W_ifgo", "b_ifgo", "b_ifgo"),
}


def from_torch(
    cell: str, state_dict: Mapping[str, np.ndarray], layer: int = 0, module: str | None = None
) -> ours.Params:
    """One layer of a torch.nn.RNN, GRU or LSTM as the parameters of rnnzoo's cell.

    Args:
      cell: 'elman', 'gru' or 'lstm'.
      state_dict: the layer's `state_dict()`, as arrays: weight_ih_l0 of shape [gates * H, D] and so
        on. Where it was made with `bias=False`, the biases are zero.
      layer: which layer of a stack.
      module: the Haiku module's name in the parameters; the cell's name if None.

    Returns:
      Haiku parameters, {f'{module}/U': {'w': [D, gates * H], 'b': [gates * H]}, ...}.

    Raises:
      UserError: a cell without a counterpart, or a missing, misshapen or unknown weight.
    """
    layout = _layout(cell, layer)
    own = {k: v for k, v in state_dict.items() if k.endswith(f"_l{layer}")}
    return ours.params(cell, layout.read(own or state_dict), module)


def to_torch(
    cell: str,
    params: Mapping[str, Mapping[str, np.ndarray]],
    layer: int = 0,
    module: str | None = None,
) -> dict[str, np.ndarray]:
    """Our cell's parameters as a layer of a torch.nn.RNN, GRU or LSTM: the inverse of `from_torch`.

    Args:
      cell: 'elman', 'gru' (with the reset after the product) or 'lstm'.
      params: Haiku parameters that hold the cell's.
      layer: which layer of the torch stack it becomes.
      module: the Haiku module's name in the parameters; the cell's name if None.

    Returns:
      `state_dict` entries: weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0.

    Raises:
      UserError: a cell without a counterpart, or parameters that are not there.
    """
    layout = _layout(cell, layer)
    return layout.write(ours.blocks(cell, params, module))


def _layout(cell: str, layer: int) -> Layout:
    names = (f"{name}_l{layer}" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    rows = look_up(cell, CELLS, "torch.nn")
    return Layout(dict(zip(names, rows, strict=True)), transposed=True)
