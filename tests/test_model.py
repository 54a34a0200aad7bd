import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnzoo import evaluate, optimizers, runs, sampler
from rnnzoo.config import default_config
from rnnzoo.model import language_model
from rnnzoo.registry import make
from rnnzoo.train import Trainer, source
from rnnzoo.vocabulary import Vocabulary

VOCABULARY = Vocabulary.of("abcde")
V, H, B = len(VOCABULARY), 16, 2
IDS = np.tile(np.arange(V), 60)


def trained(dtype, epochs=3):
    model = language_model(functools.partial(make, "gru", H), V, dtype=dtype)
    trainer = Trainer(
        model, optimizers.make("adam", 0.01, updates=100), source(IDS, "stream", B, 10, 0)
    )
    state, losses = trainer.start(), []
    for number in range(1, epochs + 1):
        state, outcome = trainer.epoch(state, number)
        losses.append(outcome.loss)
    return model, trainer, state, losses


def dtypes(tree):
    return {a.dtype for a in jax.tree.leaves(tree)}


def test_bfloat16_computes_in_it_and_keeps_all_else():
    model, trainer, state, losses = trained(jnp.bfloat16)
    *_, full = trained(None)
    assert dtypes(state.recurrent_state) == {jnp.dtype(jnp.bfloat16)}
    assert dtypes(state.params) == {jnp.dtype(float)} == dtypes(state.nats)
    assert losses == pytest.approx(full, rel=0.02) and losses != full
    assert losses[-1] < 0.7 * losses[0]

    params = trainer.params(state)
    logits, _ = model.apply(params, None, IDS[:3, None], model.initial_state(params, 1))
    assert logits.dtype == float
    assert evaluate.evaluate(model, params, IDS) < losses[-1]
    assert len(sampler.sample(model, params, VOCABULARY, "a", 5)[0]) == 6


def test_a_run_in_bfloat16_goes_on_to_the_bit():
    _, trainer, state, _ = trained(jnp.bfloat16, epochs=1)
    copy = jax.tree.map(np.array, trainer.save(state))
    _, once = trainer.epoch(state, 2)
    _, again = trainer.epoch(trainer.resume(copy), 2)
    assert once.loss == again.loss


def test_all_weights_start_uniform_if_the_config_says_so():
    config = default_config()
    own = runs.make_model(config, V).init(jax.random.key(0))
    config.model.initial_range = 0.08
    params = runs.make_model(config, V).init(jax.random.key(0))
    assert jax.tree.map(jax.typeof, params) == jax.tree.map(jax.typeof, own)
    for array in jax.tree.leaves(params):
        assert np.all(np.abs(array) <= 0.08) and np.any(array < 0) and np.any(array > 0)
    drawn = np.concatenate([np.ravel(array) for array in jax.tree.leaves(params)])
    assert len(np.unique(drawn)) == len(drawn)
    assert np.std(drawn) == pytest.approx(0.08 / np.sqrt(3), rel=0.02)
