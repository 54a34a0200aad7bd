"""Two cores over one sequence, one from each end."""

from typing import Any

import jax
import jax.numpy as jnp

from rnnzoo.unroll.unroll import unroll
from rnnzoo.untyped import Step


def bidirectional(
    forward: Step,
    backward: Step,
    input_sequence: Any,
    initial_states: tuple[Any, Any],
    **options: Any,
) -> tuple[Any, tuple[Any, Any]]:
    """Runs one core over time and another against it (Schuster and Paliwal 1997).

    Args:
      forward: the core that reads the inputs from the first to the last.
      backward: the core that reads them from the last to the first.
      input_sequence: arrays of shape [T, B, ...].
      initial_states: the state of each core before its first step.
      **options: given to `unroll`, such as `strategy` or `time_major`.

    Returns:
      The outputs, [T, B, ...], those of both cores at the same time step side by side along the last
      axis; and the pair of final states, the second one that after the first time step.
    """
    start, end = initial_states
    ahead, last = unroll(forward, input_sequence, start, **options)
    back, first = unroll(backward, input_sequence, end, reverse=True, **options)
    return jax.tree.map(lambda a, b: jnp.concatenate([a, b], axis=-1), ahead, back), (last, first)
