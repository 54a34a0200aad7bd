import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnzoo import make
from rnnzoo.errors import UserError
from rnnzoo.evaluate import evaluate
from rnnzoo.loss import cross_entropy
from rnnzoo.model import language_model

CHUNK = 4


@pytest.fixture(scope="module")
def model():
    return language_model(lambda: make(["elman", "lstm"], 5), 3)


@pytest.fixture(scope="module")
def params(model):
    params = model.init(jax.random.key(0))
    return jax.tree.map(lambda p: p * 2, params)  # far from uniform: a forgotten state would show


@pytest.mark.parametrize("steps", [1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 2])
def test_any_length_equals_one_plain_pass(model, params, steps):
    ids = np.random.default_rng(steps).integers(0, 3, steps + 1)
    logits, _ = model.apply(params, None, jnp.array(ids[:-1, None]), model.initial_state(params, 1))
    expected = cross_entropy(logits, jnp.array(ids[1:, None]))
    np.testing.assert_allclose(evaluate(model, params, ids, CHUNK), expected, rtol=1e-6)


def test_a_uniform_model_loses_the_logarithm_of_its_vocabulary(model, params):
    zero = jax.tree.map(jnp.zeros_like, params)
    ids = np.array([0, 1, 2, 1, 0, 2, 2])
    np.testing.assert_allclose(evaluate(model, zero, ids, CHUNK), np.log(3), rtol=1e-6)


def test_one_character_has_no_next_one(model, params):
    with pytest.raises(UserError, match="no next character"):
        evaluate(model, params, np.array([1]))
