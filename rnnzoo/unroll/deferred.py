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

from rnnzoo.unroll.one_hot import lookup, one_hot_ids
from rnnzoo.unroll.plan import CHEAP, Loop, plan
from rnnzoo.unroll.product import Product, Siblings, tapped
from rnnzoo.unroll.rewrite import rewrite
from rnnzoo.unroll.trace import Step, bind, evaluate, read, trace, variables


def scan(
    step: Callable,
    inputs: Any,
    state: Any,
    reverse: bool = False,
    make_loop: Callable[..., Any] | None = None,
) -> tuple[Any, Any]:
    """`lax.scan` of `output, state = step(inputs_t, state)`, faster, above all to differentiate.

    Args:
      step: a pure function; may close over anything.
      inputs: arrays with a leading time axis of length T.
      state: the state before the first step.
      reverse: run from the last time step to the first.
      make_loop: what runs a loop in the place of a `lax.scan`, such as a kernel.

    Returns:
      The outputs with a leading time axis, and the final state.
    """
    make_loop = make_loop or _Recurrence
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
            sequences, last = make_loop(loop, values, reverse).run(start)
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
        self.one_hot = one_hot_ids(step.eqns)

    def evaluate(self, eqns: list[JaxprEqn]) -> None:
        """Runs equations once or, those that read a sequence, for all time steps together."""
        for e in eqns:
            if self.over_time.keys().isdisjoint(variables(e.invars)):
                evaluate([e], self.fixed)
            else:
                self.over_time.update(zip(e.outvars, self._for_all_times(e), strict=True))

    def _for_all_times(self, eqn: JaxprEqn) -> list[jax.Array]:
        product = Product.of(eqn, self.fixed)
        if product:
            w = self.fixed[product.weight]
            if product.rows is not None and self.one_hot.get(product.operand) in self.over_time:
                return [lookup(w, self.over_time[self.one_hot[product.operand]])]
            return [product.over_time(w, self.over_time[product.operand])]
        known = self.fixed | self.over_time
        axes = [0 if variables([v]) and v in self.over_time else None for v in eqn.invars]
        return jax.vmap(lambda *operands: bind(eqn, operands), in_axes=axes)(
            *(read(known, v) for v in eqn.invars)
        )

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
        """Takes a recurrent loop and what is known outside of it."""
        self.loop, self.length, self.reverse = loop, values.length, reverse
        fixed, over_time = values.fixed, values.over_time
        self.products = [p for e in loop.body if (p := Product.of(e, fixed))]
        self.families = Siblings.among(self.products)
        results = {p.result for p in self.products}
        others = [e for e in loop.body if results.isdisjoint(e.outvars)]
        reads = {v for e in others for v in variables(e.invars)}.union(variables(loop.next_state))
        self.shared = [v for v in fixed if v in reads]
        reads.update(p.operand for p in self.products)
        self.inputs = [v for v in over_time if v in reads]
        self.addends = self._addends()
        operands = list(dict.fromkeys(p.operand for p in self.products))
        # h_{t-1} for all t is read off h_t, where that is at hand, rather than kept too.
        after = zip(loop.state, loop.next_state, strict=True)
        self.shifted = [v for v, a in after if v in operands and a in loop.emitted]
        self.kept = [v for v in operands if v not in self.shifted]
        self.values = (
            [fixed[p.weight] for p in self.products],
            [fixed[v] for v in self.shared],
            [over_time[v] for v in self.inputs],
        )

    def _addends(self) -> dict[int, int]:
        """Products by position to the input, by position, that is only ever added to their result.

        The cotangents of the two are the same, so that the product's tap serves the input too.
        """
        reads = [v for e in self.loop.body for v in variables(e.invars)]
        reads += [*variables(self.loop.next_state), *self.loop.emitted]
        found = {}
        for e in self.loop.body:
            if e.primitive.name != "add" or any(reads.count(v) != 1 for v in variables(e.invars)):
                continue
            for i, p in enumerate(self.products):
                for result, other in (e.invars, e.invars[::-1]):
                    if result is p.result and other in self.inputs and other.aval == result.aval:
                        found[i] = self.inputs.index(other)
        return found

    def run(self, state: list) -> tuple[list, list]:
        """The emitted sequences and the final state."""
        run = jax.custom_jvp(lambda weights, *others: self._sweep(weights, others)[0])
        run.defjvp(self._jvp, symbolic_zeros=True)
        return run(*self.values, state)

    def _jvp(self, primals, tangents):
        weights, *others = primals
        weights_dot, *others_dot = tangents
        leaves, structure = jax.tree.flatten(others)
        leaves_dot = jax.tree.leaves(others_dot, is_leaf=_is_zero)
        addend = {i: len(self.shared) + k for i, k in self.addends.items()}
        moving = [
            i for i, dot in enumerate(leaves_dot) if not _is_zero(dot) and i not in addend.values()
        ]

        def sweep(taps, moved):
            now = dict(enumerate(leaves)) | dict(zip(moving, moved, strict=True))
            others = jax.tree.unflatten(structure, now.values())
            return self._sweep(weights, others, taps)

        taps = [
            jnp.zeros((self.length, *p.result.aval.shape), p.result.aval.dtype)
            for p in self.products
        ]
        results, linear, kept = jax.linearize(
            sweep, taps, [leaves[i] for i in moving], has_aux=True
        )
        operands = self._operands(results[0], others[-1], kept)
        taps_dot = []
        for i, (p, dot, zeros) in enumerate(zip(self.products, weights_dot, taps, strict=True)):
            parts = [] if _is_zero(dot) else [p.over_time(dot, operands[p.operand])]
            if i in addend and not _is_zero(leaves_dot[addend[i]]):
                parts.append(leaves_dot[addend[i]])
            taps_dot.append(sum(parts[1:], parts[0]) if parts else zeros)
        return results, linear(taps_dot, [leaves_dot[i] for i in moving])

    def _operands(self, emitted, state, kept) -> dict[Var, jax.Array]:
        """The products' operands at every step."""
        operands = dict(zip(self.kept, kept, strict=True))
        for v, start, after in zip(self.loop.state, state, self.loop.next_state, strict=True):
            if v in self.shifted:
                sequence = emitted[self.loop.emitted.index(after)]
                operands[v], _ = _shift(sequence, start, self.reverse)
        return operands

    def _sweep(self, weights, others, taps=None):
        """The loop: its results and, where there are taps, the sequences of operands to be kept."""
        shared, inputs, state = others
        weight_of = {p.result: w for p, w in zip(self.products, weights, strict=True)}
        prepared = {f: f.prepare([weight_of[v] for v in f.results]) for f in self.families}
        family_of = {v: f for f in self.families for v in f.results}

        def step(state, inputs_and_taps):
            inputs, taps = inputs_and_taps
            env = {p.weight: w for p, w in zip(self.products, weights, strict=True)}
            env |= zip(self.shared, shared, strict=True)
            env |= zip(self.inputs, inputs, strict=True)
            env |= zip(self.loop.state, state, strict=True)
            tap_of = dict(zip(weight_of, taps or [], strict=False))
            made = {}

            def product(eqn, operands):
                v = eqn.outvars[0]
                if v in family_of and v not in made:
                    family = family_of[v]
                    x, w = env[family.first.operand], prepared[family]
                    own_taps = [tap_of[u] for u in family.results] if taps else None
                    results = tapped(family, w, x, own_taps) if taps else family(w, x)
                    made.update(zip(family.results, results, strict=True))
                return [made[v]] if v in made else None

            evaluate(self.loop.body, env, product)
            after = [read(env, a) for a in self.loop.next_state]
            kept = [env[v] for v in self.kept] if taps else []
            return after, ([env[v] for v in self.loop.emitted], kept)

        if taps:
            step = jax.checkpoint(step, prevent_cse=False, policy=_is_saved)
        after, (emitted, kept) = jax.lax.scan(
            step, state, (inputs, taps), self.length, self.reverse
        )
        return (emitted, after), kept


def _is_zero(tangent) -> bool:
    return isinstance(tangent, SymbolicZero)


def _is_saved(primitive, *_, **__) -> bool:
    """Whether the backward pass reads a result back rather than redo its cheap arithmetic."""
    return primitive.name not in CHEAP
