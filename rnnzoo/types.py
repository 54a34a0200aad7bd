"""Names for the types of what libraries leave without any."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # ml_collections has no types: the values of a config are whatever they are
    ConfigDict = Any
else:
    from ml_collections import ConfigDict as ConfigDict

Tree = Any  # of arrays: JAX's pytrees have no type of their own
Step = Callable[[Any, Any], tuple[Any, Any]]  # (inputs, state) -> (output, next state)
