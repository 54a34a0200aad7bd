"""Unrolling long sequences in rematerialised chunks: memory for the square root of T steps."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from rnnzoo.unroll import deferred


def scan(step: Callable, inputs: Any, state: Any, reverse: bool = False) -> tuple[Any, Any]:
    """As `rnnzoo.unroll.deferred.scan`, but it keeps the state only once in sqrt(T) steps.

    The backward pass runs each chunk of sqrt(T) steps again, which costs one more forward pass.
    """
    length = len(jax.tree.leaves(inputs)[0])
    size = _chunk_size(length)
    whole = length - length % size  # the rest, if any, is one more, shorter chunk

    @jax.checkpoint
    def chunk(state, inputs):
        outputs, state = deferred.scan(step, inputs, state, reverse)
        return state, outputs

    def chunks(state, inputs):
        split = jax.tree.map(lambda a: a.reshape(whole // size, size, *a.shape[1:]), inputs)
        state, outputs = jax.lax.scan(chunk, state, split, reverse=reverse)
        return state, jax.tree.map(lambda a: a.reshape(whole, *a.shape[2:]), outputs)

    if whole == length:
        state, outputs = chunks(state, inputs)
        return outputs, state
    parts = [(chunks, slice(0, whole)), (chunk, slice(whole, length))]
    outputs = []
    for run, part in reversed(parts) if reverse else parts:
        state, output = run(state, jax.tree.map(lambda a, part=part: a[part], inputs))
        outputs.append(output)
    if reverse:
        outputs.reverse()
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *outputs), state


def _chunk_size(length: int) -> int:
    """About sqrt(length); a divisor of it if one is near, so that no inputs have to be copied."""
    root = max(1, math.isqrt(length))
    near = [size for size in range(root, 2 * root + 1) if length % size == 0]
    return near[0] if near else root
