"""The work that is timed: equal for every model, so that only the model differs."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from rnnzoo import batches, train
from rnnzoo.loss import cross_entropy
from rnnzoo.model import LanguageModel, Params, State
from rnnzoo.vocabulary import Vocabulary

CLIPPED_ADAM = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-3))


def random_piece(length: int, batch_size: int, vocabulary_size: int) -> jax.Array:
    """Ids of T + 1 characters: inputs are the first T, targets the last. Shape [T + 1, B].

    It ends as it begins, so that a text may be the same piece over and over.
    """
    shape = length, batch_size
    ids = jax.random.randint(jax.random.key(0), shape, 0, vocabulary_size, jnp.int32)
    return jnp.concatenate([ids, ids[:1]])


def vocabulary(size: int) -> Vocabulary:
    """A vocabulary of V characters, whichever: only their number matters to a time."""
    return Vocabulary.of("".join(chr(ord(" ") + i) for i in range(size)))


def copy(tree):
    """New buffers: what is donated must not be shared, not even one zero with another."""
    return jax.tree.map(jnp.array, tree)


def loss(model: LanguageModel, params: Params, ids: jax.Array, state: State):
    """Nats per character on ids [T + 1, B], and the state after it."""
    logits, state = model.apply(params, jax.random.key(0), ids[:-1], state)
    return cross_entropy(logits, ids[1:]), state


def update(model: LanguageModel, optimizer: optax.GradientTransformation) -> Callable:
    """(params, optimizer state, state), ids [T + 1, B] -> the same after one update, nats."""

    def step(carry, ids):
        params, optimizer_state, state = carry
        gradient = jax.value_and_grad(lambda p: loss(model, p, ids, state), has_aux=True)
        (nats, state), gradients = gradient(params)
        updates, optimizer_state = optimizer.update(gradients, optimizer_state, params)
        return (optax.apply_updates(params, updates), optimizer_state, state), nats

    return step


def training_step(model: LanguageModel, params: Params, ids: jax.Array) -> Callable[..., jax.Array]:
    """A call that trains on the piece once or so many times more: the nats before the last update.

    One compiled call, its buffers donated; the recurrent state goes on from call to call.

    Args:
      model: the language model.
      params: where it starts; they are copied.
      ids: the piece, shape [T + 1, B].
    """
    return repeated(jitted_update(model), start(model, params, ids.shape[1]), ids)


def rnnzoo_training(
    model: LanguageModel, params: Params, ids: jax.Array, most: int
) -> Callable[[int], jax.Array]:
    """A call that trains on the piece a number of times more, at `most` so often: their mean nats.

    As `training_step`, but by rnnzoo's own trainer: many pieces in one compiled call, whose rows are
    shared out over a CPU's cores.
    """
    T, B = len(ids) - 1, ids.shape[1]
    text = jnp.concatenate([jnp.tile(ids[:-1], (most, 1)), ids[-1:]])
    rows = jnp.arange(B) * len(text), jnp.full(B, most * T)
    text = text.T.ravel()
    reading = train.TextReading(T)
    source = train.Source(
        lambda sharding: jax.device_put(text, sharding), lambda key: rows, most, B, reading
    )
    trainer = train.Trainer(model, CLIPPED_ADAM, source)
    zeros = {"piece": jnp.zeros((), jnp.int32), "nats": jnp.zeros(()), "characters": jnp.zeros(())}

    @functools.partial(jax.jit, donate_argnums=0)
    def step(state, stretch, stop):
        state = state._replace(**zeros)
        # Trained on one piece for thousands of updates, a model may end in NaN; the work goes on, as
        # the peers' does, and does not stop there.
        fixed = model, CLIPPED_ADAM, reading, trainer.mesh
        state = train.advance(*fixed, state, stretch, stop, skip=True)
        return state, state.nats / state.characters

    stretch = batches.Stretch(source.text(NamedSharding(trainer.mesh, P())), *rows)
    state = trainer.start()._replace(params=copy(params))

    def call(count=1):
        nonlocal state
        state, nats = step(state, stretch, count)
        return nats

    return call


def jitted_update(model: LanguageModel) -> Callable:
    """`update` with clipped Adam, to be compiled; what it is given first is donated."""
    return jax.jit(update(model, CLIPPED_ADAM), donate_argnums=0)


def start(model: LanguageModel, params: Params, batch_size: int) -> tuple:
    """What the first `update` is given, in buffers of its own."""
    return copy((params, CLIPPED_ADAM.init(params), model.initial_state(params, batch_size)))


def repeated(step: Callable, carry: tuple, ids: jax.Array) -> Callable[..., jax.Array]:
    """A call that makes one update or several more, compiled or jitted: the last one's nats."""

    def call(count=1):
        nonlocal carry
        for _ in range(count):
            carry, nats = step(carry, ids)
        return nats

    return call


