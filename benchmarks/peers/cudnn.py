"""The peer on a GPU: `jax.experimental.rnn.lstm`, cuDNN's LSTM as JAX offers it, in float32.

Its inputs are laid out [B, T, D] beforehand, as it has them.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import rnn

from benchmarks.workloads import Layer, jax_layer
from rnnzoo.model import Params
from rnnzoo.weights import to_torch

PARTS = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")


def layers(cell: str, H: int, params: Params, xs: jax.Array) -> dict[str, Layer]:
    """The LSTM of cuDNN, where there is a GPU; see `benchmarks.peers`."""
    if cell != "lstm" or jax.default_backend() != "gpu" or xs.dtype != jnp.float32:
        return {}
    T, B, D = xs.shape
    zeros, lengths = jnp.zeros((1, B, H)), jnp.full(B, T, jnp.int32)
    # The second bias, which starts from zero, is none of rnnzoo's: it stays out of the comparison.
    second = jnp.zeros(4 * H)

    def weights(params):
        found = to_torch("lstm", params)
        return np.concatenate([np.ravel(found[part]) for part in PARTS[:-1]])

    def apply(weights, xs):
        weights = jnp.concatenate([weights, second])
        return rnn.lstm(xs, zeros, zeros, weights, lengths, D, H, 1, 0.0, False)[0]

    def read(result):
        loss, d_xs, d_weights = result
        return loss, jnp.swapaxes(d_xs, 0, 1), d_weights

    xs = jnp.swapaxes(xs, 0, 1)
    return {"jax.experimental.rnn": jax_layer(apply, weights, params, xs, read)}
