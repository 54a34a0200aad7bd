"""Strongly-typed cells: no weight matrix acts on the state, so that it can be had for all t at once."""

from typing import NamedTuple

import haiku as hk
import jax
import jax.numpy as jnp

from rnnzoo.cells.base import LinearCell, linear_scan
from rnnzoo.registry import register


@register("trnn", family="strongly_typed", cites="balduzzi2016strongly", linear=True)
class TRNN(LinearCell):
    r"""The strongly-typed recurrent network.

    .. math::
        z_t = W x_t \\
        f_t = \sigma(V x_t + b) \\
        h_t = f_t \odot h_{t-1} + (1 - f_t) \odot z_t

    The output is the new state h_t: a moving average, for each unit, of what one row of W measures.
    torchrecurrent has a bias in z too.
    """

    def __init__(self, hidden_size: int, name: str | None = None):
        """Makes a cell of `hidden_size` units; `name` is Haiku's module name."""
        super().__init__(name=name)
        self.hidden_size = hidden_size
        self.W = hk.Linear(hidden_size, with_bias=False, name="W")
        self.V = hk.Linear(hidden_size, name="V")  # with the bias b

    def coefficients(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """(a, b) of h_t = a_t h_{t-1} + b_t, each [..., H], from x of shape [..., D]."""
        f = jax.nn.sigmoid(self.V(x))
        return f, (1 - f) * self.W(x)

    def initial_state(self, batch_size: int | None) -> jax.Array:
        """Zeros, of shape [batch_size, H], or [H] for a `batch_size` of None."""
        return jnp.zeros((*_batch(batch_size), self.hidden_size))


class TypedState(NamedTuple):
    """The state of a strongly-typed cell that looks one input back.

    Attributes:
      h: what is remembered, [..., H].
      Vx: V x_t, for the step to come, [..., 3H].
    """

    h: jax.Array
    Vx: jax.Array


class _LooksBack(hk.RNNCore):
    """A cell of z, f and o, all three from x_t and x_{t-1}; a subclass says what they do."""

    def __init__(self, hidden_size: int, name: str | None = None):
        """Makes a cell of `hidden_size` units; `name` is Haiku's module name."""
        super().__init__(name=name)
        self.hidden_size = hidden_size
        self.W = hk.Linear(3 * hidden_size, name="W")  # with the biases b
        self.V = hk.Linear(3 * hidden_size, with_bias=False, name="V")

    def addend(self, z: jax.Array, f: jax.Array, o: jax.Array) -> jax.Array:
        """What is added to f_t h_{t-1}."""
        raise NotImplementedError

    def readout(self, h: jax.Array, o: jax.Array) -> jax.Array:
        """The output."""
        raise NotImplementedError

    def __call__(self, x: jax.Array, state: TypedState) -> tuple[jax.Array, TypedState]:
        """One step: x of shape [..., D] and a `TypedState` to the output [..., H] and the new state."""
        Vx = self.V(x).astype(state.Vx.dtype)
        z, f, o = self._typed(x, state.Vx)
        h = f * state.h + self.addend(z, f, o)
        return self.readout(h, o), TypedState(h, Vx)

    def parallel(self, xs: jax.Array, state: TypedState) -> tuple[jax.Array, TypedState]:
        """All time steps at once: xs of shape [T, ..., D] to the outputs and the last state."""
        Vx = self.V(xs).astype(state.Vx.dtype)
        z, f, o = self._typed(xs, jnp.concatenate([state.Vx[None], Vx[:-1]]))
        hs = linear_scan(f, self.addend(z, f, o), state.h)
        return self.readout(hs, o), TypedState(hs[-1], Vx[-1])

    def _typed(self, x, Vx_before):
        z, f, o = jnp.split(self.W(x) + Vx_before, 3, axis=-1)
        return z, jax.nn.sigmoid(f), jnp.tanh(o)

    def initial_state(self, batch_size: int | None) -> TypedState:
        """Zeros, as after an input of zeros; without the batch axis for a `batch_size` of None."""
        H, batch = self.hidden_size, _batch(batch_size)
        return TypedState(jnp.zeros((*batch, H)), jnp.zeros((*batch, 3 * H)))


@register("tgru", family="strongly_typed", cites="balduzzi2016strongly", linear=True)
class TGRU(_LooksBack):
    r"""The strongly-typed gated recurrent unit.

    .. math::
        z_t = W_z x_t + V_z x_{t-1} + b_z \\
        f_t = \sigma(W_f x_t + V_f x_{t-1} + b_f) \\
        o_t = \tanh(W_o x_t + V_o x_{t-1} + b_o) \\
        h_t = f_t \odot h_{t-1} + z_t \odot o_t

    The output is h_t, the state the pair (h_t, V x_t): the last input itself has a size that a cell
    does not know before its first step. Before the first input there is one of zeros. torchrecurrent
    keeps x_t and has a second bias, added to the first. They are stored side by side as (z, f, o).
    """

    def addend(self, z: jax.Array, f: jax.Array, o: jax.Array) -> jax.Array:
        """What is added to f_t h_{t-1}."""
        del f
        return z * o

    def readout(self, h: jax.Array, o: jax.Array) -> jax.Array:
        """The output h_t."""
        del o
        return h


@register("tlstm", family="strongly_typed", cites="balduzzi2016strongly", linear=True)
class TLSTM(_LooksBack):
    r"""The strongly-typed long short-term memory.

    .. math::
        z_t = W_z x_t + V_z x_{t-1} + b_z \\
        f_t = \sigma(W_f x_t + V_f x_{t-1} + b_f) \\
        o_t = \tanh(W_o x_t + V_o x_{t-1} + b_o) \\
        c_t = f_t \odot c_{t-1} + (1 - f_t) \odot z_t \\
        h_t = c_t \odot o_t

    The output is h_t, which no later step reads; the state is the pair (c_t, V x_t), as for `TGRU`.
    """

    def addend(self, z: jax.Array, f: jax.Array, o: jax.Array) -> jax.Array:
        """What is added to f_t c_{t-1}."""
        del o
        return (1 - f) * z

    def readout(self, h: jax.Array, o: jax.Array) -> jax.Array:
        """The output h_t from c_t, which the state calls h."""
        return h * o


def _batch(size: int | None) -> tuple[int, ...]:
    return () if size is None else (size,)