class Layer(NamedTuple):
    """A recurrent layer over dense inputs, with rnnzoo's weights in its own layout.

    Attributes:
      call: () -> what is timed: forward and backward, as the layer's framework returns it.
      forward: () -> what is timed without a backward pass: the outputs.
      read: that result -> (loss, gradients by the inputs [T, B, D], gradients by the weights), as
        arrays; the loss is the mean of the squared outputs.
      weights: rnnzoo's parameters -> the layer's, a tree like its gradients. It reorders, flips
        signs, and adds constants, nothing else.
    """

    call: Callable[[], Any]
    forward: Callable[[], Any]
    read: Callable[[Any], tuple[Any, Any, Any]]
    weights: Callable[[Params], Any]


def jax_layer(
    apply: Callable[[Any, jax.Array], jax.Array],
    weights: Callable[[Params], Any],
    params: Params,
    xs: jax.Array,
    read: Callable[[Any], tuple[Any, Any, Any]] = lambda result: result,
    differentiate: Callable[[Callable], Callable] = lambda loss: jax.value_and_grad(loss, (0, 1)),
) -> Layer:
    """A layer in JAX: loss and gradients in one compiled call.

    Args:
      apply: (weights, inputs) -> outputs.
      weights: as in `Layer`.
      params: rnnzoo's.
      xs: the inputs, in the layer's own layout.
      read: as in `Layer`, where that layout is not [T, B, D].
      differentiate: the loss -> its value with the gradients by weights and inputs.
    """

    @jax.jit
    def run(weights, xs):
        square = differentiate(lambda w, xs: jnp.mean(apply(w, xs) ** 2))
        loss, (d_weights, d_xs) = square(weights, xs)
        return loss, d_xs, d_weights

    arguments = jax.tree.map(jnp.asarray, (weights(params), xs))
    forward = jax.jit(apply)
    return Layer(lambda: run(*arguments), lambda: forward(*arguments), read, weights)


def layer_figures(layer: Layer, result: Any, inputs: jax.Array, params: Params) -> list[float]:
    """What must be equal for a layer that computes the same function as rnnzoo's.

    By the chain rule, the layer's gradient along the image of a direction is rnnzoo's gradient
    along the direction itself; taken along rnnzoo's own gradient, nothing cancels.

    Args:
      layer: the layer.
      result: of its call.
      inputs: rnnzoo's gradient by the inputs.
      params: rnnzoo's gradient by the parameters.

    Returns:
      The loss, and the derivatives by the inputs and by the weights along rnnzoo's gradients.
    """
    exactly = functools.partial(jax.tree.map, lambda a: np.asarray(a).astype(np.float64))
    loss, d_inputs, d_weights = exactly(layer.read(result))
    inputs, params = exactly((inputs, params))
    origin = layer.weights(jax.tree.map(np.zeros_like, params))
    direction = jax.tree.map(np.subtract, layer.weights(params), origin)
    by_weights = jax.tree.map(lambda a, b: np.vdot(a, b), d_weights, direction)
    return [float(loss), float(np.vdot(d_inputs, inputs)), float(sum(jax.tree.leaves(by_weights)))]


def check_same(losses: Mapping[str, Sequence[float]], tolerance: float = 1e-4) -> None:
    """Checks that contenders that should compute one function do.

    Args:
      losses: for each contender, its losses over a few updates, or other figures that must agree.
      tolerance: the largest relative difference to the first contender. Rounding in float32 makes
        1e-7, a gate of the wrong sign 1e-3.

    Raises:
      ArithmeticError: one differs, or is not finite, which would tell nothing.
    """
    (first, expected), *others = losses.items()
    for name, found in others:
        if not (np.isfinite(found).all() and np.allclose(found, expected, rtol=tolerance, atol=0)):
            raise ArithmeticError(
                f"{name} and {first} do not compute the same function, so that comparing their "
                f"times means nothing: {np.array(found)} and {np.array(expected)}"
            )
