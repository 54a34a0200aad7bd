"""Variants of the LSTM's gates: what they read and what they act on."""

from collections.abc import Callable

import haiku as hk
import jax
import jax.numpy as jnp

from rnnzoo.cells.base import Cell, Init, State, find_initializer
from rnnzoo.cells.gated import LSTM
from rnnzoo.errors import UserError, did_you_mean
from rnnzoo.registry import register


@register("lstm_1997", family="lstm", cites="hochreiter1997long")
class LSTM1997(Cell):
    r"""The first LSTM, of Hochreiter & Schmidhuber: there is no forget gate.

    .. math::
        i_t = \sigma(U_i x_t + W_i h_{t-1} + b_i) \\
        g_t = 4 \sigma(U_g x_t + W_g h_{t-1} + b_g) - 2 \\
        o_t = \sigma(U_o x_t + W_o h_{t-1} + b_o) \\
        c_t = c_{t-1} + i_t \odot g_t \\
        h_t = o_t \odot (2 \sigma(c_t) - 1)

    The output is h_t, the state the pair (h, c). The squashing functions are the paper's,
    4 sigma(a) - 2 = 2 tanh(a/2) and 2 sigma(c) - 1 = tanh(c/2). With tanh(a) and tanh(c) in their
    place, as in torchrecurrent's OriginalLSTM, it is the same cell with half of W_g, U_g, b_g and c.
    The paper also lets several units share their gates, lets gates read gates, and truncates the
    gradient at all paths but that of c; here each unit has its own gates, they read h only, and the
    gradient is whole. The gates are stored side by side as (i, g, o).
    """

    def __init__(self, hidden_size: int, initializer: Init = "orthogonal", name: str = "lstm_1997"):
        """Makes the cell.

        Args:
          hidden_size: H, the number of units.
          initializer: of each block of W; a name of `rnnzoo.cells.base.INITIALIZERS`, or a Haiku
            initialiser of the whole [H, 3H].
          name: Haiku's module name.
        """
        super().__init__(hidden_size, name)
        self.w_init: Callable[..., jax.Array] = find_initializer(initializer, blocks=3)

    def __call__(self, x: jax.Array, state: hk.LSTMState) -> tuple[jax.Array, hk.LSTMState]:
        """One step: x of shape [..., D] and a pair (h, c) of [..., H] to h and the new pair."""
        h, c = state
        H = self.hidden_size
        W = hk.Linear(3 * H, with_bias=False, w_init=self.w_init, name="W")
        U = hk.Linear(3 * H, name="U")  # with the biases b
        i, g, o = jnp.split(U(x) + W(h), 3, axis=-1)
        c = c + jax.nn.sigmoid(i) * 2 * jnp.tanh(g / 2)
        h = jax.nn.sigmoid(o) * jnp.tanh(c / 2)
        return h, hk.LSTMState(h, c)

    def initial_state(self, batch_size: int | None) -> hk.LSTMState:
        """A pair of zeros, each of shape [batch_size, H], or [H] for a `batch_size` of None."""
        zeros = super().initial_state(batch_size)
        return hk.LSTMState(zeros, zeros)


@register("peephole_lstm", family="lstm", cites="gers2002learning")
class PeepholeLSTM(LSTM):
    r"""The LSTM whose gates see the memory itself, through one weight per unit.

    .. math::
        i_t = \sigma(U_i x_t + W_i h_{t-1} + p_i \odot c_{t-1} + b_i) \\
        f_t = \sigma(U_f x_t + W_f h_{t-1} + p_f \odot c_{t-1} + b_f) \\
        g_t = \tanh(U_g x_t + W_g h_{t-1} + b_g) \\
        c_t = f_t \odot c_{t-1} + i_t \odot g_t \\
        o_t = \sigma(U_o x_t + W_o h_{t-1} + p_o \odot c_t + b_o) \\
        h_t = o_t \odot \tanh(c_t)

    The output is h_t, the state the pair (h, c). The output gate reads the new memory c_t. The two
    tanh are those of Graves (2013) and of the libraries since; Gers et al. (2002) squash otherwise.
    The peepholes p start from U(-0.1, 0.1), whereas torchrecurrent's start from N(0, 1). The gates
    are stored side by side as (i, f, g, o).
    """

    def __call__(self, x: jax.Array, state: State) -> tuple[jax.Array, State]:
        """One step: x of shape [..., D] and a pair (h, c) of [..., H] to h and the new pair."""
        o, c = _peephole_memory(self, x, *state)
        h = o * jnp.tanh(c)
        return h, hk.LSTMState(h, c)


