"""The exercise's job, in whole epochs: rnnzoo against the exercise's own loop in Haiku.

    python -m benchmarks.exercise

An epoch is a random stretch of the text, read in pieces of T characters: batch 1, an Elman cell,
Adam 1e-3 on every piece, without clipping. The contenders differ in what they compile:

  rnnzoo             the whole epoch: `rnnzoo.train.Trainer.epoch`
  one jit per piece  loss, gradient and update of a piece, around `hk.dynamic_unroll`
  the exercise       loss and gradient of a piece; the optax update runs operation by operation

All start from the same parameters; that their losses over the first epoch are equal is checked.
"""

import functools
import pathlib
from collections.abc import Callable

import jax
import numpy as np
import optax
from absl import flags

import rnnzoo
from benchmarks import report, settings, workloads
from benchmarks.peers import haiku
from benchmarks.timing import first_call, interleave
from rnnzoo import batches, train
from rnnzoo import corpus as corpora
from rnnzoo.model import LanguageModel, Params, language_model
from rnnzoo.vocabulary import Vocabulary

CORPUS = flags.DEFINE_string(
    "corpus", corpora.DEFAULT, f"The text: one of {', '.join(corpora.names())}, or a file."
)
LENGTH = flags.DEFINE_integer(
    "max_subsequence_length", 5000, "L, the characters of an epoch.", lower_bound=1
)
USED = (CORPUS, settings.HIDDEN_SIZE, settings.TRUNCATION, LENGTH, settings.ROUNDS)

OPTIMIZER = optax.adam(1e-3)
Epoch = Callable[[np.ndarray], float]  # trains on a text, ids [L + 1]; its nats per character


