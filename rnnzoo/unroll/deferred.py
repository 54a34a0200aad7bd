"""The fast way to unroll: only what is recurrent loops, and weight gradients wait until after it.

Autodiff of a `lax.scan` adds to the gradient of every weight at every step. Here, each product of a
loop's value x_t with a weight W that stays the same keeps x_t and the cotangent delta_t of its result,
and one product over all T after the loop gives dW = sum_t x_t delta_t. The rule is written as a
forward-mode one: the tangent of the weight enters the loop as a *tap*, x_t dW for all t at once, and
the loop's own derivative holds the weights constant. JAX transposes that to the above. Forward mode
and higher derivatives come with it.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero
from jax.extend.core import JaxprEqn, Literal, Var

from rnnzoo.unroll.plan import CHEAP, Loop, plan
from rnnzoo.unroll.product import Product, tapped
from rnnzoo.unroll.rewrite import rewrite
from rnnzoo.unroll.trace import Step, evaluate, read, trace, variables


def scan(step: Callable, inputs: Any, state: Any, reverse: bool = False) -> tuple[Any, Any]:
    """`lax.scan` of `output, state = step(inputs_t, state)`, faster, above all to differentiate.

    Args:
      step: a pure function; may close over anything.
      inputs: arrays with a leading time axis of length T.
      state: the state before the first step.
      reverse: run from the last time step to the first.

    Returns:
      The outputs with a leading time axis, and the final state.
    """
    leaves = jax.tree.leaves(inputs)
    first = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape[1:], a.dtype), inputs)
    traced = rewrite(trace(step, first, state))
    the_plan = plan(traced)
    values = _Values(traced, leaves, len(leaves[0]))
    initial = dict(zip(traced.state, jax.tree.leaves(state), strict=True))
    final = {}
    for eqns, loop in zip(the_plan.outside, the_plan.loops, strict=False):
        values.evaluate(eqns)
        start = [initial[v] for v in loop.state]
        if loop.recurrent:
            sequences, last = _Recurrence(loop, values, reverse).run(start)
            values.over_time.update(zip(loop.emitted, sequences, strict=True))
        else:
            after = values.sequence(loop.next_state[0])
            before, last = _shift(after, start[0], reverse)
            values.over_time[loop.state[0]], last = before, [last]
        final.update(zip(loop.state, last, strict=True))
    values.evaluate(the_plan.outside[-1])
    outputs = [values.sequence(a) for a in traced.outputs]
    return jax.tree.unflatten(traced.structure, [*outputs, *(final[v] for v in traced.state)])


class _Values:
    """What is known outside of the loops: values that stay the same, and sequences over time."""

    def __init__(self, step: Step, inputs: list[jax.Array], length: int):
        self.fixed: dict[Var, Any] = dict(step.consts)
        self.over_time: dict[Var, jax.Array] = dict(zip(step.inputs, inputs, strict=True))
        self.length = length

    def evaluate(self, eqns: list[JaxprEqn]) -> None:
        """Runs equations once or, those that read a sequence, for all time steps together."""
        once, every, known = [], [], set(self.over_time)
        for e in eqns:
            if known.isdisjoint(variables(e.invars)):
                once.append(e)
            else:
                every.append(e)
                known.update(e.outvars)
        evaluate(once, self.fixed)
        made = [v for e in every for v in e.outvars]
        sources = [v for v in self.over_time if any(v in e.invars for e in every)]

        def at_one_time(*values):
            env = self.fixed | dict(zip(sources, values, strict=True))
            evaluate(every, env)
            return [env[v] for v in made]

        if every:
            results = jax.vmap(at_one_time)(*(self.over_time[v] for v in sources))
            self.over_time.update(zip(made, results, strict=True))

    def sequence(self, atom) -> jax.Array:
        """A variable's or literal's values over time."""
        if not isinstance(atom, Literal) and atom in self.over_time:
            return self.over_time[atom]
        value = jnp.asarray(read(self.fixed, atom))
        return jnp.broadcast_to(value, (self.length, *value.shape))


def _shift(after: jax.Array, start: jax.Array, reverse: bool) -> tuple[jax.Array, jax.Array]:
    """A state's values before each step, from those after it, and the last of these."""
    start = jnp.asarray(start, after.dtype)[None]
    if reverse:
        both = jnp.concatenate([after, start])
        return both[1:], both[0]
    both = jnp.concatenate([start, after])
    return both[:-1], both[-1]


