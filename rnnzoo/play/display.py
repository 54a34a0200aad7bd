"""What of a model's output and state is shown: a bounded number of its numbers, with names."""

import math
from typing import NamedTuple

import haiku as hk
import jax
import jax.numpy as jnp

from rnnzoo.model import LanguageModel, Params, State

MOST_ARRAYS = 12
MOST_NUMBERS = 512  # of all arrays together, each of which has at least `LEAST` and at most `MOST`
LEAST, MOST = 32, 256
OUTPUT = "output"


class Array(NamedTuple):
    """An array of a state, as it is shown.

    Attributes:
      name: such as 'hidden', or 'layer 2: cell'.
      size: how many numbers it has.
      every: which of them are shown: the first, and every so many after it.
    """

    name: str
    size: int
    every: int


def displaying(
    model: LanguageModel, params: Params, layers: int = 1
) -> tuple[LanguageModel, list[Array], int]:
    """The same model, whose state is a pair: its own, and what is shown after the step.

    Shown are the output that the logits are read from, and the arrays of the state; of a complex
    one, real and imaginary parts. Whole numbers, such as clocks, are left out.

    Args:
      model: the language model.
      params: its parameters.
      layers: of how many the cell is a stack; the state of several is a sequence.

    Returns:
      The model; the arrays, the output first if there is one; and how many more are not shown. What
      is shown is a tuple with an array [B, numbers] for each.
    """

    def own_step(params, key, ids, state):
        logits, state, output = _listen(model, params, key, ids, state)
        return logits, state, list(_named(output, state, layers))

    sizes = []

    def probe(params):
        state = model.initial_state(params, 1)
        named = own_step(params, jax.random.key(0), jnp.zeros((1, 1), int), state)[2]
        sizes.extend((name, array.shape[1]) for name, array in named)

    jax.eval_shape(probe, params)
    room = min(max(MOST_NUMBERS // max(len(sizes), 1), LEAST), MOST)
    arrays = [Array(name, size, math.ceil(size / room)) for name, size in sizes[:MOST_ARRAYS]]

    def apply(params, key, ids, state):
        logits, own, named = own_step(params, key, ids, state[0])
        pairs = zip(arrays, named, strict=False)
        return logits, (own, tuple(array[:, :: a.every] for a, (_, array) in pairs))

    def initial_state(params, batch_size, key=None):
        shown = tuple(jnp.zeros((batch_size, -(-a.size // a.every)), jnp.float32) for a in arrays)
        return model.initial_state(params, batch_size, key), shown

    model_shown = model._replace(apply=apply, initial_state=initial_state)
    return model_shown, arrays, len(sizes) - len(arrays)


def shown(state: State) -> tuple[jax.Array, ...]:
    """Of the state of a model of `displaying`, what is shown; a `look` for the sampler."""
    return state[1]


def _listen(model: LanguageModel, params, key, ids, state):
    """(logits, state, output): what the readout reads, [B, features]; None where there is none."""
    read = []

    def listen(call, args, kwargs, context):
        if context.method_name == "__call__" and context.module.module_name == "readout":
            read.append(args[0])
        return call(*args, **kwargs)

    with hk.intercept_methods(listen):
        logits, state = model.apply(params, key, ids, state)
    return logits, state, read[0] if read else None


def _named(output, state, layers: int):
    """(name, [B, numbers] in float32) of the output, and of each array of the state."""
    leaves = [] if output is None else [(OUTPUT, output)]
    leaves += [(_name(path, layers), leaf) for path, leaf in jax.tree.leaves_with_path(state)]
    for name, leaf in leaves:
        rows = leaf.reshape(leaf.shape[0], -1)
        if jnp.issubdtype(leaf.dtype, jnp.complexfloating):
            yield f"{name}, real part", rows.real.astype(jnp.float32)
            yield f"{name}, imaginary part", rows.imag.astype(jnp.float32)
        elif jnp.issubdtype(leaf.dtype, jnp.floating) and rows.shape[1]:
            yield name, rows.astype(jnp.float32)


def _name(path, layers: int) -> str:
    """'state', 'state 2', 'hidden', 'layer 1: cell' for the place in the state's tree."""
    of_layer = f"layer {path[0].idx + 1}: " if layers > 1 else ""
    keys = [
        getattr(k, "name", getattr(k, "key", None)) or str(k.idx + 1) for k in path[layers > 1 :]
    ]
    words = " ".join(map(str, keys))
    return of_layer + (words if words and not words[0].isdigit() else f"state {words}".strip())
