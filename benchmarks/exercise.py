"""The exercise's job, in whole epochs: rnnzoo against the exercise's own loop in Haiku.

    python -m benchmarks.exercise

An epoch is a random stretch of the text, read in pieces of T characters: batch 1, an Elman cell,
Adam 1e-3 on every piece, without clipping. The contenders differ in what they compile:

  rnnzoo             the whole epoch: `rnnzoo.train.Trainer.epoch`
  one jit per piece  loss, gradient and update of a piece, around `hk.dynamic_unroll`
  the exercise       loss and gradient of a piece; the optax update runs operation by operation

All start from the same parameters; that their losses over the first pieces are equal is checked.
"""

import functools

import jax
import optax

import rnnzoo
from benchmarks import epochs, report, settings, workloads
from benchmarks.epochs import OPTIMIZER, Epoch
from benchmarks.peers import haiku
from rnnzoo import batches
from rnnzoo.model import LanguageModel, Params, language_model

USED = (epochs.CORPUS, settings.HIDDEN_SIZE, settings.TRUNCATION, epochs.LENGTH, settings.ROUNDS)


def one_jit_per_piece(model: LanguageModel, params: Params, T: int) -> Epoch:
    """A compiled call for each piece, its buffers donated."""
    step = jax.jit(workloads.update(model, OPTIMIZER), donate_argnums=0)
    start = model.initial_state(params, 1)
    params, optimizer_state = workloads.copy((params, OPTIMIZER.init(params)))

    def epoch(ids):
        nonlocal params, optimizer_state
        state, losses = workloads.copy(start), []
        for piece in epochs.pieces(ids, T):
            (params, optimizer_state, state), loss = step((params, optimizer_state, state), piece)
            losses.append(loss)
        return epochs.mean(jax.device_get(losses), ids, T)

    return epoch


def the_exercise(model: LanguageModel, params: Params, T: int) -> Epoch:
    """The exercise's own loop: a compiled loss and its gradient, all else from Python."""
    gradient = jax.jit(jax.value_and_grad(functools.partial(workloads.loss, model), has_aux=True))
    start = model.initial_state(params, 1)
    optimizer_state = OPTIMIZER.init(params)

    def epoch(ids):
        nonlocal params, optimizer_state
        state, losses = start, []
        for piece in epochs.pieces(ids, T):
            (loss, state), gradients = gradient(params, piece, state)
            updates, optimizer_state = OPTIMIZER.update(gradients, optimizer_state, params)
            params = optax.apply_updates(params, updates)
            losses.append(loss)
        return epochs.mean(jax.device_get(losses), ids, T)

    return epoch


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
      The rows of `epochs.compare`.

    Raises:
      UserError: an unknown corpus, or sizes that do not fit it.
      ArithmeticError: the contenders do not compute the same function.
    """
    T, L = truncation, max_subsequence_length
    ids, V = epochs.read(corpus)
    batches.check_subsequence(len(ids), 1, L, T)
    ours = language_model(lambda: rnnzoo.make("elman", hidden_size), V)
    peer = haiku.language_model(lambda: haiku.Elman(hidden_size), V)
    params = jax.jit(peer.init)(jax.random.key(0))
    contenders = {
        "rnnzoo": lambda: epochs.rnnzoo_epoch(ours, params, 1, T),
        "one jit per piece": lambda: one_jit_per_piece(peer, params, T),
        "the exercise": lambda: the_exercise(peer, params, T),
    }
    return epochs.compare(contenders, ids, 1, T, L, rounds)


def main() -> None:
    """Measures what the flags say, prints the table and writes the file."""
    asked = settings.values(USED)
    rows = measure(**asked)
    path = report.write("exercise", asked, rows, settings.OUT.value)
    report.show(
        f"Epochs of {epochs.LENGTH.value:,} characters of {epochs.CORPUS.value}",
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
