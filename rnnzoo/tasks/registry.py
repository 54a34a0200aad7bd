"""The registry of tasks, as `rnnzoo.registry` is that of cells."""

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from rnnzoo.errors import UserError, did_you_mean
from rnnzoo.tasks.base import Task


@dataclasses.dataclass(frozen=True)
class Entry:
    """What the registry knows of a task.

    Attributes:
      name: the name given to `make`.
      factory: the class, a `Task`; its fields are the options.
      family: the group it is listed under, such as 'memory' or 'regular'.
      cites: its key in `references.bib`, or None.
    """

    name: str
    factory: type[Task]
    family: str
    cites: str | None

    @property
    def options(self) -> dict[str, inspect.Parameter]:
        """The factory's named arguments."""
        return dict(inspect.signature(self.factory).parameters)

    @property
    def summary(self) -> str:
        """The first line of the class' docstring, without its full stop: what the task tests."""
        return (inspect.getdoc(self.factory) or "").partition("\n")[0].removesuffix(".")


_entries: dict[str, Entry] = {}
AnyTask = TypeVar("AnyTask", bound=Task)


def register_task(
    name: str, *, family: str = "custom", cites: str | None = None
) -> Callable[[type[AnyTask]], type[AnyTask]]:
    """A decorator that registers a task, a frozen dataclass that is a `Task`.

    Args:
      name: the task's name, unique.
      family: the group it is listed under.
      cites: its key in `references.bib`.

    Returns:
      The decorator; it hands the class back unchanged.

    Raises:
      UserError: the name is taken, or the class is no `Task`.
    """

    def add(factory: type[AnyTask]) -> type[AnyTask]:
        if not (isinstance(factory, type) and issubclass(factory, Task)):
            raise UserError(
                f"task {name!r}: {factory!r} is no class derived from rnnzoo.tasks.Task"
            )
        taken = _entries[name].factory if name in _entries else factory
        if (taken.__module__, taken.__qualname__) != (factory.__module__, factory.__qualname__):
            raise UserError(
                f"a task named {name!r} is registered already, by {taken.__module__}."
                f"{taken.__qualname__}: choose another name"
            )
        _entries[name] = Entry(name, factory, family, cites)
        return factory

    return add


def names(family: str | None = None) -> list[str]:
    """The registered tasks' names, sorted; only those of a family if it is given."""
    return sorted(e.name for e in _entries.values() if family is None or e.family == family)


def entry(name: str) -> Entry:
    """The entry of the task `name`.

    Raises:
      UserError: no such task, with the nearest names.
    """
    if name not in _entries:
        raise UserError(f"no task is named {name!r}: {did_you_mean(name, names())}")
    return _entries[name]


def make(name: str, **options: Any) -> Task:
    """Makes a task: `make("copy")`, or with options, `make("word_problem", group="S3")`.

    Raises:
      UserError: an unknown task or option, with the nearest names; or a value that the task
      refuses.
    """
    found = entry(name)
    for option in options:
        if option not in found.options:
            raise UserError(
                f"task {name!r} has no option {option!r}: {did_you_mean(option, found.options)}"
            )
    return found.factory(**options)
