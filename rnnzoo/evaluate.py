"""Evaluation: the loss over a whole text, read once from its first character to its last."""

import functools

import jax
import jax.numpy as jnp
from jax import lax

from rnnzoo import batches
from rnnzoo.loss import cross_entropy
from rnnzoo.model import LanguageModel, Params

CHUNK = 1024  # time steps whose logits are in memory at once


def evaluate(model: LanguageModel, params: Params, ids: jax.Array, chunk: int = CHUNK) -> float:
    """The mean loss over all next characters of a text, the state carried from first to last.

    Args:
      model: the language model.
      params: its parameters.
      ids: the text, at least two characters, shape [N].
      chunk: time steps computed at once; the result does not depend on it.

    Returns:
      Nats per character, over the text's N - 1 next characters.

    Raises:
      UserError: the text has fewer than two characters.
    """
    text = batches.Stretch(jax.device_put(ids), *batches.stream(len(ids), 1))
    return float(_mean_loss(model, params, text, chunk))


@functools.partial(jax.jit, static_argnames=("model", "chunk"))
def _mean_loss(model, params, text: batches.Stretch, chunk):
    """Sums over chunks rather than over the text at once: its logits would not fit in memory."""
    # Without a key, dropout and its like take expected values. A cell that insists on one draws the
    # same numbers in every evaluation.
    key = jax.random.key(0) if model.needs_key(params) else None

    def one_chunk(carry, index):
        state, nats = carry
        piece = batches.piece(text, index, chunk)
        own_key = None if key is None else jax.random.fold_in(key, index)
        logits, state = model.apply(params, own_key, piece.inputs, state)
        loss = cross_entropy(logits, piece.targets, piece.weights)
        return (state, nats + loss * piece.weights.sum()), None

    start = model.initial_state(params, 1), jnp.zeros(())
    chunks = jnp.arange(batches.number_of_pieces(len(text.ids) - 1, chunk))
    (_, nats), _ = lax.scan(one_chunk, start, chunks)
    return nats / text.lengths.sum()
