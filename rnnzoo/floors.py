"""Floors for text: what counting n-grams, and general compressors, make of it.

A language model that does not beat them has learned nothing that takes a neural network. All are
trained on one part of a text and measured on another, as `rnnzoo.evaluate` measures a model: the
state, or the context, is empty at the beginning of the held-out part, whose N - 1 next characters count.

The n-grams are counted here because no package on the shelf does it: kenlm's module only reads models
that a program of its own, compiled from source, has estimated; nltk.lm has one fixed discount, and
counts in dictionaries, where sorted arrays take a second.
"""

import bz2
import functools
import lzma
import zlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from rnnzoo.errors import UserError, did_you_mean


class Level(NamedTuple):
    """The n-grams of one length, and how a probability is made of them.

    Attributes:
      keys: (id of an n-gram's first n - 1 characters among those of that length) * V + its last,
        sorted; an n-gram's id is its place here. Shape [G].
      direct: what each n-gram adds to its last character's probability, shape [G].
      backoff: the weight of the shorter context's probability, for each context, shape [G of n - 1].
    """

    keys: np.ndarray
    direct: np.ndarray
    backoff: np.ndarray


class NGrams(NamedTuple):
    r"""An interpolated n-gram model of characters.

    .. math:: p_n(w | h) = \mathrm{direct}(h w) + \mathrm{backoff}(h) \; p_{n-1}(w | h')

    p_0 is 1 / V, and h' is h without its first character. A context that was not seen has the backoff 1.

    Attributes:
      vocabulary_size: V.
      levels: of 1, 2, ..., n characters.
    """

    vocabulary_size: int
    levels: tuple[Level, ...]

    def probabilities(self, ids: np.ndarray) -> np.ndarray:
        """The probability of each character of a text given those before it, shape [N].

        A context ends at the text's beginning: the first character has none.
        """
        grams = np.zeros(len(ids), int)  # of no character: there is one, with the id 0
        p = np.full(len(ids), 1 / self.vocabulary_size)
        for n, (keys, direct, backoff) in enumerate(self.levels):
            contexts = np.concatenate([[-1], grams[:-1]]) if n else grams
            grams = _find(keys, _keys(contexts, ids, self.vocabulary_size))
            seen = np.where(contexts < 0, 1, backoff[contexts])
            p = np.where(grams < 0, 0, direct[grams]) + seen * p
        return p

    def nats(self, ids: np.ndarray) -> float:
        """Nats per character over a text's N - 1 next characters.

        Raises:
          UserError: the text has fewer than two characters.
        """
        if len(ids) < 2:
            raise UserError(f"a text of {len(ids)} characters has no next character to predict")
        return float(-np.log(self.probabilities(ids)[1:]).mean())


def _keys(contexts: np.ndarray, ids: np.ndarray, vocabulary_size: int) -> np.ndarray:
    """Keys of n-grams; -1 where the context is unknown."""
    return np.where(contexts < 0, -1, contexts * vocabulary_size + ids)


