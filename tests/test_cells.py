"""The cells against their equations in NumPy, and against Haiku's own where they are the same."""

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rnnzoo
from rnnzoo.errors import UserError

T, B, D, H = 4, 3, 4, 5


def make_model(make_core):
    def run(x):
        core = make_core()
        return rnnzoo.unroll(core, x, core.initial_state(x.shape[1]), strategy="plain")

    return hk.transform(run)


@pytest.fixture(scope="module")
def x():
    return jax.random.normal(jax.random.key(0), (T, B, D))


def params_of(model, x, shift=0.1):
    params = model.init(jax.random.key(1), x)
    return jax.tree.map(lambda a: a.astype(float) + shift, params)


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def elman(p, x, h, f=np.tanh):
    return f(h @ p["W"]["w"] + x @ p["U"]["w"] + p["U"]["b"])


def parameters_below(params, module):
    return {k.removeprefix(f"{module}/"): v for k, v in params.items() if k.startswith(module)}


@pytest.mark.parametrize("activation, f", [("tanh", np.tanh), ("relu", lambda a: np.maximum(a, 0))])
def test_elman(x, activation, f):
    model = make_model(lambda: rnnzoo.make("elman", H, activation=activation))
    params = params_of(model, x)
    outputs, state = model.apply(params, None, x)
    h = np.zeros((B, H))
    for t in range(T):
        h = elman(parameters_below(params, "elman"), np.asarray(x[t]), h, f)
        np.testing.assert_allclose(outputs[t], h, atol=1e-12)
    np.testing.assert_array_equal(state, outputs[-1])


@pytest.mark.parametrize("delayed", [False, True])
def test_stacked_elman(x, delayed):
    model = make_model(lambda: rnnzoo.make("stacked_elman", H, delayed=delayed))
    params = params_of(model, x)
    outputs, state = model.apply(params, None, x)
    lower = parameters_below(params, "stacked_elman/~/elman")
    upper = parameters_below(params, "stacked_elman/~/elman_1")
    h_1 = h_2 = np.zeros((B, H))
    for t in range(T):
        before, h_1 = h_1, elman(lower, np.asarray(x[t]), h_1)
        h_2 = elman(upper, before if delayed else h_1, h_2)
        np.testing.assert_allclose(outputs[t], h_2, atol=1e-12)
    np.testing.assert_allclose(state, (h_1, h_2), atol=1e-12)


def test_stacked_elman_is_the_two_layer_case_of_the_stack(x):
    ours = make_model(lambda: rnnzoo.make("stacked_elman", H))
    stack = make_model(lambda: rnnzoo.make("elman", H, layers=2))
    params = params_of(ours, x)
    same = {k.replace("stacked_elman/~/", ""): v for k, v in params.items()}
    jax.tree.map(
        np.testing.assert_array_equal, ours.apply(params, None, x), stack.apply(same, None, x)
    )


@pytest.mark.parametrize("reset", ["before", "after"])
def test_gru(x, reset):
    model = make_model(lambda: rnnzoo.make("gru", H, reset=reset))
    params = params_of(model, x)
    outputs, _ = model.apply(params, None, x)
    u_r, u_z, u_n = np.split(params["gru/U"]["w"], 3, axis=1)
    b_r, b_z, b_n = np.split(params["gru/U"]["b"], 3)
    w_r, w_z, w_n = np.split(params["gru"]["W"], 3, axis=1)
    h = np.zeros((B, H))
    for t, x_t in enumerate(np.asarray(x)):
        r = sigmoid(x_t @ u_r + h @ w_r + b_r)
        z = sigmoid(x_t @ u_z + h @ w_z + b_z)
        if reset == "before":
            n = np.tanh(x_t @ u_n + (r * h) @ w_n + b_n)
        else:
            n = np.tanh(x_t @ u_n + b_n + r * (h @ w_n + params["gru"]["c_n"]))
        h = (1 - z) * n + z * h
        np.testing.assert_allclose(outputs[t], h, atol=1e-12)


