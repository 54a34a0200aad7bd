"""The peer: Flax's own cells in `flax.linen.RNN`, jitted.

All three compute rnnzoo's functions one to one. Of Flax's two LSTMs it is the optimised one, with
one product for all gates, as its documentation advises.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from benchmarks.workloads import Layer, jax_layer
from rnnzoo.model import Params


def _elman(params: Params) -> Params:
    return {
        "i": {"kernel": params["elman/U"]["w"], "bias": params["elman/U"]["b"]},
        "h": {"kernel": params["elman/W"]["w"]},
    }


def _gru(params: Params) -> Params:
    """A kernel for each gate (r, z, n), whose inputs have the biases; n has a second one."""
    U, own = params["gru/U"], params["gru"]
    kernels, biases, recurrent = (jnp.split(a, 3, axis=-1) for a in (U["w"], U["b"], own["W"]))
    cell = {}
    for gate, kernel, bias, W in zip("rzn", kernels, biases, recurrent, strict=True):
        cell |= {f"i{gate}": {"kernel": kernel, "bias": bias}, f"h{gate}": {"kernel": W}}
    cell["hn"]["bias"] = own["c_n"]
    return cell


def _lstm(params: Params) -> Params:
    """A kernel for each gate (i, f, g, o), whose recurrent half has the bias."""
    U, W = params["lstm/U"], params["lstm/W"]["w"]
    kernels, biases, recurrent = (jnp.split(a, 4, axis=-1) for a in (U["w"], U["b"], W))
    cell = {}
    for gate, kernel, bias, w in zip("ifgo", kernels, biases, recurrent, strict=True):
        cell |= {f"i{gate}": {"kernel": kernel}, f"h{gate}": {"kernel": w, "bias": bias}}
    return cell


CELLS = {
    "elman": (nn.SimpleCell, _elman),
    "gru": (nn.GRUCell, _gru),
    "lstm": (nn.OptimizedLSTMCell, _lstm),
}


def layers(cell: str, H: int, params: Params, xs: jax.Array) -> dict[str, Layer]:
    """`flax.linen.RNN` around Flax's cell; see `benchmarks.peers`."""
    if cell not in CELLS:
        return {}
    make_cell, weights = CELLS[cell]
    rnn = nn.RNN(make_cell(H, param_dtype=xs.dtype), time_major=True)

    def apply(weights, xs):
        return rnn.apply({"params": {"cell": weights}}, xs)

    return {"flax": jax_layer(apply, weights, params, xs)}
