"""What wrappers draw, keep, mask and learn; their certificates are in test_certificates.py."""

import functools

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rnnzoo
from rnnzoo import evaluate, optimizers
from rnnzoo.cells.wrappers import LearnedInitialState, Masked, lengths_to_mask
from rnnzoo.errors import UserError
from rnnzoo.model import language_model
from rnnzoo.train import Trainer, source

T, B, D, H = 6, 3, 4, 8


@pytest.fixture(scope="module")
def x():
    return jax.random.normal(jax.random.key(0), (T, B, D))


def transformed(make_core):
    """(init, apply) of xs -> outputs, last state; an initial state is drawn within."""

    def run(xs):
        core = make_core()
        x = jax.tree.leaves(xs)[0]
        return rnnzoo.unroll(core, xs, core.initial_state(x.shape[1]))

    return hk.transform(run)


def run(name, x, key, **options):
    model = transformed(functools.partial(rnnzoo.make, name, H, **options))
    params = model.init(jax.random.key(1), x)
    return model.apply(params, key, x)


def test_zoneout_keeps_whole_numbers_of_the_state(x):
    h, c = (run("zoneout", x[:1], jax.random.key(s), cell="lstm", rate=0.5)[1] for s in (0, 1))
    both = np.stack([np.asarray(jax.tree.leaves(s)) for s in (h, c)])
    kept = both == 0  # the initial state
    assert 0.3 < kept.mean() < 0.7 and np.any(kept[0] != kept[1])


def test_zoneout_of_the_output_is_that_of_the_state(x):
    outputs, state = run("zoneout", x, jax.random.key(0), cell="lstm", rate=0.5)
    np.testing.assert_array_equal(outputs[-1], jax.tree.leaves(state)[0])


def test_zoneout_without_a_key_is_the_expected_update(x):
    zoned = run("zoneout", x[:1], None, cell="gru", rate=0.25)[0]
    np.testing.assert_allclose(zoned, 0.75 * run("gru", x[:1], None)[0], atol=1e-12)


def test_zoneout_with_a_rate_for_each_array(x):
    outputs, _ = run("zoneout", x, jax.random.key(0), cell="lstm", rate=(0.0, 0.0))
    np.testing.assert_allclose(outputs, run("lstm", x, None)[0], atol=1e-12)
    with pytest.raises(UserError, match="3 rates for a state of 2 arrays"):
        run("zoneout", x, None, cell="lstm", rate=(0.1, 0.1, 0.1))


def test_a_variational_mask_stays_for_the_whole_sequence(x):
    outputs, (masks, _) = run("variational_dropout", x, jax.random.key(0), cell="gru")
    dropped = np.asarray(outputs == 0)
    assert np.all(dropped == dropped[0]) and 0 < dropped[0].mean() < 1
    assert set(np.unique(masks["h"])) == {0, 1 / 0.75}


def test_dropout_without_a_key_is_the_cell_alone(x):
    wrapped = transformed(lambda: rnnzoo.make("variational_dropout", H, cell="gru"))
    params = wrapped.init(jax.random.key(1), x)
    expected, _ = transformed(lambda: rnnzoo.make("gru", H)).apply(params, None, x)
    np.testing.assert_allclose(wrapped.apply(params, None, x)[0], expected, atol=1e-12)


def test_dropout_of_the_inputs(x):
    options = {"rate": 0, "output_rate": 0, "input_rate": 0.5, "input_size": D}
    _, (masks, _) = run("variational_dropout", x, jax.random.key(0), cell="gru", **options)
    assert masks["x"].shape == (B, D) and np.any(np.asarray(masks["x"]) == 0)


@pytest.mark.parametrize(
    "name, options, message",
    [
        ("zoneout", {"rate": 1.0}, "zoneout: rate 0 must be at least 0 and below 1, not 1.0"),
        ("variational_dropout", {"output_rate": -1}, "output_rate must be at least 0"),
        ("variational_dropout", {"input_rate": 0.5}, "needs input_size"),
        ("dilated", {"skip": 0}, "skip must be at least 1"),
        ("residual", {"cell": "gruu"}, "did you mean 'gru'"),
        (
            "residual",
            {"cell": "gru", "rest": 1},
            "'gru' has no option 'rest': did you mean 'reset'",
        ),
    ],
)
def test_wrong_options_are_one_clear_line(name, options, message, x):
    with pytest.raises(UserError, match=message):
        run(name, x, None, **options)


def test_a_masked_step_keeps_the_state(x):
    lengths = jnp.array([6, 1, 4])
    mask = lengths_to_mask(lengths, T)
    model = transformed(lambda: Masked(rnnzoo.make("lstm", H)))
    params = model.init(jax.random.key(1), (x, mask))
    outputs, state = model.apply(params, None, (x, mask))
    alone = transformed(lambda: rnnzoo.make("lstm", H))
    for row, length in enumerate([6, 1, 4]):
        expected, last = alone.apply(params, None, x[:length, row : row + 1])
        np.testing.assert_allclose(outputs[:length, row], expected[:, 0], atol=1e-12)
        np.testing.assert_array_equal(outputs[length:, row], 0)
        for found, e in zip(jax.tree.leaves(state), jax.tree.leaves(last), strict=True):
            np.testing.assert_allclose(found[row], e[0], atol=1e-12)


