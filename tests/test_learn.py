"""Tasks learned by the trainer."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rnnzoo
from rnnzoo import tasks
from rnnzoo.errors import UserError
from rnnzoo.loss import cross_entropy, mean_loss, squared_error
from rnnzoo.model import Reals, sequence_model
from rnnzoo.tasks import learn
from rnnzoo.update import advance, epoch_key


def core(cell="gru", hidden_size=8):
    return lambda: rnnzoo.make(cell, hidden_size)


@pytest.mark.parametrize("name", ["parity", "sines"])
def test_an_update_is_one_on_the_tasks_own_batch(name):
    """Of ids and of reals: with a learning rate of 0, losses are those of the initial parameters."""
    task = tasks.make(name)
    found = learn.learner(task, core(), updates=20, batch_size=3, seeds=2, lengths=(40, 45))
    params, curve = found.train(learning_rate=0.0)
    init, apply = jax.jit(found.model.init), jax.jit(found.model.apply)
    for seed in range(2):
        initial = init(epoch_key(np.uint32(seed), 0))
        assert jax.tree.all(jax.tree.map(np.array_equal, params[seed], initial))
        for epoch in (1, 20):
            key = jax.random.split(epoch_key(np.uint32(seed), np.uint32(epoch)))[1]
            key = jax.random.fold_in(jax.random.fold_in(key, 0), 0)  # of the piece, and the device
            batch = task.sample(jax.random.fold_in(key, 0), 3, 45, 40)
            state = found.model.initial_state(initial, 3)
            outputs, _ = apply(initial, key, batch.inputs, state)
            np.testing.assert_allclose(curve[epoch - 1][seed], task.loss(outputs, batch), rtol=1e-9)


def test_two_devices_share_out_the_sequences():
    """Each draws rows of its own; together they are the batch."""
    task = tasks.make("parity")
    found = learn.learner(task, core(), updates=20, batch_size=32, seeds=1)
    assert found.trainer.mesh.size == 2
    _, curve = found.train(learning_rate=0.0)
    initial = found.model.init(epoch_key(np.uint32(0), 0))
    key = jax.random.fold_in(jax.random.split(epoch_key(np.uint32(0), np.uint32(1)))[1], 0)
    sums = []
    for device in range(2):
        own = jax.random.fold_in(jax.random.fold_in(key, device), 0)
        batch = task.sample(own, 16, 40, 1)
        state = found.model.initial_state(initial, 16)
        outputs, _ = jax.jit(found.model.apply)(initial, own, batch.inputs, state)
        sums.append((task.loss(outputs, batch) * batch.weights.sum(), batch.weights.sum()))
    expected = sum(nats for nats, _ in sums) / sum(count for _, count in sums)
    np.testing.assert_allclose(curve[0][0], expected, rtol=1e-9)


def test_parity_is_learned_and_measured():
    task = tasks.make("parity", every_step=True)
    found = learn.learner(task, core("elman", 16), 400, 16, seeds=2, lengths=(1, 5))
    params, curve = found.train(learning_rate=2e-2)
    assert np.mean(curve[-1]) < 0.1 < 0.5 < np.mean(curve[0])
    measured = [learn.measure(found.model, p, task, length=5) for p in params]
    assert all(m["accuracy"] > 0.98 for m in measured)
    # One compiled training serves all learning rates; at this one, nothing is learned.
    compiled = advance._cache_size()
    params, _ = found.train(learning_rate=1e-7)
    assert advance._cache_size() == compiled
    assert learn.measure(found.model, params[0], task, length=5)["accuracy"] < 0.8


def test_sizes_match_the_parameters():
    task = tasks.make("parity")
    make = functools.partial(_model, task)
    for wanted in (500, 5000):
        size = learn.matched_size(make, wanted)
        assert size % 8 == 0
        off = {n: abs(learn.parameters(make(n)) - wanted) for n in (size - 8, size, size + 8) if n}
        assert min(off, key=off.get) == size
    with pytest.raises(UserError, match="8 hidden units already have"):
        learn.matched_size(make, 10)
    with pytest.raises(UserError, match="too few"):
        learn.learner(task, core(), updates=3, batch_size=2, seeds=1)


def _model(task, hidden_size):
    return learn.task_model(task, core(hidden_size=hidden_size))


def test_models_of_reals():
    """Inputs go to the core as they are."""
    model = sequence_model(core("elman", 4), 3, Reals(2))
    params = model.init(jax.random.key(0))
    xs = jax.random.normal(jax.random.key(1), (5, 2, 2))
    outputs, h = model.apply(params, None, xs, model.initial_state(params, 2))
    expected, state = [], jnp.zeros((2, 4))
    U, W, V = (params[f"elman/{n}"] if n != "readout" else params[n] for n in ("U", "W", "readout"))
    for x in xs:
        state = jnp.tanh(x @ U["w"] + U["b"] + state @ W["w"])
        expected.append(state @ V["w"] + V["b"])
    np.testing.assert_allclose(outputs, jnp.stack(expected), rtol=1e-10)
    np.testing.assert_allclose(h, state, rtol=1e-10)
    wider = sequence_model(core("elman", 4), 3, Reals(2), embedding_size=5)
    embedding = {"w": jnp.ones((2, 5)), "b": jnp.zeros(5)}
    more = {**wider.init(jax.random.key(0)), "embedding": embedding}
    found, _ = wider.apply(more, None, xs, wider.initial_state(more, 2))
    summed = {
        **params,
        "elman/U": more["elman/U"] | {"w": more["elman/U"]["w"].sum(0)[None].repeat(2, 0)},
    }
    summed |= {"elman/W": more["elman/W"], "readout": more["readout"]}
    same, _ = model.apply(summed, None, xs, model.initial_state(summed, 2))
    np.testing.assert_allclose(found, same, rtol=1e-10)
    half = sequence_model(core("elman", 4), 3, Reals(2), dtype=jnp.bfloat16)
    rough, _ = half.apply(params, None, xs, half.initial_state(params, 2))
    np.testing.assert_allclose(rough, outputs, atol=0.1)


def test_losses_by_the_kind_of_target():
    rng = np.random.default_rng(0)
    outputs, weights = rng.normal(size=(4, 2, 3)), rng.integers(0, 2, (4, 2)).astype(float)
    reals, ids = rng.normal(size=(4, 2, 3)), rng.integers(0, 3, (4, 2))
    squares = ((outputs - reals) ** 2).mean(axis=-1)
    expected = (squares * weights).sum() / weights.sum()
    np.testing.assert_allclose(mean_loss(outputs, jnp.asarray(reals), weights), expected)
    np.testing.assert_allclose(squared_error(outputs, reals), squares.mean())
    np.testing.assert_allclose(
        mean_loss(outputs, jnp.asarray(ids), weights), cross_entropy(outputs, ids, weights)
    )
    assert squared_error(outputs, reals, np.zeros((4, 2))) == 0
