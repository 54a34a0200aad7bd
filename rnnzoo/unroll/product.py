"""Products of a loop's value with a weight that stays the same, whose gradient can wait."""

import dataclasses
import functools

import jax
from jax.extend.core import JaxprEqn, Var
from jax.extend.core import primitives as P

from rnnzoo.unroll.trace import bind, is_matmul, variables


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
    def of(cls, eqn: JaxprEqn, fixed) -> "Product | None":
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

    def __call__(self, w, x):
        """The product of one time step."""
        return bind(self.eqn, [w, x] if self.side == 0 else [x, w])[0]

    def over_time(self, w, xs):
        """The products of all time steps; one large matrix product where this is x @ W."""
        if self.rows is None:
            return jax.vmap(self, in_axes=(None, 0))(w, xs)
        flat = self._matmul(xs.reshape(-1, xs.shape[-1]), w, axis=0)
        return flat.reshape(*xs.shape[:-1], w.shape[1])

    def twin(self, w):
        """The transpose of the weight, where `tangent` had better read that.

        The cotangent of x is delta @ W^T. A CPU reads a copy of W^T row by row faster than W column by
        column, but for a single row.
        """
        return w.T if self.rows is not None and self.rows > 1 else None

    def tangent(self, w, twin, x):
        """The product of the weight with a tangent x."""
        return self(w, x) if twin is None else self._matmul(x, twin, axis=1)

    def _matmul(self, x, w, axis: int):
        numbers = (((x.ndim - 1,), (axis,)), ((), ()))
        return self.eqn.primitive.bind(x, w, **self.eqn.params | {"dimension_numbers": numbers})


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def tapped(product: Product, w, twin, x, tap):
    """`product(w, x)` with the weight held constant; its tangent enters by the `tap` instead."""
    return product(w, x)


@tapped.defjvp
def _tapped_jvp(product, primals, tangents):
    (w, twin, x, _), (_, _, x_dot, tap_dot) = primals, tangents
    return product(w, x), product.tangent(w, twin, x_dot) + tap_dot
