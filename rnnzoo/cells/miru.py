"""Minion recurrent units: a GRU whose gates are fixed numbers (Zyarah and Kudithipudi 2026)."""

from collections.abc import Callable

import haiku as hk
import jax
import jax.numpy as jnp

from rnnzoo.cells.base import Cell, Init, find_initializer
from rnnzoo.registry import register


@register("miru1", family="reduced", cites="zyarah2026minion")
class MiRU1(Cell):
    r"""The first minion recurrent unit: a GRU whose update gate is a fixed number.

    .. math::
        r_t = \sigma(U_r x_t + W_r h_{t-1} + b_r) \\
        \tilde{h}_t = \tanh(U_h x_t + W_h (r_t \odot h_{t-1}) + b_h) \\
        h_t = \lambda h_{t-1} + (1 - \lambda) \tilde{h}_t

    The output is the new state h_t. lambda is a setting, not trained; 0.5 is torchrecurrent's. What
    belongs to r and h is stored side by side in this order.
    """

    def __init__(
        self,
        hidden_size: int,
        update: float = 0.5,
        initializer: Init = "orthogonal",
        name: str = "miru1",
    ):
        """Makes the cell.

        Args:
          hidden_size: H, the number of units.
          update: lambda, the share of the old state, between 0 and 1.
          initializer: of each block of W, as for `rnnzoo.cells.reduced.MinimalRNN`.
          name: Haiku's module name.
        """
        super().__init__(hidden_size, name)
        self.w_init: Callable[..., jax.Array] = find_initializer(initializer, blocks=2)
        self.update = update

    def __call__(self, x: jax.Array, h: jax.Array) -> tuple[jax.Array, jax.Array]:
        """One step: x of shape [..., D] and h of shape [..., H] to (h, h)."""
        H = self.hidden_size
        Ux_r, Ux_h = jnp.split(hk.Linear(2 * H, name="U")(x), 2, axis=-1)  # with the biases b
        W_r, W_h = jnp.split(hk.get_parameter("W", (H, 2 * H), x.dtype, self.w_init), 2, axis=-1)
        r = jax.nn.sigmoid(Ux_r + h @ W_r)
        h = self.update * h + (1 - self.update) * jnp.tanh(Ux_h + (r * h) @ W_h)
        return h, h


@register("miru2", family="reduced", cites="zyarah2026minion")
class MiRU2(Cell):
    r"""The second minion recurrent unit: a GRU whose two gates are fixed numbers.

    .. math::
        \tilde{h}_t = \tanh(U x_t + W (\theta h_{t-1}) + b) \\
        h_t = \lambda h_{t-1} + (1 - \lambda) \tilde{h}_t

    The output is the new state h_t. theta and lambda are settings, not trained; 0.5 is
    torchrecurrent's for both.
    """

    update: float
    reset: float

    def __init__(
        self,
        hidden_size: int,
        update: float = 0.5,
        reset: float = 0.5,
        initializer: Init = "orthogonal",
        name: str = "miru2",
    ):
        """Makes the cell.

        Args:
          hidden_size: H, the number of units.
          update: lambda, the share of the old state, between 0 and 1.
          reset: theta, how much of the old state the candidate sees, between 0 and 1.
          initializer: of W, as for `rnnzoo.cells.reduced.MinimalRNN`.
          name: Haiku's module name.
        """
        super().__init__(hidden_size, name)
        self.w_init: Callable[..., jax.Array] = find_initializer(initializer)
        self.update, self.reset = update, reset

    def __call__(self, x: jax.Array, h: jax.Array) -> tuple[jax.Array, jax.Array]:
        """One step: x of shape [..., D] and h of shape [..., H] to (h, h)."""
        W = hk.Linear(self.hidden_size, with_bias=False, w_init=self.w_init, name="W")
        U = hk.Linear(self.hidden_size, name="U")  # with the bias b
        h = self.update * h + (1 - self.update) * jnp.tanh(U(x) + W(self.reset * h))
        return h, h
