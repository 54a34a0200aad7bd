"""Each cell's step once more, from its paper alone, by somebody who had not read the cell.

In jax.numpy without Haiku, one function per registered cell and named like it:
`name(p, x, state) -> (output, next state)`, with x of shape [B, D], the state as the cell has it, and
the cell's parameters by short names, such as p["U/w"]; for the cell's default options.
"""

import importlib
import inspect
import pkgutil

REFERENCES = {
    name: function
    for module in pkgutil.iter_modules(__path__)
    for name, function in vars(importlib.import_module(f"{__name__}.{module.name}")).items()
    if inspect.isfunction(function) and not name.startswith("_")
}
