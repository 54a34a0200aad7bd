"""One time step of a core as a flat list of equations, to be looked at and rearranged.

The words here are JAX's own: a *jaxpr* is a list of equations, each one primitive operation from
some variables (or literals, together: atoms) to others.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
from jax.extend.core import JaxprEqn, Literal, Var
from jax.extend.core import primitives as P

if TYPE_CHECKING:  # JAX leaves a literal's type open
    Atom = Any
else:
    Atom = Var | Literal


class CannotTrace(Exception):
    """The step does what equations do not show; says what, as in 'the core ...'."""


class Step(NamedTuple):
    """`output, next_state = step(inputs, state)` as equations.

    Attributes:
      eqns: the equations in order, without nested jits and what leads nowhere.
      consts: the arrays that the step closes over (its parameters, above all), by their variable.
      inputs: the variables of one time step's inputs.
      state: the variables of the state.
      outputs: the atoms that hold the output.
      next_state: the atoms that hold the next state, in the order of `state`.
      structure: the pytree structure of `(output, next_state)`.
    """

    eqns: list[JaxprEqn]
    consts: dict[Var, Any]
    inputs: list[Var]
    state: list[Var]
    outputs: list[Atom]
    next_state: list[Atom]
    structure: Any


def trace(step: Callable, inputs: Any, state: Any) -> Step:
    """Traces `step` at arrays or shapes of one time step's `inputs` and of the `state`.

    Raises:
      CannotTrace: the step has side effects.
    """
    closed, shapes = jax.make_jaxpr(step, return_shape=True)(inputs, state)
    if closed.effects:
        raise CannotTrace(f"has side effects ({', '.join(sorted(map(str, closed.effects)))})")
    outer = closed.jaxpr

    def run(*leaves):
        env = dict(zip(outer.constvars, closed.consts, strict=True))
        env |= zip(outer.invars, leaves, strict=True)
        evaluate(outer.eqns, env)
        return [read(env, v) for v in outer.outvars]

    leaves = jax.tree.leaves((inputs, state))
    return retrace(run, leaves, len(jax.tree.leaves(inputs)), jax.tree.structure(shapes))


def retrace(run: Callable, leaves: list[Any], inputs: int, structure: Any) -> Step:
    """A `Step` from its flat function and leaves, of which so many belong to the inputs."""
    closed = jax.make_jaxpr(run)(*leaves)
    flat = closed.jaxpr
    outputs = len(flat.outvars) - (len(leaves) - inputs)
    return Step(
        leading_to(flat.eqns, flat.outvars),
        dict(zip(flat.constvars, closed.consts, strict=True)),
        flat.invars[:inputs],
        flat.invars[inputs:],
        flat.outvars[:outputs],
        flat.outvars[outputs:],
        structure,
    )


def evaluate(eqns: Iterable[JaxprEqn], env: dict[Var, Any], rule: Callable | None = None) -> None:
    """Runs equations, those of nested jits in line, on the values of `env`; adds their results.

    Args:
      eqns: the equations.
      env: values by variable.
      rule: `rule(eqn, operands)` may take over an equation by returning a list of its results.
    """
    for eqn in eqns:
        operands = [read(env, v) for v in eqn.invars]
        results = rule(eqn, operands) if rule else None
        if results is None and eqn.primitive is P.jit_p:
            inner = eqn.params["jaxpr"]
            inside = dict(zip(inner.jaxpr.constvars, inner.consts, strict=True))
            inside |= zip(inner.jaxpr.invars, operands, strict=True)
            evaluate(inner.jaxpr.eqns, inside, rule)
            results = [read(inside, v) for v in inner.jaxpr.outvars]
        elif results is None:
            results = bind(eqn, operands)
        env.update(zip(eqn.outvars, results, strict=True))


def bind(eqn: JaxprEqn, operands: list[Any]) -> list[Any]:
    """One equation's results on `operands`."""
    results = eqn.primitive.bind(*operands, **eqn.primitive.get_bind_params(eqn.params))
    return list(results) if eqn.primitive.multiple_results else [results]


def read(env: dict[Var, Any], atom: Atom) -> Any:
    """The value of a variable or literal."""
    return atom.val if isinstance(atom, Literal) else env[atom]


def variables(atoms: Iterable[Atom]) -> list[Var]:
    """The variables among `atoms`."""
    return [a for a in atoms if not isinstance(a, Literal)]


def size_in_bytes(variable: Var) -> int:
    """The bytes that a variable's value takes."""
    return variable.aval.size * variable.aval.dtype.itemsize


def depending_on(eqns: Iterable[JaxprEqn], roots: Iterable[Var]) -> set[Var]:
    """The roots and the variables that depend on one of them."""
    found = set(roots)
    for e in eqns:
        if not found.isdisjoint(variables(e.invars)):
            found.update(e.outvars)
    return found


def leading_to(
    eqns: list[JaxprEqn], atoms: Iterable[Atom], after: list[Var] | None = None
) -> list[JaxprEqn]:
    """The equations whose results lead to one of `atoms` and, if given, depend on one of `after`."""
    wanted, kept = set(variables(atoms)), []
    for e in reversed(eqns):
        if wanted.intersection(e.outvars):
            wanted.update(variables(e.invars))
            kept.append(e)
    kept.reverse()
    if after is None:
        return kept
    depending = depending_on(kept, after)
    return [e for e in kept if depending.intersection(e.outvars)]


def state_dependence(step: Step) -> dict[Var, frozenset[int]]:
    """For each variable that depends on the state, on which of its parts."""
    found = {v: frozenset([i]) for i, v in enumerate(step.state)}
    for e in step.eqns:
        union = frozenset().union(*(found.get(v, ()) for v in variables(e.invars)))
        if union:
            found |= dict.fromkeys(e.outvars, union)
    return found


def is_matmul(eqn: JaxprEqn) -> bool:
    """Whether an equation is x @ W, with W of two axes and x with or without batch axes."""
    if eqn.primitive is not P.dot_general_p:
        return False
    x, w = (v.aval for v in eqn.invars)
    return w.ndim == 2 and eqn.params["dimension_numbers"] == (((x.ndim - 1,), (0,)), ((), ()))
