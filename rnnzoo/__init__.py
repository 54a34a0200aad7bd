"""rnnzoo: recurrent cells for Haiku, and all that a cell needs to prove itself."""

from rnnzoo import cells as cells
from rnnzoo import tasks as tasks
from rnnzoo.cells.base import Cell, LinearCell
from rnnzoo.registry import make, names, register
from rnnzoo.tasks import register_task
from rnnzoo.unroll import bidirectional, unroll

__all__ = [
    "Cell",
    "LinearCell",
    "bidirectional",
    "make",
    "names",
    "register",
    "register_task",
    "unroll",
]
