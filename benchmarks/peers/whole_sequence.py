"""Not a peer but a prototype of our own: the recurrent loop as one kernel, on a GPU.

It runs any cell whose step is one product of a state and arithmetic of single units, in float32 and
in bfloat16; see `benchmarks.whole_sequence`.
"""

import functools

import jax

import rnnzoo
from benchmarks import whole_sequence
from benchmarks.peers import haiku
from benchmarks.workloads import Layer
from rnnzoo.model import Params

CELLS = ("elman", "gru", "lstm")


def layers(cell: str, H: int, params: Params, xs: jax.Array) -> dict[str, Layer]:
    """The registered cell in a whole-sequence kernel, where there is a GPU; see `benchmarks.peers`."""
    if cell not in CELLS or jax.default_backend() != "gpu":
        return {}
    make_core = functools.partial(rnnzoo.make, cell, H)
    found = haiku.layer(make_core, whole_sequence.unroll, params, xs)
    return {"whole-sequence kernel": found}
