"""What a time step costs at least, counted from its equations without running it.

Two things are counted, since one of them bounds the speed of a recurrent network: the floating-point
operations of its products (many rows), and the bytes of weights that its loop reads again at every
time step, because the next step cannot begin before this one is done (few rows).

- A product of m x k with k x n is 2mnk operations; so is its derivative by each operand that depends
  on the parameters or on the state. Inputs are data and have no derivative.
- State variables that depend on each other in a circle form a loop. A product inside of that circle
  (it reads the loop's state, and leads to its next state) reads its weight at each step: once forward,
  and once more backward. All other products, such as those of the inputs, the readout and the weights'
  gradients, can be made for all time steps at once, and read their weights once in T steps.

Left out: everything elementwise (activations, gates, weights on a diagonal), the reading and writing
of activations, the update of the parameters, and what is inside a `cond` or `while`. What depends on
the weights alone is computed once in T steps and counts as nothing. A product of [x, h] joined
counts, and reads its weight, as a whole. That a recurrence which is linear in its state could be
run in parallel over time is not seen.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import NamedTuple

import haiku as hk
import jax
import jax.numpy as jnp
from jax.extend.core import Jaxpr, JaxprEqn, Literal
from jax.extend.core import primitives as P

# What a value comes from: these two, a part of the state (its index), a product on the way to it.
WEIGHTS, INPUTS = "weights", "inputs"
Origins = frozenset


class Cost(NamedTuple):
    """What one time step of all B rows costs at least.

    Attributes:
      parameters: how many numbers are learned.
      forward_flops: floating-point operations of its products.
      training_flops: the same with the derivatives of these products.
      forward_loops: for each loop over time, the bytes of weights that a step reads.
      training_loops: the same with the loops of the backward pass.
    """

    parameters: int
    forward_flops: int
    training_flops: int
    forward_loops: tuple[int, ...]
    training_loops: tuple[int, ...]


def of_cell(make_core: Callable[[], hk.RNNCore], input_size: int, batch_size: int) -> Cost:
    """The cost of a core on inputs [B, D].

    Args:
      make_core: makes the core; called inside `hk.transform`.
      input_size: D.
      batch_size: B.
    """
    x = jnp.zeros((batch_size, input_size))
    return _cost(make_core, lambda core: core, x, tabulated=False)


def of_language_model(
    make_core: Callable[[], hk.RNNCore], vocabulary_size: int, batch_size: int
) -> Cost:
    """The cost of `rnnzoo.model.language_model` on one-hot characters, readout included.

    What depends on the character alone is looked up in a table of V rows, and counts as nothing.

    Args:
      make_core: makes the core; called inside `hk.transform`.
      vocabulary_size: V.
      batch_size: B.
    """

    def around(core):
        readout = hk.Linear(vocabulary_size, name="readout")

        def step(ids, state):
            h, state = core(jax.nn.one_hot(ids, vocabulary_size), state)
            return readout(h), state

        return step

    return _cost(make_core, around, jnp.zeros(batch_size, int), tabulated=True)


def _cost(make_core: Callable, around: Callable, x: jax.Array, tabulated: bool) -> Cost:
    """The cost of the step `around(core)` on inputs x."""

    def build():
        core = make_core()
        step = around(core)
        return lambda: step(x, core.initial_state(len(x))), (step, core.initial_state)

    init, (apply, initial_state) = hk.multi_transform(build)
    key = jax.random.key(0)
    params = jax.eval_shape(init, key)
    state = jax.eval_shape(lambda params: initial_state(params, None, len(x)), params)
    closed, (output, _) = jax.make_jaxpr(apply, return_shape=True)(params, key, x, state)

    sizes = [math.prod(leaf.shape) for leaf in jax.tree.leaves(params)]
    parts = range(len(jax.tree.leaves(state)))
    origins = [Origins([WEIGHTS])] * len(sizes) + [Origins([INPUTS])] * 2
    results = _follow(closed.jaxpr, origins + [Origins([part]) for part in parts])
    products = {p for found in results for p in found if isinstance(p, _Product)}
    if tabulated:
        products = {p for p in products if p.reads_state}
    forward = sum(p.flops for p in products)
    loops = _loops(results[len(jax.tree.leaves(output)) :])
    return Cost(
        parameters=sum(sizes),
        forward_flops=forward,
        training_flops=forward + sum(p.flops * p.derivatives for p in products),
        forward_loops=loops,
        training_loops=2 * loops,
    )


@dataclasses.dataclass(frozen=True, eq=False)
class _Product:
    """A matrix product or convolution in a step.

    Attributes:
      eqn: the equation.
      origins: of its two operands.
      times: how often the step makes it.
    """

    eqn: JaxprEqn
    origins: tuple[Origins, ...]
    times: int

    @property
    def flops(self) -> int:
        """A multiplication and an addition for each pair of numbers that meet."""
        left, right = (v.aval.shape for v in self.eqn.invars)
        numbers = self.eqn.params["dimension_numbers"]
        if self.eqn.primitive is P.dot_general_p:
            (contracted, _), _ = numbers
            met = math.prod(left[axis] for axis in contracted)
        else:
            met = math.prod(right) // right[numbers.rhs_spec[0]]
        return 2 * self.times * met * self.eqn.outvars[0].aval.size

    @property
    def derivatives(self) -> int:
        """By how many of its operands it is differentiated."""
        return sum(WEIGHTS in o or _reads_state(o) for o in self.origins)

    @property
    def weight_bytes(self) -> int:
        """The bytes of the operands that are the same at every time step."""
        return sum(
            self.times * v.aval.size * v.aval.dtype.itemsize
            for v, origins in zip(self.eqn.invars, self.origins, strict=True)
            if _is_fixed(origins)
        )

    @property
    def reads_state(self) -> bool:
        """Whether an operand depends on the state."""
        return any(map(_reads_state, self.origins))


def _reads_state(origins: Origins) -> bool:
    return any(isinstance(o, int) for o in origins)


def _is_fixed(origins: Origins) -> bool:
    return INPUTS not in origins and not _reads_state(origins)


def _follow(jaxpr: Jaxpr, operands: list[Origins], times: int = 1) -> list[Origins]:
    """The origins of the results of equations that are run so many times on `operands`."""
    nothing = Origins()
    known = dict.fromkeys(jaxpr.constvars, nothing) | dict(zip(jaxpr.invars, operands, strict=True))

    def read(atom):
        return nothing if isinstance(atom, Literal) else known[atom]

    for e in jaxpr.eqns:
        origins = [read(v) for v in e.invars]
        union = nothing.union(*origins)
        results = [union] * len(e.outvars)
        inner = e.params.get("jaxpr", e.params.get("call_jaxpr"))
        inner = getattr(inner, "jaxpr", inner)
        if e.primitive is P.scan_p:  # whatever it carries may depend on all it reads
            carried = _carried(e, inner)
            origins[carried] = [union] * len(origins[carried])
            found = _follow(inner, origins, times * e.params["length"])
            results = [union.union(*found)] * len(e.outvars)
        elif isinstance(inner, Jaxpr) and len(inner.invars) == len(origins):
            # a jit, a checkpoint, a function with its own derivative
            results = _follow(inner, origins, times)
        elif e.primitive in (P.dot_general_p, P.conv_general_dilated_p) and not _is_fixed(union):
            results = [union | {_Product(e, tuple(origins), times)}]
        known.update(zip(e.outvars, results, strict=True))
    return [read(v) for v in jaxpr.outvars]


def _carried(scan: JaxprEqn, body: Jaxpr) -> slice:
    """Where a scan's carry stands among its operands: after constants, before what it runs along.

    What a scan runs along or stacks up has an axis more outside of its body than in it.
    """

    def same(outside, inside):
        return sum(a.aval.shape == b.aval.shape for a, b in zip(outside, inside, strict=True))

    end = same(scan.invars, body.invars)
    return slice(end - same(scan.outvars, body.outvars), end)


def _loops(next_state: list[Origins]) -> tuple[int, ...]:
    """For each circle of state variables, the bytes of weights in it."""
    parts = range(len(next_state))
    reach = [{o for o in origins if isinstance(o, int)} for origins in next_state]
    for k in parts:  # the transitive closure, after Warshall
        for r in reach:
            if k in r:
                r |= reach[k]
    circles = {frozenset(j for j in reach[i] if i in reach[j]) for i in parts}
    return tuple(
        sum(
            p.weight_bytes
            for p in set().union(*(next_state[i] for i in circle))
            if isinstance(p, _Product) and any(circle & o for o in p.origins)
        )
        for circle in sorted(circles, key=sorted)
        if circle
    )
