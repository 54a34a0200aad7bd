"""The peer: the same language model with Haiku's own cores and Haiku's own unroll."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import haiku as hk
import jax
import jax.numpy as jnp

from rnnzoo.model import LanguageModel, Params


def language_model(make_core: Callable[[], hk.RNNCore], vocabulary_size: int) -> LanguageModel:
    """`rnnzoo.model.language_model` as one writes it in plain Haiku, on `hk.dynamic_unroll`.

    The same core has the same parameters in both, under the same names.
    """

    def build():
        core = make_core()
        readout = hk.Linear(vocabulary_size, name="readout")

        def apply(ids, state):
            x = jax.nn.one_hot(ids, vocabulary_size)
            h, state = hk.dynamic_unroll(core, x, state)
            return readout(h), state

        def init():
            return apply(jnp.zeros((1, 1), int), core.initial_state(1))

        return init, (apply, core.initial_state)

    init, (apply, initial_state) = hk.multi_transform(build)
    return LanguageModel(init, apply, lambda params, B: initial_state(params, None, B))


class Elman(hk.RNNCore):
    """h_t = tanh(W h_{t-1} + U x_t + b), with the parameters' names of `rnnzoo`'s cell."""

    def __init__(self, hidden_size: int, name: str | None = None):
        super().__init__(name=name)
        self.hidden_size = hidden_size

    def __call__(self, x, h):
        W = hk.Linear(self.hidden_size, with_bias=False, name="W")
        U = hk.Linear(self.hidden_size, name="U")
        h = jnp.tanh(W(h) + U(x))
        return h, h

    def initial_state(self, batch_size):
        return jnp.zeros((batch_size, self.hidden_size))


class Twin(NamedTuple):
    """A core of Haiku's and the registered cell that computes the same function.

    Attributes:
      make_core: hidden size -> Haiku's core.
      options: what makes the registered cell the same function.
      to_rnnzoo: the core's parameters as the cell's. It only reorders, flips signs and adds
        constants, so that Adam and the clipping commute with it: whole trainings agree.
    """

    make_core: Callable[[int], hk.RNNCore]
    options: Mapping[str, Any]
    to_rnnzoo: Callable[[Params], Params]


def _elman(params: Params) -> Params:
    return {
        "elman/U": params["vanilla_rnn/linear"],
        "elman/W": params["vanilla_rnn/linear_1"],
        "readout": params["readout"],
    }


def _gru(params: Params) -> Params:
    """Haiku's update gate is 1 - z, which is the gate of the opposite sign."""

    def reorder(a):
        z, r, n = jnp.split(a, 3, axis=-1)
        return jnp.concatenate([r, -z, n], axis=-1)

    core = {name: reorder(a) for name, a in params["gru"].items()}
    return {
        "gru/U": {"w": core["w_i"], "b": core["b"]},
        "gru": {"W": core["w_h"]},
        "readout": params["readout"],
    }


def _lstm(params: Params) -> Params:
    """Haiku has one product of [x, h], the gates as (i, g, f, o), and adds 1 to f."""

    def reorder(a):
        i, g, f, o = jnp.split(a, 4, axis=-1)
        return jnp.concatenate([i, f, g, o], axis=-1)

    w, b = params["lstm/linear"]["w"], params["lstm/linear"]["b"]
    H = b.shape[0] // 4
    D = w.shape[0] - H
    return {
        "lstm/U": {"w": reorder(w[:D]), "b": reorder(b).at[H : 2 * H].add(1)},
        "lstm/W": {"w": reorder(w[D:])},
        "readout": params["readout"],
    }


TWINS = {
    # One bias: a second, added to the first, is only slower.
    "elman": Twin(lambda H: hk.VanillaRNN(H, double_bias=False), {"activation": "relu"}, _elman),
    "gru": Twin(hk.GRU, {"reset": "before"}, _gru),
    "lstm": Twin(hk.LSTM, {}, _lstm),
}
