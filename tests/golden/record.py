"""What another library computes with rnnzoo's parameters, told as a file of `vectors` tells it."""

from collections.abc import Callable

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np

from tests.golden import vectors

T, B, D = 30, 2, 6


def record(
    name: str, library: str, convert: Callable, differentiate: Callable, features: int = D
) -> dict[str, np.ndarray]:
    """The arrays of a file.

    Args:
      name: a registered cell.
      library: what computes it.
      convert: rnnzoo's parameters -> the library's weights.
      differentiate: (weights, xs, (w, ws)) -> (outputs, state), gradients by weights and by xs. The
        state is a list of arrays, as rnnzoo's cell has them; w and ws weigh outputs and state in
        the loss. Outputs and xs are time-major.
      features: D.
    """
    rng = np.random.default_rng(1)
    params, xs = parameters(name, features), _coarse(rng.standard_normal((T, B, features)))
    shapes = jax.eval_shape(vectors.model(name).apply, params, xs)
    weights = jax.tree.map(lambda a: _coarse(rng.standard_normal(a.shape)), shapes)
    results, by_weights, by_xs = differentiate(convert(params), xs, weights)
    gradients = pull_back(convert, params, by_weights)
    arrays = {"library": np.array(library), "xs": xs, "gradients/xs": np.asarray(by_xs)}
    for prefix, (outputs, state) in (("", results), ("weights/", weights)):
        arrays[f"{prefix}outputs"] = np.asarray(outputs)
        arrays |= {f"{prefix}state/{i}": np.asarray(a) for i, a in enumerate(state)}
    for prefix, tree in (("params", params), ("gradients", gradients)):
        for module, own in tree.items():
            arrays |= {f"{prefix}/{module}:{parameter}": a for parameter, a in own.items()}
    return arrays


def parameters(name: str, features: int = D) -> dict[str, dict[str, np.ndarray]]:
    """Random parameters of a registered cell, biases included."""

    def step(x):
        core = vectors.make_core(name)
        return core(x, core.initial_state(1))

    shapes = jax.eval_shape(hk.transform(step).init, jax.random.key(0), jnp.zeros((1, features)))
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda a: _coarse(0.4 * rng.standard_normal(a.shape)), shapes)


def pull_back(convert: Callable, params, gradients):
    """Gradients by a library's weights as those by rnnzoo's parameters.

    The conversion is affine: the derivative by a number is the library's along what it moves.
    """
    at, pulled = (jax.tree.map(np.zeros_like, params) for _ in range(2))
    origin = convert(at)
    for array, result in zip(jax.tree.leaves(at), jax.tree.leaves(pulled), strict=True):
        for i in np.ndindex(array.shape):
            array[i] = 1
            moved = jax.tree.map(np.subtract, convert(at), origin)
            result[i] = sum(jax.tree.leaves(jax.tree.map(np.vdot, moved, gradients)))
            array[i] = 0
    return pulled


def _coarse(a: np.ndarray) -> np.ndarray:
    """Rounded to few bits, which makes small files."""
    return np.round(a * 2**10) / 2**10
