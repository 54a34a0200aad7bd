"""The registry: every recurrent cell under one name, whoever wrote it.

A cell is an `hk.RNNCore`. It arrives by the decorator `register`, by an entry point of the group
`rnnzoo.cells` in an installed package (imported only when asked for), or by `load_module`.
"""

import dataclasses
import importlib
import inspect
import os
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import Any, TypeVar

import haiku as hk

from rnnzoo.errors import UserError, did_you_mean, one_line

ENTRY_POINT_GROUP = "rnnzoo.cells"
Factory = TypeVar("Factory", bound=Callable[..., Any])


@dataclasses.dataclass(frozen=True)
class Entry:
    """What the registry knows of a cell.

    Attributes:
      name: the name given to `make`.
      factory: a class or function of `hidden_size` and options that returns an `hk.RNNCore`.
      family: the group it is listed under, such as 'classic' or 'gated'.
      cites: its key in `references.bib`, or None.
      linear: whether the recurrence is linear in the state.
    """

    name: str
    factory: Callable[..., hk.RNNCore]
    family: str
    cites: str | None
    linear: bool

    @property
    def options(self) -> dict[str, inspect.Parameter]:
        """The factory's named arguments, besides `hidden_size` and the Haiku module's `name`."""
        parameters = inspect.signature(self.factory).parameters
        return {k: p for k, p in parameters.items() if k not in ("hidden_size", "name")}

    @property
    def summary(self) -> str:
        """The first line of the factory's docstring, up to its first full stop."""
        lines = (inspect.getdoc(self.factory) or "").splitlines()
        return lines[0].partition(". ")[0].removesuffix(".") if lines else ""


_entries: dict[str, Entry] = {}


def register(
    name: str, *, family: str = "custom", cites: str | None = None, linear: bool = False
) -> Callable[[Factory], Factory]:
    """A decorator that registers a cell: an `hk.RNNCore` class, or a function that returns one.

    Args:
      name: the cell's name, unique.
      family: the group it is listed under.
      cites: its key in `references.bib`.
      linear: whether the recurrence is linear in the state.

    Returns:
      The decorator; it hands the class or function back unchanged.

    Raises:
      UserError: the name is taken, or the factory takes no `hidden_size`.
    """

    def add(factory):
        parameters = inspect.signature(factory).parameters.values()
        if not any(p.name == "hidden_size" or p.kind is p.VAR_KEYWORD for p in parameters):
            raise UserError(
                f"cell {name!r}: {factory.__qualname__} takes no argument `hidden_size`; add one"
            )
        if name in _entries and not _defined_again_interactively(_entries[name].factory, factory):
            taken = _entries[name].factory
            raise UserError(
                f"a cell named {name!r} is registered already, by {taken.__module__}."
                f"{taken.__qualname__}: choose another name"
            )
        _entries[name] = Entry(name, factory, family, cites, linear)
        return factory

    return add


def _defined_again_interactively(old, new) -> bool:
    """Whether a notebook's cell, run once more, defines the same thing anew."""
    return old.__module__ == new.__module__ == "__main__" and old.__qualname__ == new.__qualname__


def names(family: str | None = None, linear: bool | None = None) -> list[str]:
    """The registered cells' names, sorted.

    >>> names(family="bistable")
    ['br', 'nbr']

    Args:
      family: only those of this family. Plugins not yet loaded have no known family and are left out.
      linear: only those whose recurrence is (or is not) linear in the state; likewise.
    """
    found = {
        e.name
        for e in _entries.values()
        if (family is None or e.family == family) and (linear is None or e.linear == linear)
    }
    if family is None and linear is None:
        found |= _plugins().keys()
    return sorted(found)


def entry(name: str) -> Entry:
    """The entry of the cell `name`; loads the plugin that provides it, if one does.

    Raises:
      UserError: no such cell, with the nearest names; or its plugin does not load.
    """
    if name not in _entries and name in _plugins():
        _load_plugin(_plugins()[name])
    if name not in _entries:
        raise UserError(f"no cell is named {name!r}: {did_you_mean(name, names())}")
    return _entries[name]