class _Recurrence:
    """One loop of the plan as a function with a derivative rule of its own."""

    def __init__(self, loop: Loop, values: _Values, reverse: bool):
        self.loop, self.length, self.reverse = loop, values.length, reverse
        fixed, over_time = values.fixed, values.over_time
        self.products = [p for e in loop.body if (p := Product.of(e, fixed))]
        results = {p.result for p in self.products}
        others = [e for e in loop.body if results.isdisjoint(e.outvars)]
        reads = {v for e in others for v in variables(e.invars)}.union(variables(loop.next_state))
        self.shared = [v for v in fixed if v in reads]
        reads.update(p.operand for p in self.products)
        self.inputs = [v for v in over_time if v in reads]
        self.values = (
            [fixed[p.weight] for p in self.products],
            [fixed[v] for v in self.shared],
            [over_time[v] for v in self.inputs],
        )

    def run(self, state: list) -> tuple[list, list]:
        """The emitted sequences and the final state."""
        run = jax.custom_jvp(lambda weights, *others: self._sweep(weights, others)[0])
        run.defjvp(self._jvp, symbolic_zeros=True)
        return run(*self.values, state)

    def _jvp(self, primals, tangents):
        weights, *others = primals
        weights_dot, *others_dot = tangents
        twins = [p.twin(w) for p, w in zip(self.products, weights, strict=True)]
        leaves, structure = jax.tree.flatten(others)
        leaves_dot = jax.tree.leaves(others_dot, is_leaf=_is_zero)
        moving = [i for i, dot in enumerate(leaves_dot) if not _is_zero(dot)]

        def sweep(taps, moved):
            now = dict(enumerate(leaves)) | dict(zip(moving, moved, strict=True))
            others = jax.tree.unflatten(structure, now.values())
            return self._sweep(weights, others, twins, taps)

        taps = [
            jnp.zeros((self.length, *p.result.aval.shape), p.result.aval.dtype)
            for p in self.products
        ]
        results, linear, operands = jax.linearize(
            sweep, taps, [leaves[i] for i in moving], has_aux=True
        )
        taps_dot = [
            zeros if _is_zero(dot) else p.over_time(dot, xs)
            for p, dot, xs, zeros in zip(self.products, weights_dot, operands, taps, strict=True)
        ]
        return results, linear(taps_dot, [leaves_dot[i] for i in moving])

    def _sweep(self, weights, others, twins=None, taps=None):
        """The loop: its results and, where there are taps, each product's operand at every step."""
        shared, inputs, state = others
        taps = taps or []

        def step(state, inputs_and_taps):
            inputs, taps = inputs_and_taps
            env = {p.weight: w for p, w in zip(self.products, weights, strict=True)}
            env |= zip(self.shared, shared, strict=True)
            env |= zip(self.inputs, inputs, strict=True)
            env |= zip(self.loop.state, state, strict=True)
            tap_of = {
                p.result: (p, *a)
                for p, *a in zip(self.products, weights, twins or [], taps, strict=False)
            }

            def with_tap(eqn, operands):
                if eqn.outvars[0] not in tap_of:
                    return None
                product, w, twin, tap = tap_of[eqn.outvars[0]]
                return [tapped(product, w, twin, operands[1 - product.side], tap)]

            evaluate(self.loop.body, env, with_tap)
            after = [read(env, a) for a in self.loop.next_state]
            operands = [env[p.operand] for p, *_ in tap_of.values()]
            return after, ([env[v] for v in self.loop.emitted], operands)

        if taps:
            step = jax.checkpoint(step, prevent_cse=False, policy=_is_saved)
        after, (emitted, operands) = jax.lax.scan(
            step, state, (inputs, taps), self.length, self.reverse
        )
        return (emitted, after), operands


def _is_zero(tangent) -> bool:
    return isinstance(tangent, SymbolicZero)


def _is_saved(primitive, *_, **__) -> bool:
    """Whether the backward pass reads a result back rather than redo its cheap arithmetic."""
    return primitive.name not in CHEAP
