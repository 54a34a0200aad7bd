"""The peer: torchrecurrent, a collection of recurrent cells for PyTorch, run eagerly.

Its layers, loops over the time steps in Python, could not be scripted (0.2.5 with PyTorch 2.13).

Which of them compute which cell's function, `rnnzoo.weights.torchrecurrent` says. Of elman, gru and
lstm it has none as they are, since torch.nn has them; its nearest is the LSTM with peepholes, which
computes our `lstm` while the peepholes are zero. For that it does a little more work in each step
than it had to, as others do for biases that are zero; the name says which layer it is.
"""

import functools

import jax
import torchrecurrent

from benchmarks.peers.torch import by_threads
from benchmarks.workloads import Layer
from rnnzoo.model import Params
from rnnzoo.weights import to_torchrecurrent
from rnnzoo.weights.torchrecurrent import CELLS

# The +RNN refuses other inputs than of H features. The layers of the other two start from a last
# input of H features, whatever the inputs.
SQUARE = ("intersection_rnn", "tgru", "tlstm")


def layers(cell: str, H: int, params: Params, xs: jax.Array) -> dict[str, Layer]:
    """Torchrecurrent's layer with one thread and with two; see `benchmarks.peers`."""
    D = xs.shape[-1]
    if cell not in CELLS or (cell in SQUARE and D != H):
        return {}
    twin = CELLS[cell]
    layer = getattr(torchrecurrent, twin.name)(D, H, **twin.options)
    weights = functools.partial(to_torchrecurrent, cell, layer=0)
    return by_threads(f"torchrecurrent.{twin.name}", layer, weights, params, xs)
