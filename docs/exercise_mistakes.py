"""The exercise in plain JAX, and the mistakes that people make in it, each with its symptom.

    python docs/exercise_mistakes.py                   # on the help texts inside Python
    python docs/exercise_mistakes.py --corpus=santa    # on the exercise's own book, which is fetched
    python docs/exercise_mistakes.py tanh_twice        # one of them alone

An Elman network learns to predict the next character of a text. A mistake replaces one part of the
right version, see `MISTAKES`. With all of them, the loss curves are drawn into --picture.
"""

import functools
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from absl import app, flags
from jax import lax

from rnnzoo import corpus
from rnnzoo.errors import UserError, did_you_mean, one_line_errors
from rnnzoo.vocabulary import Vocabulary

PIECE = 64  # characters that the gradient goes back


def init(key: jax.Array, V: int, H: int) -> dict[str, jax.Array]:
    """The parameters for V characters and H hidden units."""
    keys = jax.random.split(key, 3)
    orthogonal = jax.nn.initializers.orthogonal()
    scaled = jax.nn.initializers.lecun_normal()
    return {
        "W": orthogonal(keys[0], (H, H)),
        "U": scaled(keys[1], (V, H)).T,
        "b": jnp.zeros(H),
        "V": scaled(keys[2], (H, V)).T,
        "c": jnp.zeros(V),
    }


def cell(p, h, x):
    """h_t = tanh(W h_{t-1} + U x_t + b): [H] and the character's number to [H]."""
    x = jax.nn.one_hot(x, len(p["c"]))
    return jnp.tanh(p["W"] @ h + p["U"] @ x + p["b"])


def readout(p, h):
    """o_t = V h_t + c: [H] to the logits [V]."""
    return p["V"] @ h + p["c"]


def cross_entropy(o, y):
    """-log softmax(o)[y], the mean over a piece: logits [T, V] and numbers [T] to nats."""
    log_p = jax.nn.log_softmax(o)
    return -jnp.take_along_axis(log_p, y[:, None], axis=1).mean()


def draw(key, o, temperature):
    """The next character's number, drawn from softmax(o / temperature)."""
    return jax.random.categorical(key, o / temperature)


class Exercise(NamedTuple):
    """The parts of the exercise, as they are right; a mistake replaces one."""

    cell: Callable = cell
    readout: Callable = readout
    loss: Callable = cross_entropy
    draw: Callable = draw
    last_piece: bool = True  # whether the rest, shorter than a piece, is trained on
    clip_norm: float = 1.0
    rule: optax.GradientTransformation = optax.adam(1e-3)

    def run(self, p, h, xs):
        """The last state, and the logits after each of the characters xs: [T] to [T, V]."""

        def step(h, x):
            h = self.cell(p, h, x)
            return h, self.readout(p, h)

        return lax.scan(step, h, xs)

    @property
    def optimizer(self) -> optax.GradientTransformation:
        """Its rule behind gradient clipping."""
        clip = optax.clip_by_global_norm(self.clip_norm) if self.clip_norm else optax.identity()
        return optax.chain(clip, self.rule)

    @functools.partial(jax.jit, static_argnums=0)
    def epoch(self, p, memory, text):
        """Trains on a text, piece by piece: (parameters, optimiser's memory, mean loss)."""
        xs, ys = text[:-1], text[1:]
        whole = len(xs) - len(xs) % PIECE

        def loss(p, h, x, y):
            h, o = self.run(p, h, x)
            return self.loss(o, y), h

        def update(carry, piece):
            p, memory, h = carry  # h goes on from piece to piece, its gradient does not
            (nats, h), gradient = jax.value_and_grad(loss, has_aux=True)(p, h, *piece)
            change, memory = self.optimizer.update(gradient, memory)
            return (optax.apply_updates(p, change), memory, h), nats

        carry = p, memory, jnp.zeros_like(p["b"])
        pieces = xs[:whole].reshape(-1, PIECE), ys[:whole].reshape(-1, PIECE)
        carry, losses = lax.scan(update, carry, pieces)
        if self.last_piece and whole < len(xs):
            carry, last = update(carry, (xs[whole:], ys[whole:]))
            losses = jnp.append(losses, last)
        return *carry[:2], losses.mean()

    @functools.partial(jax.jit, static_argnums=(0, 4))
    def sample(self, p, prompt, temperature, length, key):
        """The numbers of `length` characters after the prompt."""
        h, o = self.run(p, jnp.zeros_like(p["b"]), prompt)

        def step(carry, key):
            h, o = carry
            x = self.draw(key, o, temperature)
            h = self.cell(p, h, x)
            return (h, self.readout(p, h)), x

        return lax.scan(step, (h, o[-1]), jax.random.split(key, length))[1]


# The mistakes: each function stands for the right one of the same place above.


def tanh_twice(p, h, x):
    """The cell has its tanh already, and gets another around it."""
    return jnp.tanh(cell(p, h, x))


