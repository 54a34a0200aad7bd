"""The gated cells that everyone compares with: GRU and LSTM."""

from collections.abc import Callable

import haiku as hk
import jax
import jax.numpy as jnp

from rnnzoo.cells.base import Cell, Init, State, find_initializer
from rnnzoo.errors import UserError, did_you_mean
from rnnzoo.registry import register


@register("gru", family="gru", cites="cho2014learning")
class GRU(Cell):
    r"""The gated recurrent unit.

    .. math::
        r_t = \sigma(U_r x_t + W_r h_{t-1} + b_r) \\
        z_t = \sigma(U_z x_t + W_z h_{t-1} + b_z) \\
        n_t = \tanh(U_n x_t + b_n + r_t \odot (W_n h_{t-1} + c_n)) \\
        h_t = (1 - z_t) \odot n_t + z_t \odot h_{t-1}

    This is `reset="after"`, the form of cuDNN, torch.nn.GRU and Keras: one matrix product a step.
    `reset="before"` is Cho's (2014) own, n_t = tanh(U_n x_t + W_n (r_t * h_{t-1}) + b_n), without c_n.
    hk.GRU has the reset before and swaps the roles of z and 1 - z. torch.nn.GRU has two biases for
    r and z, which only ever occur as their sum. The gates are stored side by side as (r, z, n).
    """

    def __init__(
        self,
        hidden_size: int,
        reset: str = "after",
        initializer: Init = "orthogonal",
        name: str | None = None,
    ):
        """Makes the cell.

        Args:
          hidden_size: H, the number of units.
          reset: 'after' or 'before', where the reset gate stands to the matrix product.
          initializer: of each block of W; a name of `rnnzoo.cells.base.INITIALIZERS`, or a Haiku
            initialiser of the whole [H, 3H].
          name: Haiku's module name.

        Raises:
          UserError: `reset` is neither.
        """
        super().__init__(hidden_size, name)
        if reset not in ("after", "before"):
            raise UserError(f"gru: reset={reset!r}: {did_you_mean(reset, ['after', 'before'])}")
        self.reset = reset
        self.w_init: Callable[..., jax.Array] = find_initializer(initializer, blocks=3)

    def __call__(self, x: jax.Array, h: jax.Array) -> tuple[jax.Array, jax.Array]:
        """One step: x of shape [..., D] and h of shape [..., H] to (h, h)."""
        H = self.hidden_size
        Ux = hk.Linear(3 * H, name="U")(x)  # with the biases b
        W = hk.get_parameter("W", (H, 3 * H), Ux.dtype, self.w_init)
        Ux_rz, Ux_n = jnp.split(Ux, [2 * H], axis=-1)
        if self.reset == "after":
            c_n = hk.get_parameter("c_n", (H,), Ux.dtype, jnp.zeros)
            Wh_rz, Wh_n = jnp.split(h @ W, [2 * H], axis=-1)
            r, z = jnp.split(jax.nn.sigmoid(Ux_rz + Wh_rz), 2, axis=-1)
            n = jnp.tanh(Ux_n + r * (Wh_n + jnp.broadcast_to(c_n, Wh_n.shape)))
        else:
            W_rz, W_n = jnp.split(W, [2 * H], axis=-1)
            r, z = jnp.split(jax.nn.sigmoid(Ux_rz + h @ W_rz), 2, axis=-1)
            n = jnp.tanh(Ux_n + (r * h) @ W_n)
        h = (1 - z) * n + z * h
        return h, h


@register("lstm", family="lstm", cites="hochreiter1997long")
class LSTM(Cell):
    r"""Long short-term memory, with the forget gate of Gers et al. (2000).

    .. math::
        i_t = \sigma(U_i x_t + W_i h_{t-1} + b_i) \\
        f_t = \sigma(U_f x_t + W_f h_{t-1} + b_f) \\
        g_t = \tanh(U_g x_t + W_g h_{t-1} + b_g) \\
        o_t = \sigma(U_o x_t + W_o h_{t-1} + b_o) \\
        c_t = f_t \odot c_{t-1} + i_t \odot g_t \\
        h_t = o_t \odot \tanh(c_t)

    The output is h_t, the state the pair (h, c). No shift is hidden in the equation: `forget_bias` is
    only what b_f starts from (1, after Jozefowicz et al. 2015), whereas hk.LSTM adds 1 at every step
    to a b_f that starts from 0. torch.nn.LSTM has a second bias, added to the first, and starts from
    uniform noise. The gates are stored side by side as (i, f, g, o), torch's order; hk.LSTM has
    (i, g, f, o). The 1997 paper had no forget gate.
    """

    def __init__(
        self,
        hidden_size: int,
        forget_bias: float = 1.0,
        initializer: Init = "orthogonal",
        name: str | None = None,
    ):
        """Makes the cell.

        Args:
          hidden_size: H, the number of units.
          forget_bias: the initial value of b_f.
          initializer: of each block of W; a name of `rnnzoo.cells.base.INITIALIZERS`, or a Haiku
            initialiser of the whole [H, 4H].
          name: Haiku's module name.
        """
        super().__init__(hidden_size, name)
        self.forget_bias = forget_bias
        self.w_init: Callable[..., jax.Array] = find_initializer(initializer, blocks=4)

    def __call__(self, x: jax.Array, state: State) -> tuple[jax.Array, State]:
        """One step: x of shape [..., D] and a pair (h, c) of [..., H] to h and the new pair."""
        h, c = state
        H = self.hidden_size
        W = hk.Linear(4 * H, with_bias=False, w_init=self.w_init, name="W")
        U = hk.Linear(4 * H, b_init=self._bias, name="U")  # with the biases b
        i, f, g, o = jnp.split(U(x) + W(h), 4, axis=-1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return h, hk.LSTMState(h, c)

    def _bias(self, shape, dtype):
        H = self.hidden_size
        return jnp.zeros(shape, dtype).at[H : 2 * H].set(self.forget_bias)

    def initial_state(self, batch_size: int | None) -> State:
        """A pair of zeros, each of shape [batch_size, H], or [H] for a `batch_size` of None."""
        zeros = super().initial_state(batch_size)
        return hk.LSTMState(zeros, zeros)
