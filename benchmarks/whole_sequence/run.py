"""The kernel as a function with a derivative, and as an unroller."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Var

import rnnzoo
from benchmarks.whole_sequence.build import targets
from benchmarks.whole_sequence.unit import Unit
from rnnzoo.unroll import deferred
from rnnzoo.unroll.plan import Loop
from rnnzoo.unroll.product import Product
from rnnzoo.unroll.trace import CannotTrace, variables
from rnnzoo.unroll.unroll import STRATEGIES


def unroll(core, xs, state) -> tuple[Any, Any]:
    """`rnnzoo.unroll(core, xs, state)` with a kernel for each recurrent loop.

    Raises:
      UserError: a core that the kernel cannot run, and why.
    """
    return rnnzoo.unroll(core, xs, state, strategy="whole_sequence")


def scan(step, inputs, state, reverse: bool = False) -> tuple[Any, Any]:
    """As `rnnzoo.unroll.deferred.scan`."""
    return deferred.scan(step, inputs, state, reverse, make_loop=KernelLoop)


STRATEGIES["whole_sequence"] = scan


class KernelLoop:
    """One loop of the plan, in the place of a `lax.scan`."""

    def __init__(self, loop: Loop, values, reverse: bool):
        """Takes a recurrent loop and what is known outside of it.

        Raises:
          CannotTrace: the kernel cannot run it.
        """
        if reverse:
            raise CannotTrace("runs from the last step to the first")
        fixed, over_time = values.fixed, values.over_time
        products = [p for e in loop.body if (p := Product.of(e, fixed))]
        results = {p.result for p in products}
        others = [e for e in loop.body if results.isdisjoint(e.outvars)]
        reads = {v for e in others for v in variables(e.invars)}
        inputs = [v for v in over_time if v in reads]
        shared = [v for v in fixed if v in reads]
        self.unit = Unit(loop, products, inputs, shared)
        self.length = values.length
        self.values = (
            [fixed[p.weight] for p in products],
            [over_time[v] for v in inputs],
            [self._per_unit(v, fixed[v]) for v in shared],
        )

    def _per_unit(self, v: Var, value) -> jax.Array:
        """What all rows share, as a number for each unit, [H]."""
        *leading, last = v.aval.shape or (1,)
        if set(leading) - {1} or last not in (1, self.unit.size):
            raise CannotTrace(f"shares an array of the shape {v.aval.shape} between its rows")
        return jnp.broadcast_to(jnp.ravel(value), (self.unit.size,)).astype(jnp.float32)

    def run(self, start: list) -> tuple[list, list]:
        """The emitted sequences and the final state."""

        @jax.custom_vjp
        def loop(values, start):
            return self._forward(values, start, save=False)[:2]

        def forward(values, start):
            emitted, last, saved = self._forward(values, start, save=True)
            return (emitted, last), (values, start, saved)

        loop.defvjp(forward, self._backward)
        return loop(self.values, start)

    @functools.cached_property
    def _targets(self) -> tuple[str, str]:
        weight = self.unit.products[0]
        precision = jax.config.jax_default_matmul_precision
        exact = weight.weight.aval.dtype == jnp.float32 and precision in ("highest", "float32")
        return targets(self.unit.source(weight.weight.aval.dtype, exact))

    def _shape(self, *leading: int, dtype=None) -> jax.ShapeDtypeStruct:
        dtype = dtype or self.unit.loop.state[0].aval.dtype
        return jax.ShapeDtypeStruct((*leading, self.rows, self.unit.size), dtype)

    @property
    def rows(self) -> int:
        """B."""
        return self.unit.loop.state[0].aval.shape[0]

    def _forward(self, values, start, save: bool):
        unit, T = self.unit, self.length
        weights, inputs, shared = values
        W = jnp.stack([w.T for w in weights])  # [gates, H, K]: a unit's columns as rows
        shapes = [self._shape(T)] * (1 + len(unit.emitted)) + [self._shape()] * len(start)
        if save:
            shapes += [self._shape(T, len(weights)), self._shape(T, len(start))]
        call = jax.ffi.ffi_call(self._targets[0], shapes)
        results = call(
            W, *inputs, *shared, *start, T=np.int32(T), B=np.int32(self.rows), save=np.int32(save)
        )
        exchanged, rest = results[0], results[1:]
        own = dict(zip(unit.emitted, rest, strict=False))
        emitted = [own.get(i, exchanged) for i in range(len(unit.loop.emitted))]
        last = list(rest[len(own) : len(own) + len(start)])
        return emitted, last, results[len(shapes) - 2 :]

    def _backward(self, residuals, cotangents):
        unit, T = self.unit, self.length
        (weights, inputs, shared), start, (products, states) = residuals
        d_emitted, d_last = cotangents
        gates = len(weights)
        # The gradient by the exchanged state's sequence, where it is emitted, comes in at the state.
        own = [d_emitted[i] for i in unit.emitted]
        rest = [d for i, d in enumerate(d_emitted) if i not in unit.emitted]
        joined = rest[0] if rest else jnp.zeros((T, self.rows, unit.size), d_last[0].dtype)
        W = jnp.concatenate(weights, axis=1)
        shapes = [jax.ShapeDtypeStruct((T, self.rows, gates * unit.size), W.dtype)]
        shapes += [self._shape(T)] * len(unit.own_inputs) + [self._shape()] * len(start)
        shapes += [self._shape(dtype=jnp.float32)] * len(shared)
        call = jax.ffi.ffi_call(self._targets[1], shapes)
        deltas, *found = call(
            W,
            *inputs,
            *shared,
            products,
            states,
            joined,
            *own,
            *d_last,
            T=np.int32(T),
            B=np.int32(self.rows),
        )
        n = len(unit.own_inputs)
        by_gate = jnp.split(deltas, gates, axis=-1)
        d_inputs = [None] * len(inputs)
        for i, gate in unit.same_gradients.items():
            d_inputs[i] = by_gate[gate]
        for i, d in zip(unit.own_inputs, found, strict=False):
            d_inputs[i] = d
        before = states[:, unit.exchanged]
        d_weights = jnp.einsum("tbk,tbn->kn", before, deltas)
        d_shared = [d.sum(0) for d in found[n + len(start) :]]
        d_values = jnp.split(d_weights, gates, axis=1), d_inputs, d_shared
        return d_values, list(found[n : n + len(start)])