def test_lstm(x):
    model = make_model(lambda: rnnzoo.make("lstm", H))
    params = params_of(model, x)
    outputs, state = model.apply(params, None, x)
    h = c = np.zeros((B, H))
    for t, x_t in enumerate(np.asarray(x)):
        gates = x_t @ params["lstm/U"]["w"] + h @ params["lstm/W"]["w"] + params["lstm/U"]["b"]
        i, f, g, o = np.split(gates, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        np.testing.assert_allclose(outputs[t], h, atol=1e-12)
    np.testing.assert_allclose(state.cell, c, atol=1e-12)


def test_lstm_forget_bias_is_only_where_it_starts():
    def bias(**options):
        model = make_model(lambda: rnnzoo.make("lstm", H, **options))
        return model.init(jax.random.key(0), jnp.zeros((1, 1, D)))["lstm/U"]["b"]

    np.testing.assert_array_equal(bias(), np.repeat([0, 1, 0, 0], H))
    np.testing.assert_array_equal(bias(forget_bias=2.5), np.repeat([0, 2.5, 0, 0], H))


def same_as_haiku(x, ours, params, theirs, their_params):
    mine, other = ours.apply(params, None, x), theirs.apply(their_params, None, x)
    for a, b in zip(jax.tree.leaves(mine), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-12)


def test_elman_with_relu_is_hk_vanilla_rnn(x):
    theirs = make_model(lambda: hk.VanillaRNN(H, double_bias=False))
    p = params_of(theirs, x)
    params = {"elman/U": p["vanilla_rnn/linear"], "elman/W": p["vanilla_rnn/linear_1"]}
    ours = make_model(lambda: rnnzoo.make("elman", H, activation="relu"))
    same_as_haiku(x, ours, params, theirs, p)


def test_lstm_is_hk_lstm(x):
    theirs = make_model(lambda: hk.LSTM(H))
    p = params_of(theirs, x)
    joined = p["lstm/linear"]

    def in_our_order(a):  # theirs: i, g, f, o
        i, g, f, o = np.split(a, 4, axis=-1)
        return np.concatenate([i, f, g, o], axis=-1)

    b = in_our_order(joined["b"]) + np.repeat([0, 1, 0, 0], H)  # their shift of the forget gate
    w = in_our_order(joined["w"])
    params = {"lstm/U": {"w": w[:D], "b": b}, "lstm/W": {"w": w[D:]}}
    same_as_haiku(x, make_model(lambda: rnnzoo.make("lstm", H)), params, theirs, p)


def test_gru_with_the_reset_before_is_hk_gru(x):
    theirs = make_model(lambda: hk.GRU(H))
    p = params_of(theirs, x)["gru"]

    def in_our_order(a):  # theirs: z, r, a, with the roles of z and 1 - z = sigmoid(-...) swapped
        z, r, n = np.split(a, 3, axis=-1)
        return np.concatenate([r, -z, n], axis=-1)

    params = {
        "gru": {"W": in_our_order(p["w_h"])},
        "gru/U": {"w": in_our_order(p["w_i"]), "b": in_our_order(p["b"])},
    }
    ours = make_model(lambda: rnnzoo.make("gru", H, reset="before"))
    same_as_haiku(x, ours, params, theirs, {"gru": p})


@pytest.mark.parametrize("name, gates", [("elman", 1), ("gru", 3), ("lstm", 4)])
def test_each_gate_is_drawn_orthogonal(name, gates):
    model = make_model(lambda: rnnzoo.make(name, H))
    params = model.init(jax.random.key(0), jnp.zeros((1, 1, D)))
    W = params["gru"]["W"] if name == "gru" else params[f"{name}/W"]["w"]
    for block in np.split(W, gates, axis=1):
        np.testing.assert_allclose(block.T @ block, np.eye(H), atol=1e-5)


def test_identity_initializer():
    model = make_model(lambda: rnnzoo.make("elman", H, initializer="identity", activation="relu"))
    params = model.init(jax.random.key(0), jnp.zeros((1, 1, D)))
    np.testing.assert_array_equal(params["elman/W"]["w"], np.eye(H))


@pytest.mark.parametrize(
    "name, options, message",
    [
        ("elman", {"activation": "tanhh"}, "no activation is named 'tanhh': did you mean 'tanh'"),
        ("elman", {"initializer": "ortogonal"}, "did you mean 'orthogonal'"),
        ("gru", {"reset": "aftr"}, "did you mean 'after'"),
    ],
)
def test_wrong_options_are_one_clear_line(name, options, message):
    model = make_model(lambda: rnnzoo.make(name, H, **options))
    with pytest.raises(UserError, match=message):
        model.init(jax.random.key(0), jnp.zeros((1, 1, D)))
