"""Bistable cells: each unit feeds back on itself, strongly enough to stay where it was put."""

from collections.abc import Callable

import haiku as hk
import jax
import jax.numpy as jnp

from rnnzoo.cells.base import Cell, Init, find_initializer
from rnnzoo.registry import register


@register("br", family="bistable", cites="vecoven2021bioinspired")
class BRC(Cell):
    r"""The bistable recurrent cell: a GRU whose units see nothing of each other.

    .. math::
        a_t = 1 + \tanh(U_a x_t + w_a \odot h_{t-1} + b_a) \\
        c_t = \sigma(U_c x_t + w_c \odot h_{t-1} + b_c) \\
        h_t = c_t \odot h_{t-1} + (1 - c_t) \odot \tanh(U_h x_t + a_t \odot h_{t-1})

    The output is the new state h_t. A unit has one stable state where a_t is below 1, two above. The
    paper writes no biases; its authors' code has these two, and starts w_a and w_c from 1.
    torchrecurrent has a bias beside U_h too, two in each gate, and starts w from normal noise. What
    belongs to a, c and h is stored side by side in this order.
    """

    def __init__(self, hidden_size: int, name: str = "br"):
        """Makes a cell of `hidden_size` units; `name` is Haiku's module name."""
        super().__init__(hidden_size, name)

    def __call__(self, x: jax.Array, h: jax.Array) -> tuple[jax.Array, jax.Array]:
        """One step: x of shape [..., D] and h of shape [..., H] to (h, h)."""
        w = hk.get_parameter("w", (2 * self.hidden_size,), x.dtype, jnp.ones)
        w_a, w_c = jnp.split(w, 2)
        h = _bistable(x, h, w_a * h, w_c * h)
        return h, h


@register("nbr", family="bistable", cites="vecoven2021bioinspired")
class NBRC(Cell):
    r"""The recurrently neuromodulated bistable cell: other units set how bistable one is.

    .. math::
        a_t = 1 + \tanh(U_a x_t + W_a h_{t-1} + b_a) \\
        c_t = \sigma(U_c x_t + W_c h_{t-1} + b_c) \\
        h_t = c_t \odot h_{t-1} + (1 - c_t) \odot \tanh(U_h x_t + a_t \odot h_{t-1})

    The output is the new state h_t. For the biases and torchrecurrent see `BRC`. What belongs to a, c
    and h is stored side by side in this order.
    """

    def __init__(self, hidden_size: int, initializer: Init = "orthogonal", name: str = "nbr"):
        """Makes the cell.

        Args:
          hidden_size: H, the number of units.
          initializer: of each block of W; a name of `rnnzoo.cells.base.INITIALIZERS`, or a Haiku
            initialiser of the whole [H, 2H]. The authors' code has 'glorot' and, in older layers,
            'orthogonal'.
          name: Haiku's module name.
        """
        super().__init__(hidden_size, name)
        self.w_init: Callable[..., jax.Array] = find_initializer(initializer, blocks=2)

    def __call__(self, x: jax.Array, h: jax.Array) -> tuple[jax.Array, jax.Array]:
        """One step: x of shape [..., D] and h of shape [..., H] to (h, h)."""
        W = hk.Linear(2 * self.hidden_size, with_bias=False, w_init=self.w_init, name="W")
        Wh_a, Wh_c = jnp.split(W(h), 2, axis=-1)
        h = _bistable(x, h, Wh_a, Wh_c)
        return h, h


def _bistable(x: jax.Array, h: jax.Array, h_a: jax.Array, h_c: jax.Array) -> jax.Array:
    """The new state, where h_a and h_c are what the gates see of the old one, h."""
    H = h.shape[-1]
    b_a, b_c = jnp.split(hk.get_parameter("b", (2 * H,), x.dtype, jnp.zeros), 2)
    Ux_a, Ux_c, Ux_h = jnp.split(hk.Linear(3 * H, with_bias=False, name="U")(x), 3, axis=-1)
    a = 1 + jnp.tanh(Ux_a + h_a + b_a)
    c = jax.nn.sigmoid(Ux_c + h_c + b_c)
    return c * h + (1 - c) * jnp.tanh(Ux_h + a * h)
