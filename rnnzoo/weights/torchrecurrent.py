"""Weights to and from torchrecurrent's cells and layers, as NumPy arrays: it is not needed itself.

`CELLS` are those that it shares with rnnzoo, as of version 0.2.5. Its second biases are summed on
the way in, and zero on the way out. Where it has a weight that the paper has not, the table says 0
or 1.

What it has and is not here computes another function:

- LEM: its y reads the old z, where the paper has the new one.
- LiGRU: it does not normalise.
- NAS: one of the eight products is a sum.
- RHN: it cannot be imported.
- SCRN: it feeds back its readout, through a tanh of its own.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from rnnzoo.weights import ours
from rnnzoo.weights.layouts import Layout, look_up


class Twin(NamedTuple):
    """A cell of torchrecurrent's that computes a registered cell's function.

    Attributes:
      name: of the layer's class; the cell's has Cell appended.
      rows: the blocks in each of its arrays.
      options: what its class is to be given for rnnzoo's defaults (`delay` of the layer alone).
    """

    name: str
    rows: Mapping[str, str]
    options: Mapping[str, Any]


def _twin(
    name: str,
    weight_ih: str,
    weight_hh: str | None,
    bias_ih: str,
    bias_hh: str | None,
    options: Mapping[str, Any] | None = None,
    **others: str,
) -> Twin:
    rows = {"weight_ih": weight_ih, "weight_hh": weight_hh, "bias_ih": bias_ih, "bias_hh": bias_hh}
    return Twin(name, {k: v for k, v in (rows | others).items() if v}, options or {})


CELLS = {
    "indrnn": _twin("IndRNN", "U", None, "b", "b", {"nonlinearity": "relu"}, vector_u="u"),
    "antisymmetric_rnn": _twin(
        "AntisymmetricRNN", "U", "W", "b", "b", {"epsilon": 0.5, "gamma": 0.1}
    ),
    "gated_antisymmetric_rnn": _twin(
        "GatedAntisymmetricRNN", "U_zh", "W", "b_zh", "b_h", {"epsilon": 0.5, "gamma": 0.1}
    ),
    "cornn": _twin(
        "coRNN",
        "U",
        "W_y",
        "b",
        "b",
        {"dt": 0.2, "gamma": 2.7, "epsilon": 4.7},
        weight_ch="W_z",
        bias_ch="b",
    ),
    "unicornn": _twin("UnICORNN", "U", "w", "b", "b", {"dt": 0.5}, weight_ch="c"),
    "intersection_rnn": _twin("IntersectionRNN", "U_yhYH", "W_yhYH", "b_yhYH", "b_yhYH"),
    "mgu": _twin("MGU", "U_fh", "W_fh", "b_fh", "b_fh"),
    "mut1": _twin("MUT1", "U_zrx", "W_rh", "b_zr 0", "b_rh"),
    "mut2": _twin("MUT2", "U_zxh", "W_zrh", "b_zrh", "b_zrh"),
    "mut3": _twin("MUT3", "U_zrh", "W_zrh", "b_zrh", "b_zrh"),
    "ugrnn": _twin("UGRNN", "U_cg", "W_cg", "b_cg", "b_cg"),
    "lightru": _twin("LightRU", "U_hf", "W_f", "0 b_f", "b_f"),
    "sgrn": _twin("SGRN", "U", "W", "0", "b"),
    # The slope of its hard sigmoid is 1/6, where rnnzoo's and the paper's is 1/5.
    "sgu": _twin("SGU", "U_g 1.2*U_z", "W_g 1.2*W_z", "b_g 1.2*b_z", "0 1.2*b_z"),
    "dsgu": _twin(
        "DSGU", "U_g 1.2*U_z", "W_g 1.2*W_z", "b_g 1.2*b_z", "0 1.2*b_z", weight_ho="W_o"
    ),
    "taugru": _twin("tauGRU", "U_uzga", "W_uzga", "b_uzga", "b_uzga", {"delay": 5}),
    "br": _twin("BR", "U_ach", "w_ac", "b_ac 0", "b_ac"),
    "nbr": _twin("NBR", "U_ach", "W_ac", "b_ac 0", "b_ac"),
    "janet": _twin("JANET", "U_fg", "W_fg", "b_fg", "b_fg", beta="1"),
    "minimal_rnn": _twin("MinimalRNN", "U", "W", "b_z", "b_u", weight_mm="V"),
    "ran": _twin("RAN", "U_cif", "W_if", "b_if", "b_if"),
    "atr": _twin("ATR", "U", "W", "0", "b"),
    "cfn": _twin("CFN", "U_θηh", "W_θη", "b_θη 0", "b_θη"),
    "fast_rnn": _twin("FastRNN", "U", "W", "b", "b", alpha="alpha", beta="beta"),
    "fast_grnn": _twin(
        "FastGRNN", "U", "W", "b_zh", "b_zh", {"nonlinearity": "sigmoid"}, zeta="zeta", nu="nu"
    ),
    "star": _twin("STAR", "U_zk", "W_k", "b_zk", "b_k"),
    "miru1": _twin("MiRU1", "U_rh", "W_rh", "b_rh", "b_rh"),
    "miru2": _twin("MiRU2", "U", "W", "b", "b"),
    "trnn": _twin("TRNN", "U_zf", None, "0 b_f", None),
    "tgru": _twin("TGRU", "U_zfo", "U_ZFO", "b_zfo", "b_zfo"),
    "tlstm": _twin("TLSTM", "U_zfo", "U_ZFO", "b_zfo", "b_zfo"),
    "lstm": _twin("PeepholeLSTM", "U_ifgo", "W_ifgo", "b_ifgo", "b_ifgo", weight_ph="0 0 0"),
    # tanh(g) and tanh(c), where the paper has 2 tanh(g/2) and tanh(c/2): its c is half of rnnzoo's.
    "lstm_1997": _twin(
        "OriginalLSTM",
        "U_i 0.5*U_g U_o",
        "W_i 0.5*W_g W_o",
        "b_i 0.5*b_g b_o",
        "b_i 0.5*b_g b_o",
    ),
    "peephole_lstm": _twin(
        "PeepholeLSTM", "U_ifgo", "W_ifgo", "b_ifgo", "b_ifgo", weight_ph="p_ifo"
    ),
    "residual_lstm": _twin(
        "ResLSTM",
        "U_ifgo",
        "W_ifgo",
        "b_ifgo",
        "b_ifgo",
        weight_ph="p_ifo",
        weight_proj="W_p",
        weight_res="U_h",
    ),
    "multiplicative_lstm": _twin(
        "MultiplicativeLSTM",
        "U_mifgo",
        "W_m",
        "0 b_ifgo",
        "0",
        weight_mh="W_ifgo",
        bias_mh="b_ifgo",
    ),
    "mclstm": _twin("MCLSTM", "U_fiomg", "W_fiomg", "b_fiomg", "b_fiomg"),
    "wmclstm": _twin(
        "WMCLSTM", "U_ifgo", "W_ifgo", "b_ifgo", "b_ifgo", weight_mh="V_ifo", bias_mh="0 0 0"
    ),
}


def from_torchrecurrent(
    cell: str,
    state_dict: Mapping[str, np.ndarray],
    layer: int | None = None,
    module: str | None = None,
) -> ours.Params:
    """A cell of torchrecurrent's as the parameters of rnnzoo's.

    Args:
      cell: the registered name, such as 'mgu'.
      state_dict: the cell's `state_dict()`, as arrays, or a layer's.
      layer: None for a cell's weights; for a layer's, which cell of its stack.
      module: the Haiku module's name in the parameters; the cell's name if None.

    Returns:
      Haiku parameters.

    Raises:
      UserError: no such cell; a weight is missing, misshapen or unknown; or one has a value that
        rnnzoo's cell cannot have, being a bias or a number that the paper does not train.
    """
    prefix, layout = _layout(cell, layer)
    own = {k: v for k, v in state_dict.items() if k.startswith(prefix)}
    return ours.params(cell, layout.read(own or state_dict), module)


def to_torchrecurrent(
    cell: str,
    params: Mapping[str, Mapping[str, np.ndarray]],
    layer: int | None = None,
    module: str | None = None,
) -> dict[str, np.ndarray]:
    """Our cell's parameters as torchrecurrent's, the inverse of `from_torchrecurrent`: see there."""
    _, layout = _layout(cell, layer)
    return layout.write(ours.blocks(cell, params, module))


def _layout(cell: str, layer: int | None) -> tuple[str, Layout]:
    prefix = "" if layer is None else f"cells.{layer}."
    rows = look_up(cell, CELLS, "torchrecurrent").rows
    rows = {f"{prefix}{name}": row for name, row in rows.items()}
    return prefix, Layout(rows, transposed=True, number=(1,))
