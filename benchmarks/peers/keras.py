"""The peer: Keras 3 on its JAX backend, its layers' `stateless_call` jitted.

All three layers compute rnnzoo's functions one to one (`rnnzoo.weights.keras`). The inputs
are laid out [B, T, D] beforehand, as Keras has them. On JAX it computes in single precision,
whatever the inputs.
"""

import functools
import os

os.environ.setdefault("KERAS_BACKEND", "jax")  # read when Keras is imported

import jax
import jax.numpy as jnp
import keras

from benchmarks.workloads import Layer, jax_layer
from rnnzoo.errors import UserError
from rnnzoo.model import Params
from rnnzoo.weights import to_keras

if keras.backend.backend() != "jax":
    raise UserError(
        f"Keras runs on {keras.backend.backend()!r}, and is compared on JAX: set KERAS_BACKEND=jax"
    )


CELLS = {
    "elman": keras.layers.SimpleRNN,
    "gru": keras.layers.GRU,
    "lstm": keras.layers.LSTM,
}


def layers(cell: str, H: int, params: Params, xs: jax.Array) -> dict[str, Layer]:
    """Keras's layer; see `benchmarks.peers`."""
    if cell not in CELLS:
        return {}
    xs = jnp.swapaxes(xs, 0, 1)
    layer = CELLS[cell](H, return_sequences=True, dtype=xs.dtype.name)
    layer.build(xs.shape)
    fixed = [variable.value for variable in layer.non_trainable_variables]

    def read(result):
        loss, d_xs, d_weights = result
        return loss, jnp.swapaxes(d_xs, 0, 1), d_weights

    def apply(weights, xs):
        return layer.stateless_call(weights, fixed, xs)[0]

    return {"keras": jax_layer(apply, functools.partial(to_keras, cell), params, xs, read)}