def tanh_of_logits(p, h):
    """Logits are no activations: between -1 and 1 they cannot say that a character is likely."""
    return jnp.tanh(readout(p, h))


def no_readout(p, h):
    """H logits for V characters."""
    return h


def as_if_one_hot(o, y):
    """The formula for one-hot targets, which the numbers of the characters broadcast into."""
    return -(y[:, None] * jax.nn.log_softmax(o)).sum(axis=1).mean()


def likeliest(key, o, temperature):
    """The most probable character, always."""
    return o.argmax()


def same_key(key, o, temperature):
    """A random number that is the same at each step."""
    return draw(jax.random.key(0), o, temperature)


RIGHT = Exercise()
BY_SGD = RIGHT._replace(rule=optax.sgd(0.5))  # right, too
MISTAKES = {  # that show while training
    "tanh_twice": RIGHT._replace(cell=tanh_twice),
    "tanh_of_logits": RIGHT._replace(readout=tanh_of_logits),
    "no_readout": RIGHT._replace(readout=no_readout),
    "as_if_one_hot": RIGHT._replace(loss=as_if_one_hot),
    "no_clipping": BY_SGD._replace(clip_norm=0.0),
}
DRAWING = {"likeliest": likeliest, "same_key": same_key}  # that show in samples


class Trained(NamedTuple):
    """What a training gave: its parameters and the loss of each epoch."""

    params: dict[str, jax.Array]
    losses: list[float]


def train(
    exercise: Exercise, ids: np.ndarray, V: int, H: int, epochs: int, stretch: int
) -> Trained:
    """Trains on random stretches of a text, the same ones whatever the exercise."""
    p = init(jax.random.key(0), V, H)
    memory = exercise.optimizer.init(p)
    places, losses = np.random.default_rng(0), []
    for _ in range(epochs):
        start = places.integers(len(ids) - stretch)
        p, memory, loss = exercise.epoch(p, memory, ids[start : start + stretch + 1])
        losses.append(float(loss))
    return Trained(p, losses)


def loss_of(p, ids: np.ndarray) -> np.ndarray:
    """The loss of each next character of a text, in nats."""
    _, o = jax.jit(RIGHT.run)(p, jnp.zeros_like(p["b"]), ids[:-1])
    return -np.take_along_axis(np.asarray(jax.nn.log_softmax(o)), ids[1:, None], axis=1)[:, 0]


def write(
    exercise: Exercise, p, vocabulary: Vocabulary, temperature: float, length: int = 70
) -> str:
    """A sample; a number that is no character's shows as �."""
    prompt = vocabulary.encode("\n")
    ids = np.asarray(exercise.sample(p, prompt, temperature, length, jax.random.key(1)))
    return "".join(vocabulary.symbols[i] if i < len(vocabulary) else "\ufffd" for i in ids)


def order_of_a_set(text: str, hash_seed: int) -> str:
    """The text's characters in the order of `set(text)` in another process."""
    code = "import sys; print(*map(ord, set(map(chr, map(int, sys.argv[1].split())))))"
    argument = " ".join(str(ord(c)) for c in sorted(set(text)))
    environment = os.environ | {"PYTHONHASHSEED": str(hash_seed)}
    command = [sys.executable, "-c", code, argument]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return "".join(chr(int(c)) for c in done.stdout.split())


def show_training(ids, vocabulary, wanted: list[str], sizes: dict) -> dict[str, Trained]:
    """Trains the right version and each wanted mistake, and prints losses and a sample."""
    found, exercises = {}, {"right": RIGHT}
    for name in wanted:
        exercises |= {"by_sgd": BY_SGD} if name == "no_clipping" else {}
        exercises[name] = MISTAKES[name]
    for name, exercise in exercises.items():
        found[name] = train(exercise, ids, len(vocabulary), **sizes)
        losses = found[name].losses
        begun, ended = losses[0], np.mean(losses[-20:])
        print(f"{name:15} first epoch {begun:9.3f}, mean of the last 20 {ended:9.3f}, highest "
              f"{np.max(losses):9.3f}\n    {write(exercise, found[name].params, vocabulary, 0.5)!r}",
              flush=True)  # fmt: skip
    return found


def show_reach(ids: np.ndarray, V: int, H: int) -> None:
    """Prints how much of a gradient is left after some steps back, before any training."""
    p = init(jax.random.key(0), V, H)
    for name, exercise in {"right": RIGHT, "tanh_twice": MISTAKES["tanh_twice"]}.items():
        h, _ = exercise.run(p, jnp.zeros(H), ids[:100])
        left = []
        for steps in (1, 4, 16, 64):
            text = ids[100 : 100 + steps]
            jacobian = jax.jacobian(lambda h, e=exercise, x=text: e.run(p, h, x)[0])(h)
            left.append(f"{steps}: {jnp.linalg.norm(jacobian) / np.sqrt(H):.4f}")
        print(f"{name:15} gradient left after so many steps: {', '.join(left)}")


