"""The peer: the same language model with Haiku's own cores and Haiku's own unroll."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import haiku as hk
import jax
import jax.numpy as jnp

from benchmarks import workloads
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
    return LanguageModel(init, apply, lambda params, B, key=None: initial_state(params, key, B))


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
      from_rnnzoo: the cell's parameters as the core's; others are left as they are. It only
        reorders, flips signs and adds constants, so that Adam and the clipping commute with it:
        whole trainings agree.
    """

    make_core: Callable[[int], hk.RNNCore]
    options: Mapping[str, Any]
    from_rnnzoo: Callable[[Params], Params]


def _elman(params: Params) -> Params:
    rest = dict(params)
    core = {"vanilla_rnn/linear": rest.pop("elman/U"), "vanilla_rnn/linear_1": rest.pop("elman/W")}
    return {**rest, **core}


def _gru(params: Params) -> Params:
    """Haiku has the gates as (z, r, n); its update gate is 1 - z, the gate of the opposite sign."""

    def reorder(a):
        r, z, n = jnp.split(a, 3, axis=-1)
        return jnp.concatenate([-z, r, n], axis=-1)

    rest = dict(params)
    U, W = rest.pop("gru/U"), rest.pop("gru")["W"]
    return {**rest, "gru": {"w_i": reorder(U["w"]), "w_h": reorder(W), "b": reorder(U["b"])}}


def _lstm(params: Params) -> Params:
    """Haiku has one product of [x, h], the gates as (i, g, f, o), and adds 1 to f."""

    def reorder(a):
        i, f, g, o = jnp.split(a, 4, axis=-1)
        return jnp.concatenate([i, g, f, o], axis=-1)

    rest = dict(params)
    U, W = rest.pop("lstm/U"), rest.pop("lstm/W")["w"]
    H = len(W)
    linear = {
        "w": reorder(jnp.concatenate([U["w"], W])),
        "b": reorder(U["b"]).at[2 * H : 3 * H].add(-1),
    }
    return {**rest, "lstm/linear": linear}


TWINS = {
    # One bias: a second, added to the first, is only slower.
    "elman": Twin(lambda H: hk.VanillaRNN(H, double_bias=False), {"activation": "relu"}, _elman),
    "gru": Twin(hk.GRU, {"reset": "before"}, _gru),
    "lstm": Twin(hk.LSTM, {}, _lstm),
}


def layer(
    make_core: Callable[[], hk.RNNCore],
    unroll: Callable,
    params: Params,
    xs: jax.Array,
    weights: Callable[[Params], Params] = dict,
    **how: Any,
) -> workloads.Layer:
    """Any Haiku core over dense inputs.

    Args:
      make_core: makes the core.
      unroll: `hk.dynamic_unroll`, or another of its kind.
      params: of rnnzoo's cell.
      xs: the inputs, shape [T, B, D].
      weights: those parameters as the core's.
      **how: more for `workloads.jax_layer`.
    """

    def run(xs):
        core = make_core()
        return unroll(core, xs, _like(xs, core.initial_state(xs.shape[1])))[0]

    apply = hk.without_apply_rng(hk.transform(run)).apply
    return workloads.jax_layer(apply, weights, params, xs, **how)


def _like(xs, state):
    """The state with its real numbers in the inputs' precision."""
    real = jnp.floating
    return jax.tree.map(lambda a: a.astype(xs.dtype) if jnp.issubdtype(a.dtype, real) else a, state)


def layers(cell: str, H: int, params: Params, xs: jax.Array) -> dict[str, workloads.Layer]:
    """Haiku's own core on its own unroll; `params` are those of the cell with `options(cell)`."""
    if cell not in TWINS:
        return {}
    twin = TWINS[cell]
    make_core = functools.partial(twin.make_core, H)
    found = layer(make_core, hk.dynamic_unroll, params, xs, twin.from_rnnzoo)
    return {"haiku, dynamic_unroll": found}


def options(cell: str) -> Mapping[str, Any]:
    """What makes the registered cell the function that Haiku's core fixes."""
    return TWINS[cell].options if cell in TWINS else {}
