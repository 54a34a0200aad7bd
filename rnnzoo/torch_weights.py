"""Weights to and from torch.nn's recurrent layers, as NumPy arrays: torch itself is not needed.

| ours | torch.nn | weights |
|---|---|---|
| `elman` | `RNN` | `U.w`, `W.w` transposed; b = bias_ih + bias_hh |
| `gru`, reset after | `GRU` | gates (r, z, n) in both; biases summed but for n, whose bias_hh is c_n |
| `lstm` | `LSTM` | gates (i, f, g, o) in both; b = bias_ih + bias_hh |

Torch has two biases where only their sum matters; they are summed on the way in, and on the way out the
sum is in bias_ih and bias_hh is zero. A stack of our cells is one torch layer after the other.
"""

from collections.abc import Mapping

import numpy as np

from rnnzoo.errors import UserError, did_you_mean

Params = dict[str, dict[str, np.ndarray]]

GATES = {"elman": 1, "gru": 3, "lstm": 4}


def from_torch(
    cell: str, state_dict: Mapping[str, np.ndarray], layer: int = 0, module: str | None = None
) -> Params:
    """One layer of a torch.nn.RNN, GRU or LSTM as the parameters of our cell.

    Args:
      cell: 'elman', 'gru' or 'lstm'.
      state_dict: the layer's `state_dict()`, as arrays: weight_ih_l0 of shape [gates * H, D], and so on.
        A layer made with `bias=False` has zero biases.
      layer: which layer of a stack.
      module: the Haiku module's name in the parameters; the cell's name if None.

    Returns:
      Haiku parameters, {f'{module}/U': {'w': [D, gates * H], 'b': [gates * H]}, ...}.

    Raises:
      UserError: a cell without a counterpart, or a missing or misshapen weight.
    """
    module, gates = module or cell, _gates(cell)
    w_ih, w_hh = (_take(state_dict, f"weight_{part}_l{layer}") for part in ("ih", "hh"))
    if w_ih.shape[0] != w_hh.shape[0] or w_hh.shape[0] != gates * w_hh.shape[1]:
        raise UserError(
            f"weights of shape {w_ih.shape} and {w_hh.shape} are not those of a torch layer for "
            f"{cell!r}, which has {gates} x H rows: is it another kind of layer?"
        )
    zeros = np.zeros(w_hh.shape[0], w_hh.dtype)
    b_ih, b_hh = (np.array(state_dict.get(f"bias_{p}_l{layer}", zeros)) for p in ("ih", "hh"))
    hidden_size = w_hh.shape[1]
    if cell == "gru":
        c_n = b_hh[2 * hidden_size :].copy()
        b_hh[2 * hidden_size :] = 0
        return {
            module: {"W": w_hh.T, "c_n": c_n},
            f"{module}/U": {"w": w_ih.T, "b": b_ih + b_hh},
        }
    return {f"{module}/U": {"w": w_ih.T, "b": b_ih + b_hh}, f"{module}/W": {"w": w_hh.T}}


def to_torch(
    cell: str,
    params: Mapping[str, Mapping[str, np.ndarray]],
    layer: int = 0,
    module: str | None = None,
) -> dict[str, np.ndarray]:
    """Our cell's parameters as one layer of a torch.nn.RNN, GRU or LSTM; the inverse of `from_torch`.

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
    module, gates = module or cell, _gates(cell)
    u = _take(params, f"{module}/U")
    b_ih = np.asarray(u["b"])
    b_hh = np.zeros_like(b_ih)
    if cell == "gru":
        own = _take(params, module)
        if "c_n" not in own:
            raise UserError(
                "torch.nn.GRU has its reset after the product: no counterpart of 'before'"
            )
        w_hh = np.asarray(own["W"])
        b_hh[-(len(b_hh) // gates) :] = own["c_n"]
    else:
        w_hh = np.asarray(_take(params, f"{module}/W")["w"])
    return {
        f"weight_ih_l{layer}": np.asarray(u["w"]).T,
        f"weight_hh_l{layer}": w_hh.T,
        f"bias_ih_l{layer}": b_ih,
        f"bias_hh_l{layer}": b_hh,
    }


def _gates(cell: str) -> int:
    if cell not in GATES:
        raise UserError(
            f"no torch.nn layer is the counterpart of {cell!r}: {did_you_mean(cell, GATES)}"
        )
    return GATES[cell]


def _take(mapping: Mapping, key: str):
    if key not in mapping:
        raise UserError(f"there is no {key!r} among the weights: {did_you_mean(key, mapping)}")
    value = mapping[key]
    return value if isinstance(value, Mapping) else np.asarray(value)
