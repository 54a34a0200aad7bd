"""The work that is timed: equal for every model, so that only the model differs."""

from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
import optax

from rnnzoo.loss import cross_entropy
from rnnzoo.model import LanguageModel, Params, State

CLIPPED_ADAM = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-3))


def random_piece(length: int, batch_size: int, vocabulary_size: int) -> jax.Array:
    """Ids of T + 1 characters: inputs are the first T, targets the last. Shape [T + 1, B]."""
    return jax.random.randint(
        jax.random.key(0), (length + 1, batch_size), 0, vocabulary_size, jnp.int32
    )


def copy(tree):
    """New buffers: what is donated must not be shared, not even one zero with another."""
    return jax.tree.map(jnp.array, tree)


def loss(model: LanguageModel, params: Params, ids: jax.Array, state: State):
    """Nats per character on ids [T + 1, B], and the state after it."""
    logits, state = model.apply(params, jax.random.key(0), ids[:-1], state)
    return cross_entropy(logits, ids[1:]), state


def update(model: LanguageModel, optimizer: optax.GradientTransformation) -> Callable:
    """(params, optimizer state, state), ids [T + 1, B] -> the same after one update, nats."""

    def step(carry, ids):
        params, optimizer_state, state = carry
        gradient = jax.value_and_grad(lambda p: loss(model, p, ids, state), has_aux=True)
        (nats, state), gradients = gradient(params)
        updates, optimizer_state = optimizer.update(gradients, optimizer_state, params)
        return (optax.apply_updates(params, updates), optimizer_state, state), nats

    return step


def training_step(model: LanguageModel, params: Params, ids: jax.Array) -> Callable[[], jax.Array]:
    """A call that trains on the piece once more: the nats before its clipped Adam update.

    One compiled call, its buffers donated; the recurrent state goes on from call to call.

    Args:
      model: the language model.
      params: where it starts; they are copied.
      ids: the piece, shape [T + 1, B].
    """
    return repeated(jitted_update(model), start(model, params, ids.shape[1]), ids)


def jitted_update(model: LanguageModel) -> Callable:
    """`update` with clipped Adam, to be compiled; what it is given first is donated."""
    return jax.jit(update(model, CLIPPED_ADAM), donate_argnums=0)


def start(model: LanguageModel, params: Params, batch_size: int) -> tuple:
    """What the first `update` is given, in buffers of its own."""
    return copy((params, CLIPPED_ADAM.init(params), model.initial_state(params, batch_size)))


def repeated(step: Callable, carry: tuple, ids: jax.Array) -> Callable[[], jax.Array]:
    """A call that makes one update more, compiled or jitted, and returns its nats."""

    def call():
        nonlocal carry
        carry, nats = step(carry, ids)
        return nats

    return call


def check_same(losses: Mapping[str, Sequence[float]], tolerance: float = 1e-4) -> None:
    """Checks that contenders that should compute one function do.

    Args:
      losses: for each contender, its losses over a few updates.
      tolerance: the largest relative difference to the first contender. Rounding in float32 makes
        1e-7, a gate of the wrong sign 1e-3.

    Raises:
      ArithmeticError: one differs.
    """
    (first, expected), *others = losses.items()
    for name, found in others:
        if not np.allclose(found, expected, rtol=tolerance, atol=0):
            raise ArithmeticError(
                f"{name} and {first} do not compute the same function, so that comparing their "
                f"times means nothing: losses {np.array(found)} and {np.array(expected)}"
            )
