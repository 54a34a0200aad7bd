"""Weights in and out: there and back by NumPy alone, and against what libraries are installed."""

import functools
import os

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rnnzoo
from rnnzoo import weights
from rnnzoo.errors import UserError
from rnnzoo.weights import flax, keras, ours, torch, torchrecurrent
from rnnzoo.weights.layouts import Layout, dimensions, parse
from tests.golden import vectors
from tests.golden.record import B, D, T, parameters, record

H = vectors.H
LIBRARIES = {"torch": torch, "torchrecurrent": torchrecurrent, "flax": flax, "keras": keras}
PAIRS = [(library, cell) for library, module in LIBRARIES.items() for cell in module.CELLS]


def converters(library, cell):
    """Theirs to ours, and ours to theirs, of one cell."""
    both = (getattr(weights, f"{way}_{library}") for way in ("from", "to"))
    return [functools.partial(convert, cell) for convert in both]


def sizes(cell):
    """The numbers of features to try: where it is H, some cells have a matrix less."""
    return [H] if cell == "intersection_rnn" else [D, H]


def same(found, expected, tolerance=0.0):
    """Trees of the same names, shapes, dtypes and numbers."""
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=0)


@pytest.mark.parametrize("cell", ours.ROWS)
def test_our_table_has_every_parameter(cell):
    for size in sizes(cell):
        params = parameters(cell, size)
        same(ours.params(cell, ours.blocks(cell, params)), params)


