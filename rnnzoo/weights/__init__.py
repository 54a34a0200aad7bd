"""Weights to and from other libraries, as NumPy arrays: none of these libraries is needed.

`layouts` is the one engine, `ours` says where rnnzoo's cells keep what, and each other file where
one library keeps it.
"""

from rnnzoo.weights.flax import from_flax, to_flax
from rnnzoo.weights.keras import from_keras, to_keras
from rnnzoo.weights.torch import from_torch, to_torch
from rnnzoo.weights.torchrecurrent import from_torchrecurrent, to_torchrecurrent

__all__ = [
    "from_flax",
    "from_keras",
    "from_torch",
    "from_torchrecurrent",
    "to_flax",
    "to_keras",
    "to_torch",
    "to_torchrecurrent",
]
