"""The tasks: generated data that shows what a cell is good at, with the loss of knowing nothing.

`names()` lists them, `make(name, **options)` makes one, `task.sample(key, batch_size, length)`
draws a batch on the device. docs/tasks.md describes each.
"""

from rnnzoo.tasks import capacity, dyck, groups, memory, recall, regular, sines
from rnnzoo.tasks.base import Batch, Ids, Reals, Task
from rnnzoo.tasks.registry import Entry, entry, make, names, register_task

__all__ = [
    "Batch",
    "Entry",
    "Ids",
    "Reals",
    "Task",
    "capacity",
    "dyck",
    "entry",
    "groups",
    "make",
    "memory",
    "names",
    "recall",
    "register_task",
    "regular",
    "sines",
]
