import dataclasses

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from rnnzoo import batches, make, optimizers
from rnnzoo.errors import UserError
from rnnzoo.loss import negative_log_likelihood
from rnnzoo.model import language_model
from rnnzoo.train import Trainer, advance, source

TEXT = np.array([0, 1, 2, 3, 2, 1] * 12, np.int32)
V, B, T, L = 4, 2, 5, 13  # three pieces of 5 time steps, the last one with 3 only


@pytest.fixture(scope="module")
def model():
    return language_model(lambda: make("elman", 6), V)


@pytest.fixture(scope="module", params=[1, 2], ids=["one device", "two devices"])
def trainer(model, request):
    optimizer = optimizers.make("adam", 0.02, updates=1000)
    text = source(TEXT, "subsequence", B, T, L)
    return Trainer(model, optimizer, text, seed=3, devices=request.param)


def obvious_loop(model, optimizer, params, stretch, cold=False, through=False):
    """The training of an epoch as a Python loop; `cold` and `through` are two ways to get it wrong."""
    optimizer_state = optimizer.init(params)
    h = model.initial_state(params, B)
    losses = []
    for begin in range(0, L, T):
        piece = slice(begin, min(begin + T, L))

        def loss_of(params, h, piece=piece):
            start = piece.start
            if through:  # the gradient goes back to the stretch's beginning
                h, start = model.initial_state(params, B), 0
            logits, h = model.apply(params, None, stretch.inputs[start : piece.stop], h)
            logits = logits[piece.start - start :]
            return negative_log_likelihood(logits, stretch.targets[piece]).mean(), h

        if cold:
            h = model.initial_state(params, B)
        (loss, h), gradient = jax.jit(jax.value_and_grad(loss_of, has_aux=True))(params, h)
        updates, optimizer_state = optimizer.update(gradient, optimizer_state, params)
        params = optax.apply_updates(params, updates)
        losses += [float(loss)] * (piece.stop - piece.start)
    return params, np.mean(losses)


def an_epoch(trainer):
    """The parameters before, the stretch, and what the compiled epoch makes of them."""
    drawn = []

    def draw(key):
        drawn.append(trainer.source.draw(key))
        return drawn[-1]

    spied = dataclasses.replace(trainer, source=trainer.source._replace(draw=draw))
    state = spied.start()
    before = jax.tree.map(np.array, state.params)
    state, epoch = spied.epoch(state, 1)
    stretch = batches.piece(batches.Stretch(jnp.asarray(TEXT), *drawn[-1]), 0, 3 * T)
    return before, stretch, state.params, epoch


def test_a_compiled_epoch_equals_an_obvious_loop(trainer):
    before, stretch, params, epoch = an_epoch(trainer)
    expected, loss = obvious_loop(trainer.model, trainer.optimizer, before, stretch)
    assert (epoch.pieces, epoch.finite) == (3, True)
    np.testing.assert_allclose(epoch.loss, loss, rtol=1e-6)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-9), params, expected
    )


@pytest.mark.parametrize("wrong", ["cold", "through"])
def test_the_loop_would_tell_a_cold_start_and_an_uncut_gradient(trainer, wrong):
    before, stretch, params, _ = an_epoch(trainer)
    other, _ = obvious_loop(trainer.model, trainer.optimizer, before, stretch, **{wrong: True})
    difference = jax.tree.map(lambda a, b: np.abs(a - b).max(), params, other)
    assert max(jax.tree.leaves(difference)) > 1e-5


def test_training_lowers_the_loss(trainer):
    state = trainer.start()
    losses = []
    for number in range(1, 61):
        state, epoch = trainer.epoch(state, number)
        losses.append(epoch.loss)
        assert epoch.chars_per_second > 0
    assert np.mean(losses[-5:]) < 0.6 < np.mean(losses[:5])


def test_an_epoch_sees_the_same_stretch_whatever_came_before(trainer):
    state, _ = trainer.epoch(trainer.start(), 1)
    params = jax.tree.map(np.array, state.params)
    state, _ = trainer.epoch(trainer.start(), 1)
    jax.tree.map(np.testing.assert_array_equal, params, state.params)


