"""The peer: Keras 3 on its JAX backend, its layers' `stateless_call` jitted.

All three layers compute rnnzoo's functions one to one (the GRU with `reset_after`, its default).
The inputs are laid out [B, T, D] beforehand, as Keras has them. On JAX it computes in single
precision, whatever the inputs.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")  # read when Keras is imported

import jax
import jax.numpy as jnp
import keras

from benchmarks.workloads import Layer, jax_layer
from rnnzoo.errors import UserError
from rnnzoo.model import Params

if keras.backend.backend() != "jax":
    raise UserError(
        f"Keras runs on {keras.backend.backend()!r}, and is compared on JAX: set KERAS_BACKEND=jax"
    )


def _elman(params: Params) -> list[jax.Array]:
    U = params["elman/U"]
    return [U["w"], params["elman/W"]["w"], U["b"]]


def _gru(params: Params) -> list[jax.Array]:
    """The gates as (z, r, n), and two rows of biases, of which our cell has one and c_n."""

    def reorder(a):
        r, z, n = jnp.split(a, 3, axis=-1)
        return jnp.concatenate([z, r, n], axis=-1)

    U, own = params["gru/U"], params["gru"]
    c = jnp.pad(own["c_n"], (2 * len(own["W"]), 0))
    return [reorder(U["w"]), reorder(own["W"]), jnp.stack([reorder(U["b"]), c])]


def _lstm(params: Params) -> list[jax.Array]:
    """The gates as (i, f, g, o), like ours."""
    U = params["lstm/U"]
    return [U["w"], params["lstm/W"]["w"], U["b"]]


CELLS = {
    "elman": (keras.layers.SimpleRNN, _elman),
    "gru": (keras.layers.GRU, _gru),
    "lstm": (keras.layers.LSTM, _lstm),
}


def layers(cell: str, H: int, params: Params, xs: jax.Array) -> dict[str, Layer]:
    """Keras's layer; see `benchmarks.peers`."""
    if cell not in CELLS:
        return {}
    make_layer, weights = CELLS[cell]
    xs = jnp.swapaxes(xs, 0, 1)
    layer = make_layer(H, return_sequences=True, dtype=xs.dtype.name)
    layer.build(xs.shape)
    fixed = [variable.value for variable in layer.non_trainable_variables]

    def read(result):
        loss, d_xs, d_weights = result
        return loss, jnp.swapaxes(d_xs, 0, 1), d_weights

    def apply(weights, xs):
        return layer.stateless_call(weights, fixed, xs)[0]

    return {"keras": jax_layer(apply, weights, params, xs, read)}
