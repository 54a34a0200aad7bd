"""Whole epochs of truncated backpropagation through a text: what `exercise` and `job` share.

An epoch is a random stretch of the text for each of B rows, L characters long, read in pieces of T;
the state goes on from piece to piece, the gradient does not. Adam 1e-3 on every piece, without
clipping.
"""

import functools
from collections.abc import Callable, Mapping, Sequence

import jax
import numpy as np
import optax
from absl import flags

from benchmarks import workloads
from benchmarks.timing import first_call, interleave
from rnnzoo import corpus as corpora
from rnnzoo import train
from rnnzoo.model import LanguageModel, Params

CORPUS = flags.DEFINE_string(
    "corpus", corpora.DEFAULT, f"The text: one of {', '.join(corpora.names())}, or a file."
)
LENGTH = flags.DEFINE_integer(
    "max_subsequence_length", 5000, "L, the characters of a row in an epoch.", lower_bound=1
)

LEARNING_RATE = 1e-3
OPTIMIZER = optax.adam(LEARNING_RATE)
CHECKED = 8  # pieces; over a whole epoch without clipping, rounding can grow to a loss of its own
Epoch = Callable[[np.ndarray], float]  # trains on a text, ids [L + 1, B]; its nats per character


def read(corpus: str) -> tuple[np.ndarray, int]:
    """The ids of a corpus, by name or path, and the size of its vocabulary."""
    found = corpora.find(corpus)
    return np.asarray(found.ids, np.int32), len(found.vocabulary)


def rnnzoo_epoch(model: LanguageModel, params: Params, B: int, T: int) -> Epoch:
    """The trainer of rnnzoo, given the text instead of drawing it."""
    text = state = None

    def placed(sharding):
        return jax.device_put(text.T.ravel(), sharding)

    def rows(key):
        L = len(text) - 1
        return np.arange(B) * (L + 1), np.full(B, L)

    @functools.cache
    def trainer(pieces):
        source = train.Source(placed, rows, pieces, B, train.TextReading(T))
        return train.Trainer(model, OPTIMIZER, source)

    def epoch(ids):
        nonlocal state, text
        text, pieces = ids, -(-(len(ids) - 1) // T)
        if state is None:
            state = trainer(pieces).start()._replace(params=workloads.copy(params))
        state, outcome = trainer(pieces).epoch(state, 1)
        return outcome.loss

    return epoch


def pieces(ids: np.ndarray, T: int) -> list[np.ndarray]:
    """Pieces of T characters and the next one, [T + 1, B]; the last may be shorter."""
    return [ids[t : t + T + 1] for t in range(0, len(ids) - 1, T)]


def mean(losses: Sequence[float], ids: np.ndarray, T: int) -> float:
    """The mean of the pieces' losses, each counted by its characters."""
    return float(np.average(losses, weights=[len(p) - 1 for p in pieces(ids, T)]))


def compare(
    contenders: Mapping[str, Callable[[], Epoch]],
    ids: np.ndarray,
    B: int,
    T: int,
    L: int,
    rounds: int,
) -> list[dict]:
    """Checks that the contenders have the same loss in a first short epoch, then times them in turn.

    Args:
      contenders: makes their epochs, from the same parameters; the first is rnnzoo's.
      ids: the text, shape [N].
      B: rows of an epoch.
      T: characters of a piece.
      L: characters of a row.
      rounds: samples of each contender.

    Returns:
      One row for each contender: its times in seconds per epoch, and `times_rnnzoo`, its median
      over that of rnnzoo. `first_call_seconds` is from nothing to the end of the first epoch.

    Raises:
      ArithmeticError: the contenders do not compute the same function.
    """
    places = np.random.default_rng(0)

    def draw():
        return ids[places.integers(len(ids) - L, size=B) + np.arange(L + 1)[:, None]]

    def first_epoch(make_epoch, text):
        epoch = make_epoch()
        return epoch, epoch(text)

    first_text, first_calls, calls, losses = draw(), {}, {}, {}
    for name, make_epoch in contenders.items():
        first = functools.partial(first_epoch, make_epoch, first_text)
        first_calls[name], (epoch, _) = first_call(first)
        calls[name] = lambda epoch=epoch: epoch(draw())
        losses[name] = [make_epoch()(first_text[: CHECKED * T + 1])]
    workloads.check_same(losses)
    timings = interleave(calls, rounds)
    ours = timings[next(iter(contenders))].median
    return [
        {
            "contender": name,
            "characters_per_second": B * L / timing.median,
            "times_rnnzoo": timing.median / ours,
            "first_call_seconds": first_calls[name],
            **timing.as_json(),
        }
        for name, timing in timings.items()
    ]
