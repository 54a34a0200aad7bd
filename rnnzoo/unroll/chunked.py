"""Unrolling long sequences in rematerialised chunks: memory for the square root of T steps."""

import math
from collections.abc import Callable
from typing import Any

import jax

from rnnzoo.unroll import deferred


def scan(step: Callable, inputs: Any, state: Any, reverse: bool = False) -> tuple[Any, Any]:
    """As `rnnzoo.unroll.deferred.scan`, but it keeps the state only once in sqrt(T) steps.

    The backward pass runs each chunk of sqrt(T) steps again, which costs one more forward pass.
    """
    length = len(jax.tree.leaves(inputs)[0])
    size = max(1, math.isqrt(length))
    whole = length - length % size

    @jax.checkpoint
    def chunk(state, inputs):
        outputs, state = deferred.scan(step, inputs, state, reverse)
        return state, outputs

    def chunks(state, inputs):
        split = jax.tree.map(lambda a: a.reshape(whole // size, size, *a.shape[1:]), inputs)
        state, outputs = jax.lax.scan(chunk, state, split, reverse=reverse)
        return state, jax.tree.map(lambda a: a.reshape(whole, *a.shape[2:]), outputs)

    parts = [
        (chunks, 0, whole),
        (chunk, whole, length),
    ]  # the rest, if any, is the last chunk in time
    parts = [part for part in parts if part[1] < part[2]]
    outputs = []
    for run, start, end in reversed(parts) if reverse else parts:
        state, output = run(state, jax.tree.map(lambda a, s=slice(start, end): a[s], inputs))
        outputs.append(output)
    if reverse:
        outputs.reverse()
    return jax.tree.map(lambda *leaves: jax.numpy.concatenate(leaves), *outputs), state