def _peephole_memory(cell: LSTM, x, h, c):
    """(o_t, c_t) of an LSTM with peepholes."""
    H = cell.hidden_size
    W = hk.Linear(4 * H, with_bias=False, w_init=cell.w_init, name="W")
    U = hk.Linear(4 * H, b_init=cell._bias, name="U")  # with the biases b
    p_i, p_f, p_o = (
        hk.get_parameter(name, (H,), x.dtype, hk.initializers.RandomUniform(-0.1, 0.1))
        for name in ("p_i", "p_f", "p_o")
    )
    i, f, g, o = jnp.split(U(x) + W(h), 4, axis=-1)
    c = jax.nn.sigmoid(f + p_f * c) * c + jax.nn.sigmoid(i + p_i * c) * jnp.tanh(g)
    return jax.nn.sigmoid(o + p_o * c), c


@register("residual_lstm", family="lstm", cites="kim2017residual")
class ResidualLSTM(LSTM):
    r"""The LSTM with a shortcut from its input to its output, for deep stacks (Kim et al. 2017).

    .. math::
        i_t = \sigma(U_i x_t + W_i h_{t-1} + p_i \odot c_{t-1} + b_i) \\
        f_t = \sigma(U_f x_t + W_f h_{t-1} + p_f \odot c_{t-1} + b_f) \\
        g_t = \tanh(U_g x_t + W_g h_{t-1} + b_g) \\
        c_t = f_t \odot c_{t-1} + i_t \odot g_t \\
        o_t = \sigma(U_o x_t + W_o h_{t-1} + p_o \odot c_t + b_o) \\
        h_t = o_t \odot (W_p \tanh(c_t) + U_h x_t)

    The output is h_t, the state the pair (h, c). The output gate closes the shortcut too. The paper
    replaces U_h by the identity where D = H: `shortcut="identity"`. The projection W_p is square
    here; the paper's may make h smaller than c. The gates are stored side by side as (i, f, g, o).
    """

    def __init__(
        self,
        hidden_size: int,
        shortcut: str = "linear",
        forget_bias: float = 1.0,
        initializer: Init = "orthogonal",
        name: str | None = None,
    ):
        """Makes the cell.

        Args:
          hidden_size: H, the number of units.
          shortcut: 'linear' for U_h x_t, or 'identity' for x_t itself.
          forget_bias: the initial value of b_f.
          initializer: of W, as for `LSTM`.
          name: Haiku's module name.

        Raises:
          UserError: `shortcut` is neither.
        """
        super().__init__(hidden_size, forget_bias, initializer, name)
        if shortcut not in ("linear", "identity"):
            raise UserError(
                f"residual_lstm: shortcut={shortcut!r}: "
                f"{did_you_mean(shortcut, ['linear', 'identity'])}"
            )
        self.shortcut = shortcut

    def __call__(self, x: jax.Array, state: hk.LSTMState) -> tuple[jax.Array, hk.LSTMState]:
        """One step: x of shape [..., D] and a pair (h, c) of [..., H] to h and the new pair.

        Raises:
          UserError: the shortcut is the identity, and D is not H.
        """
        H = self.hidden_size
        if self.shortcut == "identity" and x.shape[-1] != H:
            raise UserError(
                f"residual_lstm: shortcut='identity' needs inputs of hidden_size {H}, not "
                f"{x.shape[-1]}: take shortcut='linear'"
            )
        o, c = _peephole_memory(self, x, *state)
        W_p = hk.Linear(H, with_bias=False, name="W_p")
        if self.shortcut == "linear":
            x = hk.Linear(H, with_bias=False, name="U_h")(x)
        h = o * (W_p(jnp.tanh(c)) + x)
        return h, hk.LSTMState(h, c)