def whole_epoch(model: LanguageModel, params: Params, T: int, L: int) -> Epoch:
    """The trainer of rnnzoo, given the text instead of drawing it."""
    lay_out = jax.jit(batches.stream, static_argnums=(1, 2))
    text = np.zeros(L + 1, np.int32)
    source = train.Source(lambda key: lay_out(text, 1, T), -(-L // T), batch_size=1, truncation=T)
    trainer = train.Trainer(model, OPTIMIZER, source)
    state = trainer.start()._replace(params=workloads.copy(params))

    def epoch(ids):
        nonlocal state, text
        text = ids
        state, outcome = trainer.epoch(state, 1)
        return outcome.loss

    return epoch


def one_jit_per_piece(model: LanguageModel, params: Params, T: int) -> Epoch:
    """A compiled call for each piece, its buffers donated."""
    step = jax.jit(workloads.update(model, OPTIMIZER), donate_argnums=0)
    start = model.initial_state(params, 1)
    params, optimizer_state = workloads.copy((params, OPTIMIZER.init(params)))

    def epoch(ids):
        nonlocal params, optimizer_state
        state, losses = workloads.copy(start), []
        for piece in _pieces(ids, T):
            (params, optimizer_state, state), loss = step((params, optimizer_state, state), piece)
            losses.append(loss)
        return _mean(losses, ids, T)

    return epoch


def the_exercise(model: LanguageModel, params: Params, T: int) -> Epoch:
    """The exercise's own loop: a compiled loss and its gradient, all else from Python."""
    gradient = jax.jit(jax.value_and_grad(functools.partial(workloads.loss, model), has_aux=True))
    start = model.initial_state(params, 1)
    optimizer_state = OPTIMIZER.init(params)

    def epoch(ids):
        nonlocal params, optimizer_state
        state, losses = start, []
        for piece in _pieces(ids, T):
            (loss, state), gradients = gradient(params, piece, state)
            updates, optimizer_state = OPTIMIZER.update(gradients, optimizer_state, params)
            params = optax.apply_updates(params, updates)
            losses.append(loss)
        return _mean(losses, ids, T)

    return epoch


def _pieces(ids: np.ndarray, T: int) -> list[np.ndarray]:
    """Pieces of T characters and the next one, [T + 1, 1]; the last may be shorter."""
    return [ids[t : t + T + 1, None] for t in range(0, len(ids) - 1, T)]


def _mean(losses: list[jax.Array], ids: np.ndarray, T: int) -> float:
    """The mean of the pieces' losses, each counted by its characters."""
    return float(np.average(jax.device_get(losses), weights=[len(p) - 1 for p in _pieces(ids, T)]))


def read(corpus: str) -> tuple[np.ndarray, int]:
    """The ids of a corpus, by name or path, and the size of its vocabulary."""
    by_path = corpus not in corpora.names() and pathlib.Path(corpus).is_file()
    text = corpora.load(path=corpus).text if by_path else corpora.load(corpus).text
    vocabulary = Vocabulary.of(text)
    return vocabulary.encode(text), len(vocabulary)


def measure(
    corpus: str, hidden_size: int, truncation: int, max_subsequence_length: int, rounds: int
) -> list[dict]:
    """Checks and times whole epochs of all contenders in one interleaved run.

    Args:
      corpus: a name, or a file's path.
      hidden_size: H.
      truncation: T, the characters of a piece.
      max_subsequence_length: L, the characters of an epoch.
      rounds: samples of each contender.

    Returns:
      One row for each contender: its times in seconds per epoch, and `times_rnnzoo`, its median
      over that of rnnzoo. `first_call_seconds` is from nothing to the end of the first epoch.

    Raises:
      UserError: an unknown corpus, or sizes that do not fit it.
      ArithmeticError: the contenders do not compute the same function.
    """
    T, L = truncation, max_subsequence_length
    ids, V = read(corpus)
    batches.check_subsequence(len(ids), 1, L, T)
    ours = language_model(lambda: rnnzoo.make("elman", hidden_size), V)
    peer = haiku.language_model(lambda: haiku.Elman(hidden_size), V)
    params = jax.jit(peer.init)(jax.random.key(0))
    contenders = {
        "rnnzoo": functools.partial(whole_epoch, ours, L=L),
        "one jit per piece": functools.partial(one_jit_per_piece, peer),
        "the exercise": functools.partial(the_exercise, peer),
    }

    def first_epoch(make_epoch):
        epoch = make_epoch(params, T)
        return epoch, epoch(ids[: L + 1])

    first_calls, epochs, losses = {}, {}, {}
    for name, make_epoch in contenders.items():
        first_calls[name], (epochs[name], loss) = first_call(
            functools.partial(first_epoch, make_epoch)
        )
        losses[name] = [loss]
    workloads.check_same(losses)

    places = np.random.default_rng(0)

    def on_a_random_stretch(epoch):
        start = places.integers(len(ids) - L)
        return epoch(ids[start : start + L + 1])

    calls = {name: functools.partial(on_a_random_stretch, e) for name, e in epochs.items()}
    timings = interleave(calls, rounds)
    return [
        {
            "contender": name,
            "characters_per_second": L / timing.median,
            "times_rnnzoo": timing.median / timings["rnnzoo"].median,
            "first_call_seconds": first_calls[name],
            **timing.as_json(),
        }
        for name, timing in timings.items()
    ]


def main() -> None:
    """Measures what the flags say, prints the table and writes the file."""
    asked = settings.values(USED)
    rows = measure(**asked)
    path = report.write("exercise", asked, rows, settings.OUT.value)
    report.show(
        f"Epochs of {LENGTH.value:,} characters of {CORPUS.value}",
        ["contender", "ms/epoch", "spread", "characters/s", "× rnnzoo's time", "first epoch"],
        [
            (
                row["contender"],
                f"{1000 * row['median_seconds']:.1f}",
                report.spread(row),
                f"{row['characters_per_second']:,.0f}",
                f"{row['times_rnnzoo']:.2f}",
                f"{row['first_call_seconds']:.1f} s",
            )
            for row in rows
        ],
        path,
    )


if __name__ == "__main__":
    settings.run(main, USED)