@pytest.mark.parametrize("sampling", ["subsequence", "stream"])
def test_nothing_is_traced_again_after_the_start(model, sampling):
    traces = []

    def apply(*args):
        traces.append(1)
        return model.apply(*args)

    counted = model._replace(apply=apply)
    optimizer = optimizers.make("adam", 0.02, 100, schedule="cosine", warmup=5)
    trainer = Trainer(counted, optimizer, source(TEXT, sampling, B, T, L))
    state = trainer.start()
    traces_at_start = len(traces)
    for number in (1, 2, 3):
        state, _ = trainer.epoch(state, number)
    assert len(traces) == traces_at_start > 0


def test_a_stream_epoch_reads_every_character(model):
    stream = source(TEXT, "stream", B, T, L)
    trainer = Trainer(model, optimizers.make("sgd", 0.0, 10), stream)
    state, epoch = trainer.epoch(trainer.start(), 1)
    assert epoch.pieces == stream.pieces == -(-(len(TEXT) // B) // T)
    assert state.characters == len(TEXT) - 1


@pytest.mark.parametrize("calls", [1, 3])
def test_several_calls_make_the_epoch_of_one(trainer, calls, monkeypatch):
    monkeypatch.setattr("rnnzoo.train.CHARACTERS_PER_CALL", 3 // calls * B * T)
    seen = []
    state, epoch = trainer.epoch(trainer.start(), 1, lambda done: seen.append(done) or True)
    assert seen == ([3] if calls == 1 else [1, 2, 3])
    monkeypatch.undo()
    other, whole = trainer.epoch(trainer.start(), 1)
    assert epoch.loss == whole.loss
    jax.tree.map(np.testing.assert_array_equal, state.params, other.params)


def test_an_epoch_stops_when_told(trainer, monkeypatch):
    monkeypatch.setattr("rnnzoo.train.CHARACTERS_PER_CALL", B * T)
    _, epoch = trainer.epoch(trainer.start(), 1, lambda done: done < 2)
    assert (epoch.pieces, epoch.finite) == (2, True)


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_a_number_that_is_not_finite_leaves_the_last_good_parameters(model, what):
    ids = np.concatenate([TEXT[: B * 3 * T], TEXT])
    poison = jnp.asarray(ids[2 * T : 3 * T])  # only the third piece's first row begins so

    def apply(params, key, ids, state):
        logits, state = model.apply(params, key, ids, state)
        bad = jnp.all(ids[:, 0] == poison) & (state[0, 0] != 0)
        if what == "loss":
            return jnp.where(bad, jnp.nan, logits), state
        zero = jnp.where(bad, 0.0, 1.0) * (1 + params["readout"]["b"][0] * 0)
        return logits + 0 * jnp.sqrt(zero), state  # 0 times the infinite slope of a root at 0

    poisoned = model._replace(apply=apply)
    optimizer = optimizers.make("adam", 0.02, updates=1000)
    trainer = Trainer(poisoned, optimizer, source(ids, "stream", 1, T, L))
    state, epoch = trainer.epoch(trainer.start(), 1)
    assert not epoch.finite and epoch.pieces < trainer.source.pieces

    healthy = Trainer(poisoned, optimizer, trainer.source)
    stretch = batches.Stretch(jnp.asarray(ids), *healthy.source.draw(None))
    fixed = poisoned, optimizer, healthy.source.reading, healthy.mesh
    good = advance(*fixed, healthy.start(), stretch, np.int32(epoch.pieces))
    assert good.finite and epoch.pieces > 0
    for part in ("params", "optimizer_state", "recurrent_state"):
        jax.tree.map(np.testing.assert_array_equal, getattr(state, part), getattr(good, part))
    np.testing.assert_allclose(epoch.loss, good.nats / good.characters)


def test_a_cell_may_draw_random_numbers():
    class Noisy(hk.RNNCore):
        def __call__(self, x, h):
            h = jnp.tanh(hk.Linear(4)(x) + h + jax.random.normal(hk.next_rng_key(), h.shape))
            return h, h

        def initial_state(self, batch_size):
            return jnp.zeros((batch_size, 4))

    noisy = language_model(Noisy, V)
    optimizer = optimizers.make("sgd", 0.0, 10)
    trainer = Trainer(noisy, optimizer, source(TEXT, "stream", B, T, L))
    state, first = trainer.epoch(trainer.start(), 1)
    _, second = trainer.epoch(state, 2)
    assert first.finite and first.loss != second.loss  # same parameters and text, another noise


def test_devices_change_the_result_by_rounding_only(model):
    """Also where the padding of the last piece leaves the devices' rows different weights."""
    optimizer = optimizers.make("adam", 0.02, updates=1000)
    text = source(TEXT[:66], "stream", B, T, L)  # rows of 33 and 32 characters
    results = []
    for devices in (1, 2):
        trainer = Trainer(model, optimizer, text, devices=devices)
        assert trainer.mesh.size == devices
        state, outcome = trainer.epoch(trainer.start(), 1)
        results.append((trainer.params(state), outcome.loss))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10), *results)


@pytest.mark.parametrize(("sampling", "seeds"), [("subsequence", 1), ("stream", 2)])
def test_slices_of_the_optimizer_state_change_the_result_by_rounding_only(model, sampling, seeds):
    """Also with clipping, which needs the norm of the whole gradient."""
    optimizer = optimizers.make("adam", 0.02, updates=1000, clip_norm=0.1)
    text, results = source(TEXT, sampling, B, T, L), []
    for slices in (False, True):
        trainer = Trainer(model, optimizer, text, devices=2, seeds=seeds, slices=slices)
        state = trainer.start()
        for number in (1, 2):
            state, outcome = trainer.epoch(state, number)
        moments = state.optimizer_state[1][0].mu  # of Adam, behind the clipping
        for a in jax.tree.leaves(moments):
            assert a.addressable_data(0).size == a.size / (2 if slices else 1)
        saved = jax.tree.map(np.array, trainer.save(state))
        resumed = trainer.resume(saved)
        jax.tree.map(np.testing.assert_array_equal, trainer.save(resumed), saved)
        assert jax.tree.map(lambda a: a.sharding, resumed.optimizer_state) == jax.tree.map(
            lambda a: a.sharding, state.optimizer_state
        )
        results.append((trainer.params(state), outcome.losses))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-12), *results)


