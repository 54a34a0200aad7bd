"""Our elman, gru and lstm against torch.nn's own layers, with the weights mapped."""

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rnnzoo
from rnnzoo.errors import UserError
from rnnzoo.torch_weights import from_torch, to_torch

T, B, D, H = 6, 3, 4, 5
LAYERS = {"elman": "RNN", "gru": "GRU", "lstm": "LSTM"}


@pytest.fixture(scope="module")
def torch():
    module = pytest.importorskip("torch", reason="torch is an extra: pip install -e '.[peers]'")
    module.manual_seed(0)
    return module


def numpy_weights(layer):
    return {k: v.detach().numpy() for k, v in layer.state_dict().items()}


@pytest.mark.parametrize("cell", LAYERS)
def test_outputs_state_and_gradients_equal_torch(cell, torch):
    layer = getattr(torch.nn, LAYERS[cell])(D, H, dtype=torch.float64)
    x = torch.randn(T, B, D, dtype=torch.float64, requires_grad=True)
    start = [torch.randn(1, B, H, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    start = start if cell == "lstm" else start[:1]
    outputs, final = layer(x, tuple(start) if cell == "lstm" else start[0])
    final = list(final) if cell == "lstm" else [final]
    sum(torch.sin(a).sum() for a in [outputs, *final]).backward()

    def run(x, start):
        core = rnnzoo.make(cell, H)
        structure = jax.tree.structure(core.initial_state(B))
        return rnnzoo.unroll(core, x, jax.tree.unflatten(structure, start))

    model = hk.transform(run)

    def loss(params, x, start):
        results = model.apply(params, None, x, start)
        return sum(jnp.sin(a).sum() for a in jax.tree.leaves(results)), results

    params = from_torch(cell, numpy_weights(layer))
    ours = [x.detach().numpy(), [s.detach().numpy()[0] for s in start]]
    gradient = jax.value_and_grad(loss, (0, 1, 2), has_aux=True)
    (_, (y, state)), (d_params, d_x, d_start) = gradient(params, *ours)

    def same(a, b):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10)

    same(y, outputs.detach())
    for a, b in zip(jax.tree.leaves(state), final, strict=True):
        same(a, b.detach()[0])
    same(d_x, x.grad)
    for a, b in zip(d_start, start, strict=True):
        same(a, b.grad[0])
    theirs = {k: v.grad.numpy() for k, v in layer.named_parameters()}
    mine = to_torch(cell, d_params)
    for k in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0"):
        same(mine[k], theirs[k])
    if cell == "gru":  # the one bias of torch's that is not only part of a sum
        same(mine["bias_hh_l0"][2 * H :], theirs["bias_hh_l0"][2 * H :])


@pytest.mark.parametrize("cell", LAYERS)
def test_round_trip(cell):
    gates = {"elman": 1, "gru": 3, "lstm": 4}[cell]
    rng = np.random.default_rng(0)
    weights = {
        "weight_ih_l1": rng.normal(size=(gates * H, D)),
        "weight_hh_l1": rng.normal(size=(gates * H, H)),
        "bias_ih_l1": rng.normal(size=gates * H),
        "bias_hh_l1": np.zeros(gates * H),
    }
    back = to_torch(
        cell, from_torch(cell, weights, layer=1, module="a/~/b"), layer=1, module="a/~/b"
    )
    assert back.keys() == weights.keys()
    for k in back:
        np.testing.assert_array_equal(back[k], weights[k])


def test_a_layer_without_biases():
    weights = {"weight_ih_l0": np.ones((H, D)), "weight_hh_l0": np.ones((H, H))}
    assert not from_torch("elman", weights)["elman/U"]["b"].any()


def test_errors_name_what_is_wrong():
    weights = {"weight_ih_l0": np.ones((H, D)), "weight_hh_l0": np.ones((H, H))}
    with pytest.raises(UserError, match="is it another kind of layer"):
        from_torch("lstm", weights)
    with pytest.raises(UserError, match=r"no 'weight_ih_l1'.*did you mean 'weight_ih_l0'"):
        from_torch("elman", weights, layer=1)
    with pytest.raises(UserError, match="counterpart of 'stacked_elman'"):
        to_torch("stacked_elman", {})
    with pytest.raises(UserError, match="no counterpart of 'before'"):
        to_torch("gru", {"gru/U": {"b": np.ones(3)}, "gru": {"W": np.ones((1, 3))}})