@register("multiplicative_lstm", family="lstm", cites="krause2016multiplicative")
class MultiplicativeLSTM(LSTM):
    r"""mLSTM: the LSTM whose recurrent matrix differs from input to input (Krause et al. 2016).

    .. math::
        m_t = (U_m x_t) \odot (W_m h_{t-1}) \\
        i_t = \sigma(U_i x_t + W_i m_t + b_i) \\
        f_t = \sigma(U_f x_t + W_f m_t + b_f) \\
        g_t = \tanh(U_g x_t + W_g m_t + b_g) \\
        o_t = \sigma(U_o x_t + W_o m_t + b_o) \\
        c_t = f_t \odot c_{t-1} + i_t \odot g_t \\
        h_t = o_t \odot \tanh(c_t)

    The output is h_t, the state the pair (h, c). This is the paper's last version; earlier ones
    have a g_t without the tanh and h_t = tanh(o_t * c_t). torchrecurrent's MultiplicativeLSTM has
    biases beside U_m and W_m, which the paper does not, and two for each gate. The gates are stored
    side by side as (i, f, g, o).
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
          initializer: of W_m and of each block of W, as for `LSTM`.
          name: Haiku's module name.
        """
        super().__init__(hidden_size, forget_bias, initializer, name)
        self.w_m_init: Callable[..., jax.Array] = find_initializer(initializer)

    def __call__(self, x: jax.Array, state: hk.LSTMState) -> tuple[jax.Array, hk.LSTMState]:
        """One step: x of shape [..., D] and a pair (h, c) of [..., H] to h and the new pair."""
        h, c = state
        W_m = hk.Linear(self.hidden_size, with_bias=False, w_init=self.w_m_init, name="W_m")
        U_m = hk.Linear(self.hidden_size, with_bias=False, name="U_m")
        return super().__call__(x, hk.LSTMState(U_m(x) * W_m(h), c))


@register("mogrifier_lstm", family="lstm", cites="melis2020mogrifier")
class MogrifierLSTM(LSTM):
    r"""The LSTM whose input and state gate each other before they enter it (Melis et al. 2020).

    .. math::
        x^r = 2 \sigma(Q_r h^{r-1}) \odot x^{r-2} \quad \text{for odd } r \in [1, \text{rounds}] \\
        h^r = 2 \sigma(R_r x^{r-1}) \odot h^{r-2} \quad \text{for even } r \in [1, \text{rounds}]

    with x^{-1} = x_t, h^0 = h_{t-1}, and what does not change in a round taken over. The LSTM then
    reads the last x and h in place of x_t and h_{t-1}.

    The output is h_t, the state the pair (h, c). With `rounds=0` it is `LSTM`. The equations have no
    biases; the authors' code adds one to each Q_r and R_r, and caps the LSTM's input gate at
    1 - f_t.
    """

    rounds: int
    rank: int | None

    def __init__(
        self,
        hidden_size: int,
        rounds: int = 5,
        rank: int | None = None,
        forget_bias: float = 1.0,
        initializer: Init = "orthogonal",
        name: str | None = None,
    ):
        """Makes the cell.

        Args:
          hidden_size: H, the number of units.
          rounds: how often x and h gate each other, counted together.
          rank: of each Q_r and R_r, which then is a product of two matrices; None for whole ones.
          forget_bias: the initial value of b_f.
          initializer: of W, as for `LSTM`.
          name: Haiku's module name.

        Raises:
          UserError: `rounds` is negative, or `rank` not positive.
        """
        super().__init__(hidden_size, forget_bias, initializer, name)
        if rounds < 0:
            raise UserError(f"mogrifier_lstm: rounds={rounds} is negative: choose 0 or more")
        if rank is not None and rank < 1:
            raise UserError(f"mogrifier_lstm: rank={rank} is too small: choose 1 or more, or None")
        self.rounds, self.rank = rounds, rank

    def __call__(self, x: jax.Array, state: hk.LSTMState) -> tuple[jax.Array, hk.LSTMState]:
        """One step: x of shape [..., D] and a pair (h, c) of [..., H] to h and the new pair."""
        h, c = state
        for r in range(1, self.rounds + 1):
            if r % 2:
                x = 2 * jax.nn.sigmoid(_matrix(f"Q_{r}", h, x.shape[-1], self.rank)) * x
            else:
                h = 2 * jax.nn.sigmoid(_matrix(f"R_{r}", x, h.shape[-1], self.rank)) * h
        return super().__call__(x, hk.LSTMState(h, c))


