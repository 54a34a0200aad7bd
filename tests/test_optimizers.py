import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnzoo import optimizers
from rnnzoo.errors import UserError


def steps_of(optimizer, gradient, count=1):
    """The first updates of a parameter of 0, with the same gradient each time."""
    params = {"w": jnp.zeros_like(jnp.array(gradient))}
    state, steps = optimizer.init(params), []
    for _ in range(count):
        step, state = optimizer.update({"w": jnp.array(gradient)}, state, params)
        steps.append(np.array(step["w"]))
    return np.array(steps)


def test_every_optimizer_makes_a_step():
    assert {"adam", "adamw", "sgd", "rmsprop"} <= set(optimizers.names())
    params = {"w": jnp.array([[0.3, -0.2]]), "b": jnp.array([1.0])}
    for name in optimizers.names():
        optimizer = optimizers.make(name, 0.1, 10)
        state = optimizer.init(params)
        step, next_state = optimizer.update(params, state, params)
        assert all(jnp.isfinite(s).all() for s in jax.tree.leaves(step)), name
        # a compiled loop needs the same types in every round
        jax.tree.map(lambda a, b: chex.assert_trees_all_equal_dtypes(a, b), state, next_state)


def test_the_gradient_is_clipped_by_its_global_norm():
    clipped = steps_of(optimizers.make("sgd", 1.0, 10), [3.0, 4.0])
    np.testing.assert_allclose(clipped[0], [-0.6, -0.8], rtol=1e-6)
    free = steps_of(optimizers.make("sgd", 1.0, 10, clip_norm=0.0), [3.0, 4.0])
    np.testing.assert_allclose(free[0], [-3.0, -4.0])


@pytest.mark.parametrize(
    "schedule, rates",
    [
        ("constant", [0.0, 0.5, 1.0, 1.0, 1.0, 1.0, 1.0]),
        ("linear", [0.0, 0.5, 1.0, 0.75, 0.5, 0.25, 0.0]),
        ("cosine", [0.0, 0.5, 1.0, 0.853553, 0.5, 0.146447, 0.0]),
        ("step", [0.0, 0.5, 1.0, 0.1, 0.1, 0.01, 0.01]),
    ],
)
def test_schedules_rise_and_then_end_with_the_training(schedule, rates):
    steps = {"step_factor": 0.1, "step_first": 1, "step_every": 2}
    optimizer = optimizers.make("sgd", 1.0, 6, schedule=schedule, warmup=2, **steps)
    np.testing.assert_allclose(-steps_of(optimizer, [1.0], 7)[:, 0], rates, atol=1e-6)


def test_options_reach_optax():
    heavy = optimizers.make("sgd", 1.0, 10, options={"momentum": 0.5})
    np.testing.assert_allclose(-steps_of(heavy, [1.0], 3)[:, 0], [1.0, 1.5, 1.75])


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"name": "admm"}, "did you mean 'adam'"),
        ({"schedule": "cosin"}, "did you mean 'cosine'"),
        ({"options": {"b11": 0.5}}, "has no option 'b11': did you mean 'b1'"),
        ({"warmup": 10}, "train for more epochs"),
    ],
)
def test_mistakes_are_told(arguments, message):
    with pytest.raises(UserError, match=message):
        optimizers.make(**{"name": "adam", "learning_rate": 0.1, "updates": 10, **arguments})
