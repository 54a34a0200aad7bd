"""The unroller."""

import haiku as hk


def unroll(core, inputs, state, *, time_major=True, reverse=False, return_all_states=False,
           strategy="auto"):
    """To be written."""
    return hk.dynamic_unroll(core, inputs, state, time_major, reverse, return_all_states)