def test_a_reset_is_before_the_flagged_step(x):
    """Off by one would let the flagged step, or the one after it, read the wrong state."""
    flags = jnp.zeros((T, B), bool).at[3, 1].set(True)
    model = transformed(lambda: hk.ResetCore(rnnzoo.make("gru", H)))
    params = model.init(jax.random.key(1), (x, flags))
    outputs, _ = model.apply(params, None, (x, flags))
    alone = transformed(lambda: rnnzoo.make("gru", H))
    whole, _ = alone.apply(params, None, x)
    np.testing.assert_allclose(outputs[:3], whole[:3], atol=1e-12)
    np.testing.assert_allclose(outputs[:, [0, 2]], whole[:, [0, 2]], atol=1e-12)
    afresh, _ = alone.apply(params, None, x[3:, 1:2])
    np.testing.assert_allclose(outputs[3:, 1], afresh[:, 0], atol=1e-12)
    assert not np.allclose(outputs[3, 1], whole[3, 1])


def test_dilated_copies_take_turns(x):
    outputs, _ = run("dilated", x, None, cell="gru", skip=2)
    for phase in (0, 1):
        alone, _ = run("gru", x[phase::2], None)
        np.testing.assert_allclose(outputs[phase::2], alone, atol=1e-12)


def test_bidirectional(x):
    def both(xs):
        cores = rnnzoo.make("gru", H), rnnzoo.make("lstm", H)
        return rnnzoo.bidirectional(*cores, xs, tuple(c.initial_state(B) for c in cores))

    model = hk.transform(both)
    params = model.init(jax.random.key(1), x)
    outputs, (last, first) = model.apply(params, None, x)
    ahead, last_alone = transformed(lambda: rnnzoo.make("gru", H)).apply(params, None, x)
    back, first_alone = transformed(lambda: rnnzoo.make("lstm", H)).apply(params, None, x[::-1])
    np.testing.assert_allclose(outputs, jnp.concatenate([ahead, back[::-1]], -1), atol=1e-12)
    np.testing.assert_allclose(last, last_alone, atol=1e-12)
    np.testing.assert_allclose(first.cell, first_alone.cell, atol=1e-12)


def trained(name, **options):
    """A tiny language model, its parameters before and after training, and its text."""
    ids = np.tile(np.arange(5), 20).astype(np.int32)
    model = language_model(functools.partial(rnnzoo.make, name, H, **options), 5)
    text = source(ids, "subsequence", 2, 8, 20)
    trainer = Trainer(model, optimizers.make("adam", 0.01, updates=10), text, seed=0)
    state = trainer.start()
    before = jax.tree.map(np.asarray, trainer.params(state))
    state, _ = trainer.epoch(state, 1)
    return model, before, trainer.params(state), ids


def test_the_trainer_learns_an_initial_state():
    _, before, after, _ = trained("learned_initial_state", cell="gru")
    assert np.all(before["learned_initial_state"]["s_0"] == 0)
    assert np.all(np.asarray(after["learned_initial_state"]["s_0"]) != 0)


def test_training_draws_and_evaluation_does_not():
    model, _, params, ids = trained("variational_dropout", cell="gru")
    draws = [model.initial_state(params, 2, key)[0]["h"] for key in (None, jax.random.key(0))]
    assert np.all(draws[0] == 1) and not np.all(draws[1] == 1)
    same = language_model(functools.partial(rnnzoo.make, "gru", H), 5)
    assert evaluate.evaluate(model, params, ids) == pytest.approx(
        evaluate.evaluate(same, params, ids), abs=1e-9
    )


def test_a_cell_that_insists_on_a_key_gets_one():
    class Noisy(hk.RNNCore):
        def __call__(self, x, h):
            h = jnp.tanh(hk.Linear(H)(x) + h + jax.random.normal(hk.next_rng_key(), h.shape))
            return h, h

        def initial_state(self, batch_size):
            return jnp.zeros((H,) if batch_size is None else (batch_size, H))

    model = language_model(Noisy, 5)
    params = model.init(jax.random.key(0))
    assert model.needs_key(params)
    assert not language_model(lambda: LearnedInitialState(hk.GRU(H)), 5).needs_key(
        language_model(lambda: LearnedInitialState(hk.GRU(H)), 5).init(jax.random.key(0))
    )
    ids = np.tile(np.arange(5), 4).astype(np.int32)
    assert evaluate.evaluate(model, params, ids) == evaluate.evaluate(model, params, ids)