def describe(entry: Entry) -> dict[str, Any]:
    """What the registry knows of a cell, for JSON; an option's default as Python writes it."""
    defaults = {
        name: None if p.default is p.empty else repr(p.default)
        for name, p in entry.options.items()
        if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    }
    return {
        "name": entry.name,
        "family": entry.family,
        "summary": entry.summary,
        "cites": entry.cites,
        "linear": entry.linear,
        "options": defaults,
    }


def make(
    name: str | hk.RNNCore | Sequence[str | hk.RNNCore],
    hidden_size: int,
    *,
    layers: int = 1,
    **options: Any,
) -> hk.RNNCore:
    """Makes a cell, or a stack of cells, inside `hk.transform`.

    `make("gru", 256)` is one GRU, `make("gru", 256, layers=3)` three of them stacked, and
    `make(["elman", "gru"], 256)` an Elman cell below a GRU: each layer reads the output of the one
    below it at the same time step.

    Args:
      name: a registered name, a core made elsewhere, or a sequence of these, the lowest layer first.
      hidden_size: number of hidden units of each layer.
      layers: how often the cell (or the sequence) is stacked.
      **options: given to every layer's factory.

    Raises:
      UserError: an unknown cell or option, with the nearest names; a size that is not positive.
    """
    for argument, value in (("hidden_size", hidden_size), ("layers", layers)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise UserError(f"{argument} must be a whole number of at least 1, not {value!r}")
    parts = [name] if isinstance(name, str | hk.RNNCore) else list(name)
    if not parts:
        raise UserError("a stack needs at least one cell")
    if layers > 1 and any(isinstance(p, hk.RNNCore) for p in parts):
        raise UserError("layers > 1 would share one core between layers: list the cores instead")
    cores = [
        part if isinstance(part, hk.RNNCore) else _make_one(part, hidden_size, options)
        for part in parts * layers
    ]
    return cores[0] if len(cores) == 1 else Stack(cores)


class Stack(hk.DeepRNN):
    """Cores one above the other, which compute all time steps at once if each of them can."""

    @property
    def parallel(self) -> Callable[[Any, Any], tuple[Any, Any]]:
        """(xs [T, ...], states) -> (outputs, last states), a layer after the other."""
        ways = [core.parallel for core in self.layers]

        def parallel(xs, states):
            last = []
            for way, state in zip(ways, states, strict=True):
                xs, state = way(xs, state)
                last.append(state)
            return xs, tuple(last)

        return parallel

    @property
    def prefers_parallel(self) -> bool:
        """Whether every layer does so on a CPU too."""
        return all(getattr(core, "prefers_parallel", False) for core in self.layers)


def _make_one(name: str, hidden_size: int, options: dict) -> hk.RNNCore:
    found = entry(name)
    takes_any = any(p.kind is p.VAR_KEYWORD for p in found.options.values())
    for option in options:
        if option not in found.options and not takes_any:
            raise UserError(
                f"cell {name!r} has no option {option!r}: {did_you_mean(option, found.options)}"
            )
    return found.factory(hidden_size=hidden_size, **options)


def load_module(module: str) -> list[str]:
    """Imports a module by name, from the working folder too, for the cells that it registers.

    Returns:
      The names it registered.

    Raises:
      UserError: the module is not found, fails while it is imported, or registers no cell.
    """
    if os.getcwd() not in sys.path:  # a console script does not look there by itself
        sys.path.insert(0, os.getcwd())
    before = set(_entries)
    try:
        imported = importlib.import_module(module)
    except (Exception, SystemExit) as e:
        raise UserError(f"cell module {module!r} cannot be imported: {one_line(e)}") from e
    own = {n for n, e in _entries.items() if e.factory.__module__ == imported.__name__}
    added = sorted((set(_entries) - before) | own)
    if not added:
        raise UserError(f"cell module {module!r} registers no cell: decorate one with @register")
    return added


def _plugins() -> dict[str, metadata.EntryPoint]:
    return {p.name: p for p in metadata.entry_points(group=ENTRY_POINT_GROUP)}


def _load_plugin(plugin: metadata.EntryPoint) -> None:
    """Imports a plugin's cell; one that its own module does not register is registered here."""
    try:
        factory = plugin.load()
    except (Exception, SystemExit) as e:
        raise UserError(
            f"cell {plugin.name!r} of the plugin {plugin.value!r} cannot be loaded: {one_line(e)}"
        ) from e
    if plugin.name not in _entries:
        register(plugin.name, family="plugin")(factory)
