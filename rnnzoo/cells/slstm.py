"""The xLSTM's cell with scalar memory."""

from collections.abc import Callable

import haiku as hk
import jax
import jax.numpy as jnp

from rnnzoo.cells.base import Cell, Init, State, check_heads, find_initializer
from rnnzoo.registry import register


@register("slstm", family="lstm", cites="beck2024xlstm")
class SLSTM(Cell):
    r"""sLSTM: an LSTM with an exponential input gate, a normaliser and several heads.

    .. math::
        (\tilde\imath_t, \tilde f_t, \tilde z_t, \tilde o_t) = U x_t + R h_{t-1} + b \\
        m_t = \max(\log\sigma(\tilde f_t) + m_{t-1},\ \tilde\imath_t) \\
        i_t = \exp(\tilde\imath_t - m_t) \\
        f_t = \exp(\log\sigma(\tilde f_t) + m_{t-1} - m_t) \\
        c_t = f_t \odot c_{t-1} + i_t \odot \tanh(\tilde z_t) \\
        n_t = f_t \odot n_{t-1} + i_t \\
        h_t = \sigma(\tilde o_t) \odot c_t / n_t

    The output is h_t, the state (h, c, n, m). The stabiliser m is the logarithm of what c and n are
    divided by, so that nothing overflows; h does not depend on it. It starts from log 0, whereupon n is
    never below 1: from the zeros of the xlstm package, which treats its first step apart, c / n could
    be 0 / 0. R is block-diagonal: each head mixes its own units alone. The paper allows an exponential
    forget gate too; this is the sigmoid of its code. As there, R starts from zero by default, and the
    bias b_f falls from 5 to -7 along the units of a head. The convolution and the group norm around the
    cell are the paper's residual block, and left out. The gates are stored side by side as (i, f, z, o).
    """

    def __init__(
        self, hidden_size: int, heads: int = 4, initializer: Init = "zeros", name: str | None = None
    ):
        """Makes the cell.

        Args:
          hidden_size: H, the number of units.
          heads: the number of blocks of R.
          initializer: of each gate's block of R for each head; a name of
            `rnnzoo.cells.base.INITIALIZERS`, or a Haiku initialiser of the whole [H / heads, 4H].
          name: Haiku's module name.

        Raises:
          UserError: `heads` does not divide H.
        """
        super().__init__(hidden_size, name)
        check_heads("slstm", hidden_size, heads)
        self.heads = heads
        self.r_init: Callable[..., jax.Array] = find_initializer(initializer, blocks=4 * heads)

    def __call__(self, x: jax.Array, state: State) -> tuple[jax.Array, State]:
        """One step: x of shape [..., D] and four of [..., H] to h and the new four."""
        h, c, n, m = state
        H = self.hidden_size
        U = hk.Linear(4 * H, b_init=self._bias, name="U")  # with the biases b
        i, f, z, o = jnp.split(U(x) + self._mix(h), 4, axis=-1)
        log_f = jax.nn.log_sigmoid(f) + m
        m = jnp.maximum(log_f, i)
        i, f = jnp.exp(i - m), jnp.exp(log_f - m)
        c = f * c + i * jnp.tanh(z)
        n = f * n + i
        h = jax.nn.sigmoid(o) * c / n
        return h, (h, c, n, m)

    def _mix(self, h):
        """R h, of shape [..., 4H], gate by gate."""
        H, heads = self.hidden_size, self.heads
        R = hk.get_parameter("R", (H // heads, 4 * H), h.dtype, self.r_init)
        R = R.reshape(H // heads, 4, heads, H // heads)
        h = h.reshape(*h.shape[:-1], heads, H // heads)
        return jnp.einsum("...ki,igkj->...gkj", h, R).reshape(*h.shape[:-2], 4 * H)

    def _bias(self, shape, dtype):
        H, units = self.hidden_size, self.hidden_size // self.heads
        position = jnp.arange(units) / max(1, units - 1)
        b_f = jnp.tile(5 - 12 * position**0.3, self.heads)
        return jnp.zeros(shape, dtype).at[H : 2 * H].set(b_f.astype(dtype))

    def initial_state(self, batch_size: int | None) -> State:
        """Zeros, and minus infinity for m; each of shape [batch_size, H], or [H] for None."""
        zeros = super().initial_state(batch_size)
        return zeros, zeros, zeros, jnp.full_like(zeros, -jnp.inf)
