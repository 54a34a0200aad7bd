"""Rewriting a step so that more of it can leave the loop; the function stays the same.

- `[x, h] @ W` becomes `x @ W_x + h @ W_h`, so that the first product can leave.
- A gate cut out of a result becomes the result of what is cut out: of `x @ U + h @ W`, the columns lo
  to hi are `x @ U[:, lo:hi] + h @ W[:, lo:hi]`. So only weights are cut, once. The cutting of large
  arrays, and the padding that is its derivative, keep compilers from vectorising the arithmetic: on a
  CPU a GRU's step without its products took 105 microseconds instead of 15 (batch 32, H = 256).
- Several slices of one weight become one split, whose derivative is a single concatenation.
"""

import itertools
from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import JaxprEqn, Var
from jax.extend.core import primitives as P

from rnnzoo.unroll.trace import (
    Step,
    bind,
    depending_on,
    evaluate,
    is_matmul,
    read,
    retrace,
    state_dependence,
    variables,
)

ELEMENTWISE = frozenset(
    "abs add atan2 convert_element_type cos div erf exp exp2 expm1 integer_pow log log1p logistic max "
    "min mul neg pow rsqrt sign sin sqrt square sub tan tanh".split()
)


def rewrite(step: Step) -> Step:
    """The step with its joined products and its cut results taken apart."""
    return _join_slices(_cut_results(_split_products(step)))


def _split_products(step: Step) -> Step:
    depends = state_dependence(step)
    made_by = {v: e for e in step.eqns for v in e.outvars}
    joined = {e.outvars[0] for e in step.eqns if _is_joined_product(e, made_by, depends)}

    def rule(eqn, operands, env):
        parts = [read(env, v) for v in made_by[eqn.invars[0]].invars]
        return [_sum_of_products(eqn, parts, operands[1])]

    return _replace(step, joined, rule)


def _cut_results(step: Step) -> Step:
    varying = depending_on(step.eqns, [*step.inputs, *step.state])
    whole = _needed_whole(step)
    made_by = {  # what is worth looking into: what does not vary is cut once
        v: e
        for e in step.eqns
        for v in e.outvars
        if (v in varying and v not in whole) or e.primitive is P.broadcast_in_dim_p
    }
    cut = {e.outvars[0] for e in step.eqns if _is_cut(e) and made_by.keys() & variables(e.invars)}

    def rule(eqn, operands, env):
        pieces = _pieces(eqn).values()
        return [_cut(eqn.invars[0], lo, hi, env, made_by) for lo, hi in pieces]

    return _replace(step, cut, rule)


def _needed_whole(step: Step) -> set[Var]:
    """The variables that are not only used in pieces: to make their pieces too would be more work."""
    whole = set(variables([*step.outputs, *step.next_state]))
    for e in reversed(step.eqns):
        in_pieces = _is_cut(e) or (e.primitive.name in ELEMENTWISE and e.outvars[0] not in whole)
        if not in_pieces:
            whole.update(variables(e.invars))
    return whole


def _join_slices(step: Step) -> Step:
    """Slices of one weight that share out an axis of it become the pieces of one split."""
    varying = depending_on(step.eqns, [*step.inputs, *step.state])
    slices = {}
    for e in step.eqns:
        if e.primitive.name == "slice" and _is_cut(e):
            for v in set(variables(e.invars)) - varying:
                slices.setdefault(v, []).append(e)
    cuts = {v: shared for v, eqns in slices.items() if (shared := _shared_out(eqns))}
    joined = {e.outvars[0] for v in cuts for e in slices[v]}
    made = {}

    def rule(eqn, operands, env):
        v = eqn.invars[0]
        axis, ends = cuts[v]
        if v not in made:
            made[v] = lax.split(operands[0], np.diff([0, *ends]).tolist(), axis)
        return [made[v][ends.index(eqn.params["limit_indices"][axis])]]

    return _replace(step, joined, rule)


def _shared_out(slices: list[JaxprEqn]) -> tuple[int, list[int]] | None:
    """The axis that slices of one array share out between them, and where its pieces end."""
    shape = slices[0].invars[0].aval.shape
    places = {(e.params["start_indices"], e.params["limit_indices"]) for e in slices}
    axes = {i for lo, hi in places for i, n in enumerate(shape) if (lo[i], hi[i]) != (0, n)}
    if len(places) < 2 or len(axes) != 1:
        return None
    (axis,) = axes
    bounds = sorted((lo[axis], hi[axis]) for lo, hi in places)
    edges = sorted({0, shape[axis], *(b for bound in bounds for b in bound)})
    if any(bound not in itertools.pairwise(edges) for bound in bounds):
        return None  # they overlap
    return axis, edges[1:]


