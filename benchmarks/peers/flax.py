"""The peer: Flax's own cells in `flax.linen.RNN`, jitted.

All three compute rnnzoo's functions one to one (`rnnzoo.weights.flax`). Of Flax's two LSTMs it is
the optimised one, with one product for all gates, as its documentation advises.
"""

import functools

import flax.linen as nn
import jax

from benchmarks.workloads import Layer, jax_layer
from rnnzoo.model import Params
from rnnzoo.weights import to_flax

CELLS = {"elman": nn.SimpleCell, "gru": nn.GRUCell, "lstm": nn.OptimizedLSTMCell}


def layers(cell: str, H: int, params: Params, xs: jax.Array) -> dict[str, Layer]:
    """`flax.linen.RNN` around Flax's cell; see `benchmarks.peers`."""
    if cell not in CELLS:
        return {}
    rnn = nn.RNN(CELLS[cell](H, param_dtype=xs.dtype), time_major=True)

    def apply(weights, xs):
        return rnn.apply({"params": {"cell": weights}}, xs)

    return {"flax": jax_layer(apply, functools.partial(to_flax, cell), params, xs)}