def test_a_state_without_rows_stays_on_one_device():
    class Counting(hk.RNNCore):
        def __call__(self, x, state):
            h, count = state
            h = jnp.tanh(hk.Linear(4)(x) + h)
            return h, (h, count + 1)

        def initial_state(self, batch_size):
            return jnp.zeros((batch_size, 4)), jnp.zeros((), int)

    model = language_model(Counting, V)
    trainer = Trainer(model, optax.sgd(0.1), source(TEXT, "stream", B, T, L), devices=2)
    assert trainer.mesh.size == 1
    assert trainer.epoch(trainer.start(), 1)[1].finite


def test_sources_check_the_sizes():
    with pytest.raises(UserError, match="did you mean 'stream'"):
        source(TEXT, "steam", B, T, L)
    with pytest.raises(UserError, match="max_subsequence_length"):
        source(TEXT, "subsequence", B, T, len(TEXT))
    with pytest.raises(UserError, match="batch_size"):
        source(TEXT, "stream", len(TEXT), T, L)


def test_the_source_knows_its_number_of_pieces():
    for length, pieces in ((5, 1), (6, 2), (10, 2), (13, 3)):
        drawn = source(TEXT, "subsequence", B, T, length)
        assert drawn.pieces == pieces
        _, lengths = drawn.draw(jax.random.key(0))
        assert batches.number_of_pieces(max(lengths), T) == pieces