def show_drawing(p, vocabulary: Vocabulary) -> None:
    """Prints samples of the right model, rightly drawn and not."""
    for temperature in (0.1, 0.5, 1.0):
        text = write(RIGHT, p, vocabulary, temperature, 120)
        print(f"temperature {temperature}: {text!r}")
    for name, function in DRAWING.items():
        text = write(RIGHT._replace(draw=function), p, vocabulary, 1.0, 120)
        print(f"{name:15} {text!r}")


def show_vocabulary(p, ids: np.ndarray, vocabulary: Vocabulary) -> None:
    """Prints the loss of the right model in a process that orders the characters otherwise."""
    orders = [order_of_a_set(vocabulary.symbols, seed) for seed in (1, 2)]
    print("set(text) in two processes:", *(repr(order[:12]) for order in orders))
    text = vocabulary.symbols
    number = np.array([orders[1].index(c) for c in orders[0]])  # of a character, there
    renamed = np.array([number[text.index(c)] for c in text])
    part = ids[:2000]
    print(f"loss with the vocabulary of its training {loss_of(p, part).mean():.3f}, "
          f"with the other order {loss_of(p, renamed[part]).mean():.3f}")  # fmt: skip


def show_last_piece(ids: np.ndarray, V: int, H: int, epochs: int) -> None:
    """Prints what a model knows by heart of a text of 1,000 characters: its pieces, and the rest."""
    text, whole = ids[:1000], 999 - 999 % PIECE
    for name, exercise in {
        "right": RIGHT,
        "dropped_pieces": RIGHT._replace(last_piece=False),
    }.items():
        p = init(jax.random.key(0), V, H)
        memory = exercise.optimizer.init(p)
        for _ in range(epochs):
            p, memory, loss = exercise.epoch(p, memory, text)
        nats = loss_of(p, text)
        print(f"{name:15} training says {loss:.3f}; characters 1 to {whole}: "
              f"{nats[:whole].mean():.3f}, the rest: {nats[whole:].mean():.3f}")  # fmt: skip


def draw_curves(found: dict[str, Trained], path: str) -> None:
    """Draws the losses against epochs, each the mean of ten."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for name, trained in found.items():
        if name != "as_if_one_hot":  # thousands
            smooth = np.convolve(trained.losses, np.ones(10) / 10, mode="valid")
            dashed = {"color": "grey", "linestyle": "--"} if name == "by_sgd" else {}
            style = {"color": "black", "linewidth": 2.2} if name == "right" else dashed
            axes.plot(np.arange(len(smooth)) + 10, smooth, label=name.replace("_", " "), **style)
    ticks = [1.5, 2, 3, 4, 5, 10, 20, 50]
    axes.set(xlabel="epoch", ylabel="loss (nats per character)", yscale="log", ylim=(1.4, 70))
    axes.set_yticks(ticks, labels=[str(tick) for tick in ticks])
    axes.set_yticks([], minor=True)
    axes.grid(alpha=0.3)
    axes.legend(ncols=2)
    figure.savefig(pathlib.Path(path), dpi=110)


def define_flags() -> None:
    """The flags, which nobody gets who imports this file."""
    flags.DEFINE_string("corpus", "pydoc", "The text: pydoc, santa or shakespeare.")
    flags.DEFINE_integer("epochs", 250, "Stretches of text to train on.", lower_bound=1)
    flags.DEFINE_integer("stretch", 5000, "Characters of a stretch.", lower_bound=2)
    flags.DEFINE_integer("hidden_size", 256, "H.", lower_bound=1)
    flags.DEFINE_string("picture", None, "Where to draw the loss curves, such as a.png.")


@one_line_errors()
def main(argv: list[str]) -> None:
    """Shows what is named on the command line, or all."""
    given = flags.FLAGS
    known = [*MISTAKES, "drawing", "vocabulary", "dropped_pieces"]
    wanted = argv[1:] or known
    for name in set(wanted) - set(known):
        raise UserError(f"no mistake is called {name!r}: {did_you_mean(name, known)}")
    text = corpus.load(given.corpus)
    ids, vocabulary = text.ids.astype(np.int32), text.vocabulary
    V = len(vocabulary)
    print(f"{text.name}: {len(ids):,} characters, V = {V}, ln V = {np.log(V):.3f}")
    sizes = {"H": given.hidden_size, "epochs": given.epochs, "stretch": given.stretch}
    found = show_training(ids, vocabulary, [n for n in wanted if n in MISTAKES], sizes)
    p = found["right"].params
    if "tanh_twice" in wanted:
        show_reach(ids, V, given.hidden_size)
    if "drawing" in wanted:
        show_drawing(p, vocabulary)
    if "vocabulary" in wanted:
        show_vocabulary(p, ids, vocabulary)
    if "dropped_pieces" in wanted:
        show_last_piece(ids, V, given.hidden_size, given.epochs)
    if given.picture:
        draw_curves(found, given.picture)


if __name__ == "__main__":
    define_flags()
    app.run(main)
