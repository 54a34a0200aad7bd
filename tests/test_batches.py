from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnzoo import batches
from rnnzoo.errors import UserError

# Each id is its own place in the text, so a stretch shows where its characters are from.
PLACES = np.arange(101, dtype=np.uint8)


def whole(rows, longest, truncation, ids=PLACES):
    """All pieces of a stretch as one."""
    stretch = batches.Stretch(jnp.asarray(ids), *rows)
    return batches.piece(stretch, 0, batches.number_of_pieces(longest, truncation) * truncation)


def draw(key, characters, batch_size, length, truncation):
    return whole(batches.subsequence(key, characters, batch_size, length), length, truncation)


def stream(characters, batch_size, truncation):
    longest = -(-(characters - 1) // batch_size)
    return whole(batches.stream(characters, batch_size), longest, truncation)


def weighted_pairs(stretch):
    inside = np.asarray(stretch.weights) == 1
    return Counter(
        zip(np.asarray(stretch.inputs)[inside], np.asarray(stretch.targets)[inside], strict=True)
    )


@pytest.mark.parametrize(("length", "padded"), [(12, 12), (13, 16), (100, 100), (4, 4)])
def test_a_subsequence_is_contiguous_and_whole(length, padded):
    stretch = draw(jax.random.key(0), 101, 5, length, 4)
    inputs, targets, weights = map(np.asarray, stretch)
    assert inputs.shape == targets.shape == weights.shape == (padded, 5)
    assert inputs.dtype == targets.dtype == np.int32
    np.testing.assert_array_equal(weights, np.arange(padded)[:, None] < np.full(5, length))
    np.testing.assert_array_equal(inputs[:length], inputs[0] + np.arange(length)[:, None])
    np.testing.assert_array_equal(targets[:length], inputs[:length] + 1)


def test_every_place_is_drawn_equally_often():
    n, length, draws = 12, 5, 70_000
    stretch = draw(jax.random.key(1), n, draws, length, 5)
    starts = np.bincount(np.asarray(stretch.inputs[0]), minlength=n)
    places = n - length
    assert (starts[places:] == 0).all()
    expected = draws / places
    assert np.abs(starts[:places] - expected).max() < 5 * np.sqrt(expected)


def test_another_key_gives_other_places_and_the_same_key_the_same():
    first, again, other = (draw(jax.random.key(k), 101, 5, 12, 4) for k in (0, 0, 1))
    np.testing.assert_array_equal(first.inputs, again.inputs)
    assert (np.asarray(first.inputs) != np.asarray(other.inputs)).any()
    assert len(set(np.asarray(first.inputs[0]).tolist())) > 1  # rows have their own places


@pytest.mark.parametrize(
    ("characters", "batch_size", "truncation"),
    [(101, 1, 7), (101, 4, 5), (101, 4, 25), (101, 7, 6), (101, 3, 64), (9, 6, 2), (3, 5, 4)],
)
def test_a_stream_has_every_pair_once(characters, batch_size, truncation):
    stretch = stream(characters, batch_size, truncation)
    steps, rows = stretch.inputs.shape
    assert rows == batch_size
    assert steps % truncation == 0
    assert steps - truncation < -(-(characters - 1) // batch_size) <= steps
    assert weighted_pairs(stretch) == Counter((i, i + 1) for i in range(characters - 1))


def test_the_rows_of_a_stream_are_contiguous_and_padded_only_at_the_end():
    inputs, _, weights = map(np.asarray, stream(101, 7, 6))
    lengths = weights.sum(axis=0).astype(int)
    assert lengths.max() - lengths.min() <= 1
    rows = [inputs[:n, b] for b, n in enumerate(lengths)]
    np.testing.assert_array_equal(np.concatenate(rows), PLACES[:-1])
    assert (np.diff(weights, axis=0) <= 0).all()


@pytest.mark.parametrize(
    ("rows", "longest"),
    [(batches.subsequence(jax.random.key(0), 101, 3, 13), 13), (batches.stream(101, 3), 34)],
)
def test_the_pieces_make_up_the_stretch(rows, longest):
    stretch = batches.Stretch(jnp.asarray(PLACES), *rows)
    take = jax.jit(batches.piece, static_argnums=2)  # the index is traced
    pieces = [take(stretch, i, 4) for i in range(batches.number_of_pieces(longest, 4))]
    assert all(a.shape == (4, 3) for p in pieces for a in p)
    joined = jax.tree.map(lambda *a: jnp.concatenate(a), *pieces)
    for one, parts in zip(whole(rows, longest, 4), joined, strict=True):
        np.testing.assert_array_equal(one, parts)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((101, 1, 101, 4), "needs a text of at least 102 characters.* lower it to 100"),
        ((101, 1, 8, 9), "truncation 9 is longer than max_subsequence_length 8"),
        ((101, 0, 8, 4), "batch_size must be .* at least 1, not 0"),
        ((101, 1, -1, 4), "max_subsequence_length must be .* not -1"),
        ((101, 1, 8, 0), "truncation must be .* not 0"),
        ((101, 1, 8, 2.5), "truncation must be a whole number .* not 2.5"),
        ((101, True, 8, 4), "batch_size must be a whole number .* not True"),
    ],
)
def test_sizes_that_cannot_be_are_refused(sizes, message):
    with pytest.raises(UserError, match=message):
        batches.check_subsequence(*sizes)


def test_the_largest_sizes_that_can_be_are_not_refused():
    batches.check_subsequence(101, 1, 100, 100)
    batches.check_stream(101, 4, 25)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((101, 4, 26), "in rows of 25, shorter than truncation 26: lower one"),
        ((101, 0, 4), "batch_size must be"),
        ((101, 1, "4"), "truncation must be a whole number"),
    ],
)
def test_a_stream_too_short_to_train_on_is_refused(sizes, message):
    with pytest.raises(UserError, match=message):
        batches.check_stream(*sizes)


def test_a_text_without_a_next_character_cannot_be_laid_out():
    with pytest.raises(UserError, match="1 characters has no next character"):
        batches.stream(1, 1)
    with pytest.raises(UserError, match="batch_size must be"):
        batches.stream(101, 0)
