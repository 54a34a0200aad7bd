"""The built-in cells, one module per family; importing a family registers its cells."""

from rnnzoo.cells import classic, gated

__all__ = ["classic", "gated"]
