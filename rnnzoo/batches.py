"""From ids to batches: the shift by one between inputs and targets lives here, and only here.

Shapes: N characters in the text, L time steps in a stretch, B rows in a batch.
"""

import numbers
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from rnnzoo.errors import UserError


class Stretch(NamedTuple):
    """Characters in parallel rows, each with the character that follows it.

    L is a multiple of the truncation; rows that end before it are padded, with a weight of 0.

    Attributes:
      inputs: ids, shape [L, B].
      targets: the next characters' ids, shape [L, B].
      weights: 1, or 0 where padded, shape [L, B].
    """

    inputs: jax.Array
    targets: jax.Array
    weights: jax.Array


def subsequence(
    key: jax.Array, ids: jax.Array, batch_size: int, length: int, truncation: int
) -> Stretch:
    """A random contiguous stretch of the text for each row, every place equally likely.

    Args:
      key: a JAX random key.
      ids: the text, shape [N].
      batch_size: B.
      length: characters to predict in each row, less than N.
      truncation: L is `length` rounded up to a multiple of it.

    Raises:
      UserError: see `check_subsequence`.
    """
    check_subsequence(len(ids), batch_size, length, truncation)
    starts = jax.random.randint(key, (batch_size,), 0, len(ids) - length)
    return _stretch(ids, starts, jnp.full(batch_size, length), length, truncation)


def stream(ids: jax.Array, batch_size: int, truncation: int) -> Stretch:
    """The whole text in parallel rows: each of its N - 1 next characters is a target exactly once.

    Row b + 1 goes on where row b ends; rows differ in length by one character at most.

    Args:
      ids: the text, shape [N].
      batch_size: B.
      truncation: L is the longest row's length rounded up to a multiple of it.

    Raises:
      UserError: a size is not positive, or the text has fewer than two characters.
    """
    _check_positive(batch_size=batch_size, truncation=truncation)
    if len(ids) < 2:
        raise UserError(f"a text of {len(ids)} characters has no next character to predict")
    short, longer_rows = divmod(len(ids) - 1, batch_size)
    rows = jnp.arange(batch_size)
    starts = rows * short + jnp.minimum(rows, longer_rows)
    lengths = short + (rows < longer_rows)
    return _stretch(ids, starts, lengths, short + (longer_rows > 0), truncation)


def _stretch(ids, starts, lengths, longest: int, truncation: int) -> Stretch:
    """Row b holds the `lengths[b]` characters from `starts[b]` on, and their next ones."""
    time = jnp.arange(-(-longest // truncation) * truncation)[:, None]
    inside = time < lengths[None]
    at = jnp.where(inside, starts[None] + time, 0)
    ids = jnp.asarray(ids)
    return Stretch(inputs=ids[at], targets=ids[at + 1], weights=inside.astype(float))


def number_of_pieces(stretch: Stretch, truncation: int) -> int:
    """How many pieces of `truncation` time steps the stretch has."""
    return stretch.inputs.shape[0] // truncation


def piece(stretch: Stretch, index: int | jax.Array, truncation: int) -> Stretch:
    """The piece of that index: shapes [truncation, B]. The index may be traced."""
    return Stretch(*(lax.dynamic_slice_in_dim(a, index * truncation, truncation) for a in stretch))


def check_subsequence(characters: int, batch_size: int, length: int, truncation: int) -> None:
    """Checks the sizes for `subsequence` against a text of so many characters.

    Raises:
      UserError: a size is not positive; the truncation is longer than the stretch; or the text is
        too short for it.
    """
    _check_positive(batch_size=batch_size, max_subsequence_length=length, truncation=truncation)
    if truncation > length:
        raise UserError(
            f"truncation {truncation} is longer than max_subsequence_length {length}: "
            f"lower the truncation to {length} or less"
        )
    if length >= characters:
        raise UserError(
            f"max_subsequence_length {length} needs a text of at least {length + 1} characters, "
            f"and this one has {characters}: lower it to {characters - 1} or less"
        )


def check_stream(characters: int, batch_size: int, truncation: int) -> None:
    """Checks the sizes for training on `stream`, whose rows should fill at least one piece.

    `stream` itself also lays out a shorter text, as evaluation needs it; training would then spend
    its time on padding.

    Raises:
      UserError: a size is not positive, or the rows are shorter than the truncation.
    """
    _check_positive(batch_size=batch_size, truncation=truncation)
    if (row := (characters - 1) // batch_size) < truncation:
        raise UserError(
            f"batch_size {batch_size} lays a text of {characters} characters out in rows of {row}, "
            f"shorter than truncation {truncation}: lower one of the two"
        )


def _check_positive(**sizes: int) -> None:
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, numbers.Integral) or size < 1:
            raise UserError(f"{name} must be a whole number of at least 1, not {size!r}")
