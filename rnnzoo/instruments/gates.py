"""Gates: the sigmoids of a cell's step, found in its equations and named by its source.

A cell needs no help from its author. One time step is traced to a jaxpr; a sigmoid of something with a
row for each text is a gate; and the line of source that it came from says what it is called: f in
`f = sigmoid(...)`, i in `sigmoid(i) * tanh(g)`, r and z in `r, z = split(sigmoid(...), 2)`.
"""

import ast
import functools
import linecache
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeGuard

import jax
import numpy as np
from jax.extend.core import Jaxpr, JaxprEqn
from jax.extend.core import primitives as P

CLOSED, OPEN = 0.1, 0.9  # below and above which a gate counts as saturated
BINS = 20  # of a gate's histogram
SATURATED = 0.9  # the share of a gate's values above which there is a warning
NOT_GATES = {"silu", "swish", "log_sigmoid", "softplus", "glu"}  # that are made of a sigmoid


class Gate(NamedTuple):
    """A gate of a cell.

    Attributes:
      module: the Haiku module that computes it, such as 'stack/gru_1'; "" for the outermost.
      names: its letter or, where gates are computed side by side, theirs in order.
    """

    module: str
    names: tuple[str, ...]


def find_gates(jaxpr: Jaxpr, rows: int) -> list[tuple[JaxprEqn, Gate]]:
    """The gates of a time step in the order in which they are computed.

    Args:
      jaxpr: of the step.
      rows: B; what has no leading axis of this size, such as a sigmoid of a parameter, is no gate.
    """
    found, seen = [], Counter()
    for eqn, frames in _sigmoids(jaxpr.eqns):
        result: Any = eqn.outvars[0].aval
        if result.ndim < 2 or result.shape[0] != rows or not frames:
            continue
        file, line = frames[0].file_name, frames[0].line_num
        module = str(eqn.source_info.name_stack)
        names = _names_on_line(file, line)
        number = seen[module, file, line]
        seen[module, file, line] += 1
        letters = names[number % len(names)] if names else ("sigmoid",)
        if result.shape[-1] % len(letters):
            letters = ("".join(letters),)
        found.append((eqn, Gate(module, letters)))
    return found


def _sigmoids(eqns: Sequence[JaxprEqn]):
    """Equations that are a sigmoid, with the frames of the code that asked for it, innermost first."""
    for eqn in eqns:
        frames = _frames(eqn)
        if eqn.primitive is P.logistic_p:
            if frames is not None:
                yield eqn, frames
        elif eqn.primitive is P.jit_p and eqn.params["name"] not in NOT_GATES:
            inner = eqn.params["jaxpr"].jaxpr.eqns
            if eqn.params["name"] == "sigmoid":  # its inside may be shared by several calls
                yield eqn, frames
            else:
                yield from _sigmoids(inner)


def _frames(eqn: JaxprEqn) -> list | None:
    """The frames outside of JAX; None for a sigmoid within another function of `jax.nn`."""
    traceback = eqn.source_info.traceback
    if traceback is None:
        return []
    frames = list(traceback.frames)
    outside = [i for i, f in enumerate(frames) if not _is_of_jax(f.file_name)]
    first = outside[0] if outside else len(frames)
    if NOT_GATES & {f.function_name for f in frames[:first]}:
        return None
    return [frames[i] for i in outside]


_JAX = jax.__file__.removesuffix("__init__.py")


def _is_of_jax(file: str) -> bool:
    return file.startswith(_JAX)


@functools.cache
def _names_on_line(file: str, line: int) -> list[tuple[str, ...]]:
    """The names of the sigmoids that a line of source computes, from left to right."""
    try:
        tree = _parse(file)
    except (OSError, SyntaxError):
        return []
    found = []
    for statement in ast.walk(tree):
        if isinstance(statement, ast.stmt) and not hasattr(statement, "body"):
            calls = [n for n in ast.walk(statement) if _is_sigmoid(n) and n.lineno == line]
            found += [(c.lineno, c.col_offset, _letters(c, statement)) for c in calls]
    return [letters for *_, letters in sorted(found)]


@functools.cache
def _parse(file: str) -> ast.AST:
    return ast.parse("".join(linecache.getlines(file)))


def _is_sigmoid(node: ast.AST) -> TypeGuard[ast.Call]:
    if not isinstance(node, ast.Call):
        return False
    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
    return name in ("sigmoid", "logistic", "expit")


def _letters(call: ast.Call, statement: ast.stmt) -> tuple[str, ...]:
    """What a sigmoid is called: by what it is assigned to, or else by what it is of."""
    if isinstance(statement, ast.Assign):
        target, value = statement.targets[0], statement.value
        targets = target.elts if isinstance(target, ast.Tuple) else [target]
        values = value.elts if isinstance(value, ast.Tuple) else [value]
        names = [t.id for t in targets if isinstance(t, ast.Name)]
        if len(names) == len(targets):
            if call in values and len(targets) == len(values):
                return (names[values.index(call)],)
            cut = isinstance(value, ast.Call) and getattr(value.func, "attr", "") == "split"
            if len(names) > 1 and cut:
                return tuple(names)
    of = call.args[0] if call.args else None
    while isinstance(of, ast.BinOp):  # f in sigmoid(f + p_f * c)
        of = of.left
    if isinstance(of, ast.Name):
        return (of.id,)
    if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
        return (statement.targets[0].id,)
    return ("sigmoid",)


def saturation(values: np.ndarray) -> dict[str, Any]:
    """How open a gate is.

    Args:
      values: in [0, 1], of any shape.

    Returns:
      `below`, the share of the values below `CLOSED`; `above`, that above `OPEN`; `mean`; and
      `counts`, of `BINS` equal bins from 0 to 1.
    """
    counts, _ = np.histogram(values, BINS, (0, 1))
    return {
        "below": float((values < CLOSED).mean()),
        "above": float((values > OPEN).mean()),
        "mean": float(values.mean()),
        "counts": counts.tolist(),
    }
