"""Products of a loop's value with a weight that stays the same, whose gradient can wait."""

import dataclasses
import functools
from collections.abc import Container, Iterable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import JaxprEqn, Var
from jax.extend.core import primitives as P

from rnnzoo.unroll.trace import bind, is_matmul, variables

# Bytes of a weight with which one core of a CPU multiplies a single row as fast as two.
ONE_CORE = 2**19
PARTS = 4


@dataclasses.dataclass(frozen=True)
class Product:
    """A matrix product or convolution of a value that changes with a weight that does not.

    Attributes:
      eqn: the equation.
      side: which of its two operands is the weight.
    """

    eqn: JaxprEqn
    side: int

    @classmethod
    def of(cls, eqn: JaxprEqn, fixed: Container[Var]) -> "Product | None":
        """The product that an equation is, if it is one with exactly one operand in `fixed`."""
        if eqn.primitive not in (P.dot_general_p, P.conv_general_dilated_p):
            return None
        is_fixed = [v in fixed for v in variables(eqn.invars)]
        return cls(eqn, is_fixed.index(True)) if sorted(is_fixed) == [False, True] else None

    @property
    def weight(self) -> Var:
        """The weight's variable."""
        return self.eqn.invars[self.side]

    @property
    def operand(self) -> Var:
        """The other operand's variable."""
        return self.eqn.invars[1 - self.side]

    @property
    def result(self) -> Var:
        """The result's variable."""
        return self.eqn.outvars[0]

    @functools.cached_property
    def rows(self) -> int | None:
        """The number of rows of x if this is x @ W, else None."""
        x, w = (v.aval for v in self.eqn.invars)
        return x.size // max(1, w.shape[0]) if self.side == 1 and is_matmul(self.eqn) else None

    def __call__(self, w: jax.Array, x: jax.Array) -> jax.Array:
        """The product of one time step."""
        return bind(self.eqn, [w, x] if self.side == 0 else [x, w])[0]

    def over_time(self, w: jax.Array, xs: jax.Array) -> jax.Array:
        """The products of all time steps; one large matrix product where this is x @ W."""
        if self.rows is None:
            return jax.vmap(self, in_axes=(None, 0))(w, xs)
        flat = self.bind(xs.reshape(-1, xs.shape[-1]), w, (((1,), (0,)), ((), ())))
        return flat.reshape(*xs.shape[:-1], w.shape[1])

    def bind(self, x: jax.Array, w: jax.Array, dimension_numbers: Any) -> jax.Array:
        """Another product of the same precision and type of result."""
        params = self.eqn.params | {"dimension_numbers": dimension_numbers}
        return self.eqn.primitive.bind(x, w, **params)


class Prepared(NamedTuple):
    """The weights of `Siblings` as its loops read them.

    Attributes:
      wide: the weights side by side, [K, N]; or that in parts, [PARTS, K / PARTS, N].
      twin: the transpose of `wide`, if the tangent had better read that.
    """

    wide: jax.Array
    twin: jax.Array | None


class Siblings:
    """Products of one operand, x @ W_1, x @ W_2, ..., made as one: x @ [W_1, W_2, ...].

    The gates of a cell, above all, however it was written. One large product shares the processor's
    cores better than several small ones; docs/performance.md has the effect.
    """

    products: list[Product]
    first: Product
    results: list[Var]

    def __init__(self, products: list[Product]):
        """A family of products of one operand; at least one."""
        self.products = products
        self.first = products[0]
        self.results = [p.result for p in products]

    @classmethod
    def among(cls, products: Iterable[Product]) -> list["Siblings"]:
        """The products in families; one that is not x @ W is a family of its own."""
        families = {}
        for p in products:
            x, w = p.operand, p.weight.aval
            key = (x, w.shape[0], w.dtype, tuple(p.eqn.params.items())) if p.rows else id(p)
            families.setdefault(key, []).append(p)
        return [cls(family) for family in families.values()]

    def prepare(self, weights: Sequence[jax.Array]) -> Prepared:
        """The weights in the form that `__call__` and `tangent` read, made once before the loop.

        The cotangent of x is delta @ W^T. A CPU reads a copy of W^T row by row faster than W column by
        column, but for a single row. There, XLA uses several cores only for products in parts.
        """
        if self.first.rows is None:
            return Prepared(weights[0], None)
        wide = jnp.concatenate(weights, axis=1)
        if self.first.rows > 1:
            return Prepared(wide, wide.T)
        if jax.default_backend() == "cpu" and wide.nbytes > ONE_CORE and wide.shape[0] % PARTS == 0:
            wide = wide.reshape(PARTS, -1, wide.shape[1])
        return Prepared(wide, None)

    def __call__(self, weights: Prepared, x: jax.Array) -> list[jax.Array]:
        """The products of one time step."""
        if self.first.rows is None:
            return [self.first(weights.wide, x)]
        if weights.wide.ndim == 2:
            return self._apart(self.first(weights.wide, x))
        parts = self.first.bind(x.reshape(PARTS, -1), weights.wide, (((1,), (1,)), ((0,), (0,))))
        return self._apart(parts.sum(0).reshape(*x.shape[:-1], -1))

    def tangent(self, weights: Prepared, x: jax.Array) -> list[jax.Array]:
        """The products with a tangent x."""
        if weights.twin is None:
            return self(weights, x)
        return self._apart(self.first.bind(x, weights.twin, (((x.ndim - 1,), (1,)), ((), ()))))

    def _apart(self, y: jax.Array) -> list[jax.Array]:
        return jax.lax.split(y, [v.aval.shape[-1] for v in self.results], axis=y.ndim - 1)


def tapped(
    family: Siblings, weights: Prepared, x: jax.Array, taps: Sequence[jax.Array]
) -> list[jax.Array]:
    """`family(weights, x)` with the weights held constant; their tangents enter by the `taps`."""
    return _tapped(family, weights, x, taps)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _tapped(family, weights, x, taps):
    return family(weights, x)


@_tapped.defjvp
def _tapped_jvp(family, primals, tangents):
    (weights, x, _), (_, x_dot, taps_dot) = primals, tangents
    y_dot = family.tangent(weights, x_dot)
    return family(weights, x), [a + b for a, b in zip(y_dot, taps_dot, strict=True)]
