"""Where rnnzoo's cells keep which block: the layouts that every other library's are matched with.

The letters say a block's shape (see `layouts`), the gates are those of the cells' equations. A
parameter's name is what follows the module's in Haiku's path, with a colon before the last part.
"""

from collections.abc import Mapping

import numpy as np

from rnnzoo.errors import UserError
from rnnzoo.weights.layouts import Layout

Params = dict[str, dict[str, np.ndarray]]

_ELMAN = {"/U:w": "U", "/U:b": "b", "/W:w": "W"}
_LSTM = {"/U:w": "U_ifgo", "/U:b": "b_ifgo", "/W:w": "W_ifgo"}
_PEEPHOLES = {":p_i": "p_i", ":p_f": "p_f", ":p_o": "p_o"}
_SHARED_GATE = {"/U:w": "U", "/W:w": "W", "/W:b": "b"}
_SGU = {"/U:w": "U_gz", "/U:b": "b_gz", "/W_g:w": "W_g", "/W_z:w": "W_z"}
# Capital gates are those of the input before.
_LOOKS_BACK = {"/~/W:w": "U_zfo", "/~/W:b": "b_zfo", "/~/V:w": "U_ZFO"}

ROWS = {
    "elman": _ELMAN,
    "indrnn": {"/W:w": "U", "/W:b": "b", ":u": "u"},
    "antisymmetric_rnn": {"/V:w": "U", "/V:b": "b", ":W": "W"},
    "gated_antisymmetric_rnn": {"/V:w": "U_zh", "/V:b": "b_zh", ":W": "W"},
    "cornn": {"/V:w": "U", "/V:b": "b", "/W_y:w": "W_y", "/W_z:w": "W_z"},
    "unicornn": {"/V:w": "U", "/V:b": "b", ":w": "w", ":c": "c"},
    "intersection_rnn": {"/U:w": "U_yhYH", "/U:b": "b_yhYH", "/W:w": "W_yhYH"},  # Y, H: the gates
    "gru": {"/U:w": "U_rzn", "/U:b": "b_rzn", ":W": "W_rzn", ":c_n": "c_n"},
    "mgu": {"/U:w": "U_fh", "/U:b": "b_fh", "/W_f:w": "W_f", "/W_h:w": "W_h"},
    "mut1": {
        "/U:w": "U_zr",
        "/U:b": "b_zr",
        "/W_r:w": "W_r",
        "/W_h:w": "W_h",
        "/W_h:b": "b_h",
        "/P:w?": "U_x",
    },
    "mut2": {
        "/U:w": "U_zh",
        "/U:b": "b_zh",
        "/W:w": "W_zr",
        ":b_r": "b_r",
        "/W_h:w": "W_h",
        "/P:w?": "U_x",
    },
    "mut3": {"/U:w": "U_zrh", "/U:b": "b_zrh", "/W_z:w": "W_z", "/W_r:w": "W_r", "/W_h:w": "W_h"},
    "ugrnn": {"/U:w": "U_gc", "/U:b": "b_gc", "/W:w": "W_gc"},
    "lightru": {"/U:w": "U_fh", "/W_f:w": "W_f", "/W_f:b": "b_f"},
    "sgrn": _SHARED_GATE,
    "sgu": _SGU,
    "dsgu": {**_SGU, "/W_o:w": "W_o"},
    "taugru": {"/U:w": "U_ugaz", "/U:b": "b_ugaz", "/W:w": "W_uga", "/W_z:w": "W_z"},
    "br": {"/U:w": "U_ach", ":w": "w_ac", ":b": "b_ac"},
    "nbr": {"/U:w": "U_ach", "/W:w": "W_ac", ":b": "b_ac"},
    "janet": {"/U:w": "U_fg", "/U:b": "b_fg", "/W:w": "W_fg"},
    "minimal_rnn": {"/U:w": "U", "/U:b": "b_z", "/W:w": "W", "/V:w": "V", "/V:b": "b_u"},
    "ran": {"/U:w": "U_if", "/U:b": "b_if", "/W:w": "W_if", "/U_c:w": "U_c"},
    "atr": _SHARED_GATE,
    "cfn": {"/U:w": "U_θη", "/U:b": "b_θη", "/W:w": "W_θη", "/U_h:w": "U_h"},
    "fast_rnn": {**_ELMAN, ":alpha": "alpha", ":beta": "beta"},
    "fast_grnn": {
        "/U:w": "U",
        "/W:w": "W",
        ":b_z": "b_z",
        ":b_h": "b_h",
        ":zeta": "zeta",
        ":nu": "nu",
    },
    "star": {"/U:w": "U_kz", "/U:b": "b_kz", "/W:w": "W_k"},
    "miru1": {"/U:w": "U_rh", "/U:b": "b_rh", ":W": "W_rh"},
    "miru2": _ELMAN,
    "trnn": {"/~/W:w": "U_z", "/~/V:w": "U_f", "/~/V:b": "b_f"},
    "tgru": _LOOKS_BACK,
    "tlstm": _LOOKS_BACK,
    "lstm": _LSTM,
    "lstm_1997": {"/U:w": "U_igo", "/U:b": "b_igo", "/W:w": "W_igo"},
    "peephole_lstm": {**_LSTM, **_PEEPHOLES},
    "residual_lstm": {**_LSTM, **_PEEPHOLES, "/W_p:w": "W_p", "/U_h:w": "U_h"},
    "multiplicative_lstm": {**_LSTM, "/U_m:w": "U_m", "/W_m:w": "W_m"},
    "mclstm": {"/U:w": "U_ifgom", "/U:b": "b_ifgom", "/W:w": "W_ifgom"},
    "wmclstm": {**_LSTM, "/V:w": "V_if", "/V_o:w": "V_o"},
}


def blocks(
    cell: str, params: Mapping[str, Mapping[str, np.ndarray]], module: str | None = None
) -> dict[str, np.ndarray]:
    """The blocks of a cell's parameters, among which there may be others.

    Args:
      cell: its registered name.
      params: Haiku parameters that hold the cell's.
      module: the Haiku module's name in them; the cell's name if None.

    Raises:
      UserError: parameters are missing, misshapen, or those of other options.
    """
    module = module or cell
    named = {f"{m}:{name}": a for m, own in params.items() for name, a in own.items()}
    own = {k: a for k, a in named.items() if k.startswith((f"{module}:", f"{module}/"))}
    if cell == "gru" and f"{module}:W" in own and f"{module}:c_n" not in own:
        raise UserError("a GRU with the reset after the product is no counterpart of 'before'")
    return _layout(cell, module).read(own or named)


def params(cell: str, blocks: Mapping[str, np.ndarray], module: str | None = None) -> Params:
    """The parameters that hold the blocks; the inverse of `blocks`."""
    nested = {}
    for path, array in _layout(cell, module or cell).write(blocks).items():
        owner, name = path.split(":")
        nested.setdefault(owner, {})[name] = array
    return nested


def _layout(cell: str, module: str) -> Layout:
    return Layout({f"{module}{name}": row for name, row in ROWS[cell].items()})
