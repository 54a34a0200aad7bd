"""Cross-entropy, in nats."""

import math

import jax
import jax.numpy as jnp

NATS_PER_BIT = math.log(2)


def negative_log_likelihood(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """-log softmax(logits)[target] for each character.

    Args:
      logits: shape [..., V].
      targets: whole numbers in [0, V), shape [...].

    Returns:
      Nats, shape [...].
    """
    log_probabilities = jax.nn.log_softmax(logits, axis=-1)
    return -jnp.take_along_axis(log_probabilities, targets[..., None], axis=-1)[..., 0]


def cross_entropy(
    logits: jax.Array, targets: jax.Array, weights: jax.Array | None = None
) -> jax.Array:
    """The mean of `negative_log_likelihood`, each character counted by its weight.

    Who knows nothing of V characters has ln V nats:

    >>> round(float(cross_entropy(jnp.zeros((5, 83)), jnp.arange(5))), 3)
    4.419

    Args:
      logits: shape [..., V].
      targets: whole numbers in [0, V), shape [...].
      weights: shape [...]; None counts every character once. All zero gives 0.

    Returns:
      Nats per character, a scalar.
    """
    nats = negative_log_likelihood(logits, targets)
    if weights is None:
        return nats.mean()
    return (nats * weights).sum() / jnp.maximum(weights.sum(), jnp.finfo(nats.dtype).tiny)


def squared_error(
    outputs: jax.Array, targets: jax.Array, weights: jax.Array | None = None
) -> jax.Array:
    """The mean squared error, each time step counted by its weight.

    Args:
      outputs: shape [..., K].
      targets: reals, shape [..., K].
      weights: shape [...]; None counts every time step once. All zero gives 0.

    Returns:
      A scalar, in the targets' unit squared.
    """
    squares = jnp.square(outputs - targets).mean(axis=-1)
    if weights is None:
        return squares.mean()
    return (squares * weights).sum() / jnp.maximum(weights.sum(), jnp.finfo(squares.dtype).tiny)


def mean_loss(outputs: jax.Array, targets: jax.Array, weights: jax.Array) -> jax.Array:
    """`cross_entropy` of targets that are whole numbers, `squared_error` of reals."""
    whole = jnp.issubdtype(targets.dtype, jnp.integer)
    return (cross_entropy if whole else squared_error)(outputs, targets, weights)


def bits_per_character(nats: float) -> float:
    """Nats per character as bits per character (bpc).

    >>> round(bits_per_character(1.4784), 3)
    2.133
    """
    return nats / NATS_PER_BIT