def _find(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Where each of the wanted keys is; -1 for those that are not there."""
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[places] == wanted, places, -1)


# (counts of the n-grams, their contexts' ids, number of contexts) -> direct, backoff
Smoothing = Callable[[np.ndarray, np.ndarray, int], tuple[np.ndarray, np.ndarray]]


def witten_bell(
    counts: np.ndarray, contexts: np.ndarray, total: int
) -> tuple[np.ndarray, np.ndarray]:
    """The weight of the shorter context is the chance of a new character.

    With c(h) characters after h, T(h) different ones, the shorter context has the weight T / (c + T):
    as often as something new came, something new will come (Witten and Bell 1991, their method C).
    """
    seen = np.bincount(contexts, counts, total)
    new = np.bincount(contexts, counts > 0, total)
    whole = np.where(seen > 0, seen + new, 1)
    return counts / whole[contexts], np.where(seen > 0, new / whole, 1)


def kneser_ney(
    counts: np.ndarray, contexts: np.ndarray, total: int
) -> tuple[np.ndarray, np.ndarray]:
    """Absolute discounting by D_1, D_2 and D_3+, what is taken away going to the shorter context.

    The discounts are those of Chen and Goodman (1999), Y = n_1 / (n_1 + 2 n_2) and D_c = c - (c + 1) Y
    n_(c+1) / n_c, n_c being how many n-grams have the count c. Where these give no discount between 0
    and c, as for short n-grams of a small alphabet, they are 1/2, 1 and 3/2, as in KenLM.
    """
    n = np.bincount(np.minimum(counts.astype(int), 5), minlength=6)[1:5]
    discounts = np.array([0.5, 1, 1.5])
    if n.all():
        c = np.arange(1, 4)
        estimated = c - (c + 1) * n[0] / (n[0] + 2 * n[1]) * n[1:] / n[:-1]
        if ((estimated >= 0) & (estimated <= c)).all():
            discounts = estimated
    taken = np.concatenate([[0], discounts])[np.minimum(counts, 3).astype(int)]
    seen = np.bincount(contexts, counts, total)
    whole = np.where(seen > 0, seen, 1)
    left = np.bincount(contexts, taken, total)
    return (counts - taken) / whole[contexts], np.where(seen > 0, left / whole, 1)


SMOOTHINGS: dict[str, Smoothing] = {"kneser_ney": kneser_ney, "witten_bell": witten_bell}


def fit(ids: np.ndarray, vocabulary_size: int, order: int, smoothing: str) -> NGrams:
    """Counts the n-grams of a text.

    Interpolated Kneser-Ney counts, below the longest n-grams, not how often one occurs but after how
    many different characters; Witten-Bell counts occurrences throughout.

    Args:
      ids: the text, whole numbers in [0, V), shape [N].
      vocabulary_size: V.
      order: n, the characters of the longest n-grams, the predicted one included; no more than the
        text has.
      smoothing: a name of `SMOOTHINGS`.

    Raises:
      UserError: an unknown smoothing, an order below 1, or an empty text.
    """
    if smoothing not in SMOOTHINGS:
        raise UserError(f"smoothing {smoothing!r}: {did_you_mean(smoothing, SMOOTHINGS)}")
    if order < 1 or not len(ids):
        raise UserError(f"an order of {order} and a text of {len(ids)} characters: both need 1")
    ids, order = np.asarray(ids).astype(int), min(order, len(ids))
    V, grams, tables = vocabulary_size, np.zeros(len(ids), int), []
    for n in range(order):
        before = np.concatenate([[-1], grams[:-1]]) if n else grams
        keys, places = np.unique(_keys(before, ids, V), return_inverse=True)
        unknown = int(keys[0] < 0)  # the text's first characters end no n-gram of n characters
        keys, grams = keys[unknown:], places - unknown
        tables.append((keys, grams))
    levels = []
    for n, (keys, grams) in enumerate(tables):
        counted = grams >= 0
        if smoothing == "kneser_ney" and n + 1 < order:  # once for each character before
            _, longer = tables[n + 1]
            first = np.unique(longer, return_index=True)[1]
            counted = first[longer[first] >= 0]
        counts = np.bincount(grams[counted], minlength=len(keys))
        total = len(tables[n - 1][0]) if n else 1
        direct, backoff = SMOOTHINGS[smoothing](counts, keys // V, total)
        levels.append(Level(keys, direct, backoff))
    return NGrams(V, tuple(levels))


def _xz(data: bytes) -> bytes:
    return lzma.compress(data, preset=9 | lzma.PRESET_EXTREME)


COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "xz": _xz,  # xz -9e: a dictionary of 64 MiB
    "bz2": functools.partial(bz2.compress, compresslevel=9),  # blocks of 900 kB, each by itself
    "zlib": functools.partial(zlib.compress, level=9),  # a window of 32 KiB
}


def compressed_bits(compressor: str, train: bytes, test: bytes) -> float:
    """How many bits a compressor needs for a text when it has read another.

    That is 8 (C(train + test) - C(train)), C being the size in bytes. It sees only so much of the text
    before as its window or block holds.

    Args:
      compressor: a name of `COMPRESSORS`.
      train: the text before; may be empty, which leaves the compressor's own header in the figure.
      test: the text.
    """
    compress = COMPRESSORS[compressor]
    before = len(compress(train)) if train else 0
    return 8 * (len(compress(train + test)) - before)
