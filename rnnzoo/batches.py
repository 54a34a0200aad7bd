"""From ids to batches: the shift by one between inputs and targets lives here, and only here.

Shapes: N characters in the text, T time steps in a piece, B rows in a batch.
"""

import numbers
from typing import NamedTuple

import jax
import jax.numpy as jnp

from rnnzoo.errors import UserError


class Stretch(NamedTuple):
    """Where in a text the parallel rows of an epoch lie; `piece` reads them.

    Attributes:
      ids: the text, of any integer dtype, shape [N].
      starts: each row's first character, shape [B].
      lengths: the characters of each row that have a next one to predict, shape [B].
    """

    ids: jax.Array
    starts: jax.Array
    lengths: jax.Array


class Piece(NamedTuple):
    """T characters of each row, each with the character that follows it; rows that end are padded.

    Attributes:
      inputs: ids, int32, shape [T, B].
      targets: the next characters' ids, int32, shape [T, B].
      weights: 1, or 0 where padded, shape [T, B].
    """

    inputs: jax.Array
    targets: jax.Array
    weights: jax.Array


def subsequence(
    key: jax.Array, characters: int, batch_size: int, length: int
) -> tuple[jax.Array, jax.Array]:
    """A random contiguous stretch of the text for each row, every place equally likely.

    Args:
      key: a JAX random key.
      characters: N, of the text.
      batch_size: B.
      length: characters to predict in each row, less than N.

    Returns:
      The rows' starts and lengths, each of shape [B].
    """
    starts = jax.random.randint(key, (batch_size,), 0, characters - length)
    return starts, jnp.full(batch_size, length)


def stream(characters: int, batch_size: int) -> tuple[jax.Array, jax.Array]:
    """The whole text in parallel rows: each of its N - 1 next characters is a target exactly once.

    Row b + 1 goes on where row b ends; rows differ in length by one character at most.

    >>> starts, lengths = stream(characters=12, batch_size=3)
    >>> starts.tolist(), lengths.tolist()
    ([0, 4, 8], [4, 4, 3])

    Args:
      characters: N, of the text.
      batch_size: B.

    Returns:
      The rows' starts and lengths, each of shape [B].

    Raises:
      UserError: the batch size is not positive, or the text has fewer than two characters.
    """
    _check_positive(batch_size=batch_size)
    if characters < 2:
        raise UserError(f"a text of {characters} characters has no next character to predict")
    short, longer_rows = divmod(characters - 1, batch_size)
    rows = jnp.arange(batch_size)
    return rows * short + jnp.minimum(rows, longer_rows), short + (rows < longer_rows)


def number_of_pieces(longest: int, truncation: int) -> int:
    """How many pieces of `truncation` characters rows of that length have; the last may be shorter."""
    return -(-longest // truncation)


def piece(stretch: Stretch, index: int | jax.Array, truncation: int) -> Piece:
    """The piece of that index, [truncation, B]. The index may be traced."""
    ids, starts, lengths = stretch
    time = index * truncation + jnp.arange(truncation)[:, None]
    inside = time < lengths
    at = jnp.where(inside, starts + time, 0)
    inputs, targets = (
        ids.at[i].get(mode="promise_in_bounds").astype(jnp.int32) for i in (at, at + 1)
    )
    return Piece(inputs, targets, weights=inside.astype(float))


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