def _matrix(name: str, v, size: int, rank: int | None):
    """The product of v and a matrix, which is itself a product of two if there is a rank."""
    if rank is not None:
        v = hk.Linear(rank, with_bias=False, name=f"{name}_right")(v)
        name = f"{name}_left"
    return hk.Linear(size, with_bias=False, name=name)(v)


@register("nas", family="lstm", cites="zoph2017neural")
class NAS(Cell):
    r"""The cell that neural architecture search found for Penn Treebank (Zoph & Le 2017).

    .. math::
        u^k = U_k x_t, \quad w^k = W_k h_{t-1} + b_k, \quad k = 0, \dots, 7 \\
        y^0 = \tanh(\sigma(u^0 + w^0) \odot \mathrm{relu}(u^1 + w^1)) \\
        y^1 = \tanh(\sigma(u^2 + w^2) + \mathrm{relu}(u^3 \odot w^3)) \\
        y^2 = \tanh(\tanh(u^4 + w^4) \odot \sigma(u^5 + w^5)) \\
        y^3 = \sigma(\tanh(u^6 + w^6) + \sigma(u^7 + w^7)) \\
        c_t = \tanh(y^0 + c_{t-1}) \odot y^1 \\
        h_t = \tanh(c_t \odot \tanh(y^2 + y^3))

    The output is h_t, the state the pair (h, c). The paper draws the cell and prints no equations:
    these are those of the authors' NASCell in TensorFlow, with its `use_bias=True`.
    torchrecurrent's NASCell has u^3 + w^3 in the place of the product u^3 * w^3, and so is another
    cell. The eight blocks are stored side by side, the biases with W.
    """

    def __init__(self, hidden_size: int, initializer: Init = "orthogonal", name: str | None = None):
        """Makes the cell.

        Args:
          hidden_size: H, the number of units.
          initializer: of each block of W; a name of `rnnzoo.cells.base.INITIALIZERS`, or a Haiku
            initialiser of the whole [H, 8H].
          name: Haiku's module name.
        """
        super().__init__(hidden_size, name)
        self.w_init: Callable[..., jax.Array] = find_initializer(initializer, blocks=8)

    def __call__(self, x: jax.Array, state: hk.LSTMState) -> tuple[jax.Array, hk.LSTMState]:
        """One step: x of shape [..., D] and a pair (h, c) of [..., H] to h and the new pair."""
        h, c = state
        W = hk.Linear(8 * self.hidden_size, w_init=self.w_init, name="W")  # with the biases b
        U = hk.Linear(8 * self.hidden_size, with_bias=False, name="U")
        u, w = jnp.split(U(x), 8, axis=-1), jnp.split(W(h), 8, axis=-1)
        sigmoid, relu = jax.nn.sigmoid, jax.nn.relu
        y_0 = jnp.tanh(sigmoid(u[0] + w[0]) * relu(u[1] + w[1]))
        y_1 = jnp.tanh(sigmoid(u[2] + w[2]) + relu(u[3] * w[3]))
        y_2 = jnp.tanh(jnp.tanh(u[4] + w[4]) * sigmoid(u[5] + w[5]))
        y_3 = sigmoid(jnp.tanh(u[6] + w[6]) + sigmoid(u[7] + w[7]))
        c = jnp.tanh(y_0 + c) * y_1
        h = jnp.tanh(c * jnp.tanh(y_2 + y_3))
        return h, hk.LSTMState(h, c)

    def initial_state(self, batch_size: int | None) -> hk.LSTMState:
        """A pair of zeros, each of shape [batch_size, H], or [H] for a `batch_size` of None."""
        zeros = super().initial_state(batch_size)
        return hk.LSTMState(zeros, zeros)