def _replace(step: Step, replaced: set[Var], rule: Callable) -> Step:
    """The step with the equations whose first results are in `replaced` taken over by the rule."""
    if not replaced:
        return step

    def run(*leaves):
        env = step.consts | dict(zip([*step.inputs, *step.state], leaves, strict=True))

        def rule_here(eqn, operands):
            return rule(eqn, operands, env) if eqn.outvars[0] in replaced else None

        evaluate(step.eqns, env, rule_here)
        return [read(env, v) for v in [*step.outputs, *step.next_state]]

    leaves = [v.aval for v in [*step.inputs, *step.state]]
    return retrace(run, leaves, len(step.inputs), step.structure)


def _is_joined_product(eqn: JaxprEqn, made_by: dict, depends: dict) -> bool:
    """Whether this is `concatenate(parts) @ W` of parts that depend on different parts of the state."""
    if not is_matmul(eqn):
        return False
    source = made_by.get(eqn.invars[0])
    if source is None or source.primitive is not P.concatenate_p:
        return False
    joins_rows = source.params["dimension"] == source.outvars[0].aval.ndim - 1
    return joins_rows and len({depends.get(v) for v in variables(source.invars)}) > 1


def _sum_of_products(eqn: JaxprEqn, parts: list, w):
    """`concatenate(parts) @ w` as the sum of each part's product with its own rows of `w`."""
    ends = np.cumsum([part.shape[-1] for part in parts]).tolist()
    total = None
    for part, end in zip(parts, ends, strict=True):
        rows = lax.slice_in_dim(w, end - part.shape[-1], end)
        product = eqn.primitive.bind(part, rows, **eqn.params)
        total = product if total is None else total + product
    return total


def _is_cut(eqn: JaxprEqn) -> bool:
    """Whether this cuts its operand into contiguous pieces."""
    return eqn.primitive.name == "split" or (
        eqn.primitive.name == "slice" and set(eqn.params["strides"] or ()) <= {1}
    )


def _pieces(eqn: JaxprEqn) -> dict[Var, tuple[tuple, tuple]]:
    """Where each result of a slice or split starts and ends in its operand, axis by axis."""
    if eqn.primitive.name == "slice":
        return {eqn.outvars[0]: (eqn.params["start_indices"], eqn.params["limit_indices"])}
    shape, axis = eqn.invars[0].aval.shape, eqn.params["axis"]
    ends = np.cumsum(eqn.params["sizes"]).tolist()
    return {
        v: (
            tuple(end - size if i == axis else 0 for i in range(len(shape))),
            tuple(end if i == axis else n for i, n in enumerate(shape)),
        )
        for v, size, end in zip(eqn.outvars, eqn.params["sizes"], ends, strict=True)
    }


def _cut(atom, lo: tuple, hi: tuple, env: dict, made_by: dict):
    """The piece from `lo` to `hi` of an atom's value, cut out of what it is made of if possible."""
    value = read(env, atom)
    maker = made_by.get(atom) if variables([atom]) else None
    if maker is None:
        return value if np.ndim(value) == 0 else lax.slice(value, lo, hi)
    if _is_cut(maker):
        start, _ = _pieces(maker)[atom]
        lo, hi = (tuple(a + b for a, b in zip(start, c, strict=True)) for c in (lo, hi))
        return _cut(maker.invars[0], lo, hi, env, made_by)
    shapes = {v.aval.shape for v in maker.invars}
    if maker.primitive.name in ELEMENTWISE and shapes <= {(), np.shape(value)}:
        return bind(maker, [_cut(v, lo, hi, env, made_by) for v in maker.invars])[0]
    if maker.primitive is P.broadcast_in_dim_p:
        return _cut_broadcast(maker, lo, hi, env)
    if is_matmul(maker) and hi[:-1] == value.shape[:-1] and not any(lo[:-1]):
        x, w = (read(env, v) for v in maker.invars)
        columns = lax.slice_in_dim(w, lo[-1], hi[-1], axis=1)
        return maker.primitive.bind(x, columns, **maker.params)
    return lax.slice(value, lo, hi)


def _cut_broadcast(eqn: JaxprEqn, lo: tuple, hi: tuple, env: dict):
    """A piece of a broadcast as the broadcast of a piece."""
    operand = jnp.asarray(read(env, eqn.invars[0]))
    axes = eqn.params["broadcast_dimensions"]
    start = [0 if n == 1 else lo[i] for n, i in zip(operand.shape, axes, strict=True)]
    end = [1 if n == 1 else hi[i] for n, i in zip(operand.shape, axes, strict=True)]
    shape = [b - a for a, b in zip(lo, hi, strict=True)]
    return lax.broadcast_in_dim(lax.slice(operand, start, end), shape, axes)