@pytest.mark.parametrize("library, cell", PAIRS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_round_trip(library, cell, dtype):
    into, out = converters(library, cell)
    for size in sizes(cell):
        params = jax.tree.map(lambda a: a.astype(dtype), parameters(cell, size))
        theirs = out(params)
        same(into(theirs), params, 1e-6)
        same(out(into(theirs)), theirs, 1e-6)


@pytest.mark.parametrize("library", LIBRARIES)
def test_other_modules_are_left_alone(library):
    into, out = converters(library, "lstm")
    params = {f"zoo/~/{k}": v for k, v in parameters("lstm").items()}
    more = params | {"zoo/~/lstm_1/U": {"w": np.ones(3)}, "readout": {"b": np.ones(3)}}
    same(into(out(more, module="zoo/~/lstm"), module="zoo/~/lstm"), params)


@pytest.mark.parametrize("library", ["torch", "torchrecurrent"])
def test_a_layer_of_a_stack_and_the_sum_of_its_biases(library):
    into, out = converters(library, "lstm")
    params = parameters("lstm")
    stack = out(params, layer=0) | out(jax.tree.map(np.negative, params), layer=1)
    first, second = (k for k in out(params, layer=1) if "bias" in k)
    assert not stack[second].any()
    stack[first], stack[second] = stack[first] - 0.25, stack[second] + 0.25
    same(into(stack, layer=0), params)
    same(into(stack, layer=1), jax.tree.map(np.negative, params))


def test_missing_biases_are_zeros():
    matrices = {"weight_ih_l0": np.ones((H, D)), "weight_hh_l0": np.ones((H, H))}
    dense = {"i": {"kernel": np.ones((D, H))}, "h": {"kernel": np.ones((H, H))}}
    for params in (
        weights.from_torch("elman", matrices),
        weights.from_keras("elman", [np.ones((D, H)), np.ones((H, H))]),
        weights.from_flax("elman", dense),
    ):
        assert params["elman/U"]["b"].shape == (H,) and not params["elman/U"]["b"].any()


def test_the_arrays_are_copies():
    state_dict = weights.to_torch("lstm", parameters("lstm"))
    params = weights.from_torch("lstm", state_dict)
    assert not any(
        np.shares_memory(a, b) for a in state_dict.values() for b in jax.tree.leaves(params)
    )


def test_factors_and_constants():
    layout = Layout({"w": "U_a 2*U_b", "bias": "0 b_b", "scale": "1", "number": "beta"}, True, (1,))
    U, b, beta = np.arange(3.0).reshape(1, 3), np.arange(3.0), np.array(5.0)
    arrays = layout.write({"U_a": U, "U_b": U, "b_b": b, "beta": beta})
    np.testing.assert_array_equal(arrays["w"], [[0], [1], [2], [0], [2], [4]])
    np.testing.assert_array_equal(arrays["bias"], [0, 0, 0, 0, 1, 2])
    assert (arrays["scale"], arrays["number"]) == (np.ones(()), np.array([5.0]))
    same(layout.read(arrays), {"U_a": U, "U_b": U, "b_b": b, "beta": beta})
    with pytest.raises(UserError, match=r"'scale' should hold \[1\]"):
        layout.read(arrays | {"scale": np.zeros(())})


def test_rows_say_what_they_hold():
    assert parse("U_if 1.2*b_θ c_n 0") == [
        ("U_i", 1), ("U_f", 1), ("b_θ", 1.2), ("c_n", 1), ("0", 1),
    ]  # fmt: skip
    rows = ("U_ab", "W", "p_i", "0 b", "alpha", "1")
    assert [dimensions(row) for row in rows] == ["DH", "HH", "H", "H", "", ""]


def test_errors_name_what_is_wrong():
    matrices = {"weight_ih_l0": np.ones((H, D)), "weight_hh_l0": np.ones((H, H))}
    with pytest.raises(UserError, match="is it another kind of layer"):
        weights.from_torch("gru", matrices)
    with pytest.raises(UserError, match=r"no 'weight_ih_l1'.*did you mean 'weight_ih_l0'"):
        weights.from_torch("elman", matrices, layer=1)
    with pytest.raises(UserError, match="counterpart of 'weight_hr_l0'"):
        weights.from_torch("elman", matrices | {"weight_hr_l0": np.ones((H, H))})
    with pytest.raises(UserError, match=r"'weight_hh_l0' of shape .8, 6. does not hold .W."):
        weights.from_torch("elman", matrices | {"weight_hh_l0": np.ones((H, D))})
    with pytest.raises(UserError, match="counterpart of 'stacked_elman'"):
        weights.to_torch("stacked_elman", {})
    with pytest.raises(UserError, match=r"torchrecurrent.*'mut4'.*did you mean 'mut"):
        weights.from_torchrecurrent("mut4", {})
    with pytest.raises(UserError, match="no 'elman/W:w' among the weights: did you mean"):
        weights.to_flax("elman", {"elman/U": {"w": np.ones((D, H)), "b": np.ones(H)}})
    with pytest.raises(UserError, match="reset_after=True"):
        weights.from_keras("gru", [np.ones((D, 3 * H)), np.ones((H, 3 * H)), np.ones(3 * H)])
    with pytest.raises(UserError, match="no counterpart of 'before'"):
        weights.to_torch("gru", {"gru/U": {"b": np.ones(3)}, "gru": {"W": np.ones((1, 3))}})


def test_what_our_cell_cannot_hold_is_refused():
    theirs = weights.to_torchrecurrent("lightru", parameters("lightru"))
    with pytest.raises(UserError, match=r"'bias_ih' should hold \[0 b_f\]"):
        weights.from_torchrecurrent("lightru", theirs | {"bias_ih": np.ones(2 * H)})
    with pytest.raises(UserError, match="no counterpart of 'intersection_rnn/P:b'"):
        weights.to_torchrecurrent("intersection_rnn", parameters("intersection_rnn", D))
    theirs = weights.to_torchrecurrent("mut1", parameters("mut1", H))
    theirs["weight_ih"] = theirs["weight_ih"] + 1
    with pytest.raises(UserError, match="identity"):
        weights.from_torchrecurrent("mut1", theirs)


def installed(name):
    return pytest.importorskip(name, reason=f"{name} is an extra: pip install -e '.[peers]'")


@pytest.mark.parametrize("library, cell", [pair for pair in PAIRS if "torch" in pair[0]])
def test_torch_and_torchrecurrent_compute_the_same(library, cell):
    installed("torchrecurrent")
    from tests.golden import make

    vectors.check(cell, getattr(make, f"with_{library}")(cell))


def differentiate(run):
    """`record`'s argument of that name, from run: (weights, xs) -> (outputs, state), in JAX."""

    def call(weights, xs, loss_weights):
        def loss(weights, xs):
            results = run(weights, xs)
            products = jax.tree.map(lambda w, a: jnp.sum(w * a), loss_weights, results)
            return sum(jax.tree.leaves(products)), results

        gradient = jax.jit(jax.value_and_grad(loss, (0, 1), has_aux=True))
        (_, results), (by_weights, by_xs) = gradient(weights, xs)
        return results, by_weights, by_xs

    return call


@pytest.mark.parametrize(
    "cell, name",
    [
        ("elman", "SimpleCell"),
        ("gru", "GRUCell"),
        ("lstm", "LSTMCell"),
        ("lstm", "OptimizedLSTMCell"),
    ],
)
def test_flax_computes_the_same(cell, name):
    nn = installed("flax.linen")
    rnn = nn.RNN(getattr(nn, name)(H, param_dtype=float), time_major=True, return_carry=True)

    def run(weights, xs):
        carry, outputs = rnn.apply({"params": {"cell": weights}}, xs)
        return outputs, [carry[1], carry[0]] if cell == "lstm" else [carry]

    convert = functools.partial(weights.to_flax, cell)
    vectors.check(cell, record(cell, f"flax.linen.{name}", convert, differentiate(run)))


@pytest.mark.parametrize("cell, name", [("elman", "SimpleRNN"), ("gru", "GRU"), ("lstm", "LSTM")])
def test_keras_computes_the_same(cell, name):
    """In single precision, for on JAX it has no other."""
    os.environ.setdefault("KERAS_BACKEND", "jax")
    layers = installed("keras").layers
    layer = getattr(layers, name)(H, return_sequences=True, return_state=True)
    layer.build((B, T, D))
    fixed = [variable.value for variable in layer.non_trainable_variables]

    def run(weights, xs):
        weights, xs = jax.tree.map(lambda a: a.astype(np.float32), (weights, xs))
        (outputs, *state), _ = layer.stateless_call(weights, fixed, jnp.swapaxes(xs, 0, 1))
        return jnp.swapaxes(outputs, 0, 1), state

    convert = functools.partial(weights.to_keras, cell)
    golden = record(cell, f"keras.layers.{name}", convert, differentiate(run))
    vectors.check(cell, golden, tolerance=1e-3)


@pytest.mark.parametrize("cell, name", [("elman", "RNN"), ("gru", "GRU"), ("lstm", "LSTM")])
def test_torch_goes_on_from_any_state(cell, name):
    torch = installed("torch")
    torch.manual_seed(0)
    layer = getattr(torch.nn, name)(D, H, dtype=torch.float64)
    xs = torch.randn(T, B, D, dtype=torch.float64)
    start = [torch.randn(1, B, H, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    start = start if cell == "lstm" else start[:1]
    outputs, final = layer(xs, tuple(start) if cell == "lstm" else start[0])
    final = list(final) if cell == "lstm" else [final]
    sum(torch.sin(a).sum() for a in [outputs, *final]).backward()

    @hk.transform
    def model(start):
        core = rnnzoo.make(cell, H)
        state = jax.tree.unflatten(jax.tree.structure(core.initial_state(B)), start)
        return rnnzoo.unroll(core, xs.numpy(), state)

    params = weights.from_torch(cell, {k: v.numpy() for k, v in layer.state_dict().items()})

    def loss(start):
        results = model.apply(params, None, start)
        return sum(jnp.sin(a).sum() for a in jax.tree.leaves(results)), results

    gradient = jax.jit(jax.grad(loss, has_aux=True))
    by_start, (found, state) = gradient([s.detach().numpy()[0] for s in start])
    close = functools.partial(np.testing.assert_allclose, rtol=1e-10, atol=1e-10)
    close(found, outputs.detach())
    for s, theirs in zip(jax.tree.leaves(state), final, strict=True):
        close(s, theirs.detach()[0])
    for s, theirs in zip(by_start, start, strict=True):
        close(s, theirs.grad[0])
