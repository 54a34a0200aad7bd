"""The peer: torchrecurrent, a collection of recurrent cells for PyTorch, run eagerly.

Its layers, loops over the time steps in Python, could not be scripted (0.2.5 with PyTorch 2.13).

Of elman, gru and lstm it has none as they are, since torch.nn has them. Its nearest is the LSTM
with peepholes, which computes our `lstm` while the peepholes are zero: for that it does a little
more work in each step than it had to, so that its name says which cell it is.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import numpy as np
import torchrecurrent

from benchmarks.peers.torch import by_threads, torch_weights
from benchmarks.workloads import Layer
from rnnzoo.model import Params


class Twin(NamedTuple):
    """A layer that computes a registered cell's function.

    Attributes:
      name: of the class in torchrecurrent.
      weights: rnnzoo's parameters -> those of the layer's one cell, by their names in it.
    """

    name: str
    weights: Callable[[Params], Mapping[str, np.ndarray]]


def _peephole_lstm(params: Params) -> dict[str, np.ndarray]:
    weights = {k.removesuffix("_l0"): v for k, v in torch_weights("lstm", params).items()}
    gates_times_H = weights["bias_ih"]
    return {**weights, "weight_ph": np.zeros_like(gates_times_H[: len(gates_times_H) // 4 * 3])}


TWINS = {"lstm": Twin("PeepholeLSTM", _peephole_lstm)}


def layers(cell: str, H: int, params: Params, xs: jax.Array) -> dict[str, Layer]:
    """Torchrecurrent's layer with one thread and with two; see `benchmarks.peers`."""
    if cell not in TWINS:
        return {}
    twin = TWINS[cell]

    def weights(params):
        return {f"cells.0.{name}": value for name, value in twin.weights(params).items()}

    layer = getattr(torchrecurrent, twin.name)(xs.shape[-1], H)
    return by_threads(f"torchrecurrent.{twin.name}", layer, weights, params, xs)
