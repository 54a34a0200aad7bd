"""The obvious way to unroll, which every other way is compared with."""

from typing import Any

import jax
import jax.numpy as jnp

from rnnzoo.untyped import Step


def python_loop(step: Step, inputs: Any, state: Any, reverse: bool = False) -> tuple[Any, Any]:
    """Calls `output, state = step(inputs_t, state)` for one t after the other, in Python.

    Args and returns as for `rnnzoo.unroll.deferred.scan`.
    """
    length = len(jax.tree.leaves(inputs)[0])
    outputs = [None] * length
    for t in reversed(range(length)) if reverse else range(length):
        outputs[t], state = step(jax.tree.map(lambda a, t=t: a[t], inputs), state)
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *outputs), state
