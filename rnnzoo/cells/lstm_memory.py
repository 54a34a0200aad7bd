"""Variants of the LSTM's memory: how it is nested, ordered, timed and read."""

import math
from collections.abc import Callable
from typing import NamedTuple

import haiku as hk
import jax
import jax.numpy as jnp

from rnnzoo.cells.base import Cell, Init, find_initializer
from rnnzoo.cells.gated import LSTM
from rnnzoo.cells.lstm_variants import PeepholeLSTM
from rnnzoo.errors import UserError
from rnnzoo.registry import register


@register("on_lstm", family="lstm", cites="shen2019ordered")
class OrderedNeuronsLSTM(LSTM):
    r"""ON-LSTM: the units are ordered, and high ones keep their memory longest (Shen et al. 2019).

    .. math::
        i_t, f_t, o_t = \sigma(U x_t + W h_{t-1} + b), \quad
        g_t = \tanh(U_g x_t + W_g h_{t-1} + b_g) \\
        \tilde f_t = \mathrm{cumax}(U_{\tilde f} x_t + W_{\tilde f} h_{t-1} + b_{\tilde f}) \\
        \tilde i_t = 1 - \mathrm{cumax}(U_{\tilde i} x_t + W_{\tilde i} h_{t-1} + b_{\tilde i}) \\
        \omega_t = \tilde f_t \odot \tilde i_t \\
        \hat f_t = f_t \odot \omega_t + (\tilde f_t - \omega_t) \\
        \hat i_t = i_t \odot \omega_t + (\tilde i_t - \omega_t) \\
        c_t = \hat f_t \odot c_{t-1} + \hat i_t \odot g_t \\
        h_t = o_t \odot \tanh(c_t)

    cumax is the cumulative sum of the softmax. The output is h_t, the state the pair (h, c). Each
    number of the master gates serves `chunk_size` neighbouring units; the paper has chunks of 10.
    The authors' code has two biases where there is one here. The gates are stored side by side as
    (i, f, g, o), the master gates apart from them as (f, i).
    """

    def __init__(
        self,
        hidden_size: int,
        chunk_size: int = 1,
        forget_bias: float = 1.0,
        initializer: Init = "orthogonal",
        name: str = "on_lstm",
    ):
        """Makes the cell.

        Args:
          hidden_size: H, the number of units.
          chunk_size: how many neighbouring units share a number of the master gates; divides H.
          forget_bias: the initial value of b_f.
          initializer: of each block of W and W_master, as for `LSTM`.
          name: Haiku's module name.

        Raises:
          UserError: the chunks do not make up `hidden_size`.
        """
        super().__init__(hidden_size, forget_bias, initializer, name)
        if chunk_size < 1 or hidden_size % chunk_size:
            raise UserError(
                f"on_lstm: chunk_size={chunk_size} does not divide hidden_size={hidden_size}: "
                "choose a divisor"
            )
        self.chunk_size = chunk_size
        self.w_master_init: Callable[..., jax.Array] = find_initializer(initializer, blocks=2)

    def __call__(self, x: jax.Array, state: hk.LSTMState) -> tuple[jax.Array, hk.LSTMState]:
        """One step: x of shape [..., D] and a pair (h, c) of [..., H] to h and the new pair."""
        h, c = state
        H, chunks = self.hidden_size, self.hidden_size // self.chunk_size
        W = hk.Linear(4 * H, with_bias=False, w_init=self.w_init, name="W")
        U = hk.Linear(4 * H, b_init=self._bias, name="U")  # with the biases b
        W_master = hk.Linear(
            2 * chunks, with_bias=False, w_init=self.w_master_init, name="W_master"
        )
        U_master = hk.Linear(2 * chunks, name="U_master")
        i, f, g, o = jnp.split(U(x) + W(h), 4, axis=-1)
        f_master, i_master = jnp.split(U_master(x) + W_master(h), 2, axis=-1)
        f_master = jnp.repeat(_cumax(f_master), self.chunk_size, axis=-1)
        i_master = jnp.repeat(1 - _cumax(i_master), self.chunk_size, axis=-1)
        overlap = f_master * i_master
        f = jax.nn.sigmoid(f) * overlap + (f_master - overlap)
        i = jax.nn.sigmoid(i) * overlap + (i_master - overlap)
        c = f * c + i * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return h, hk.LSTMState(h, c)


def _cumax(a):
    return jnp.cumsum(jax.nn.softmax(a), axis=-1)


@register("nested_lstm", family="lstm", cites="moniz2017nested")
class NestedLSTM(LSTM):
    r"""The LSTM whose memory is the output of another LSTM (Moniz & Krueger 2017).

    .. math::
        i_t, f_t, o_t = \sigma(U_1 x_t + W_1 h_{t-1} + b_1), \quad
        g_t = \tanh(U_{1,g} x_t + W_{1,g} h_{t-1} + b_{1,g}) \\
        \tilde x_t = i_t \odot g_t, \quad \tilde h_{t-1} = f_t \odot c_{t-1} \\
        \tilde i_t, \tilde f_t, \tilde o_t
            = \sigma(U_2 \tilde x_t + W_2 \tilde h_{t-1} + b_2), \quad
        \tilde g_t = \tanh(U_{2,g} \tilde x_t + W_{2,g} \tilde h_{t-1} + b_{2,g}) \\
        \tilde c_t = \tilde f_t \odot \tilde c_{t-1} + \tilde i_t \odot \tilde g_t \\
        c_t = \tilde o_t \odot \tanh(\tilde c_t) \\
        h_t = o_t \odot \tanh(c_t)

    This is `depth=2`. At a greater depth the inner memory is the output of an LSTM in turn;
    `depth=1` is `LSTM`. The output is h_t, the state the tuple (h, c, ...) with the memories from the
    outermost to the innermost. The gates of each level are stored side by side as (i, f, g, o).
    """

    def __init__(
        self,
        hidden_size: int,
        depth: int = 2,
        forget_bias: float = 1.0,
        initializer: Init = "orthogonal",
        name: str | None = None,
    ):
        """Makes the cell.

        Args:
          hidden_size: H, the number of units.
          depth: how many LSTMs are nested, the outermost included.
          forget_bias: the initial value of b_f at each level.
          initializer: of W at each level, as for `LSTM`.
          name: Haiku's module name.

        Raises:
          UserError: `depth` is less than 1.
        """
        super().__init__(hidden_size, forget_bias, initializer, name)
        if depth < 1:
            raise UserError(f"nested_lstm: depth={depth} is too small: choose 1 or more")
        self.depth = depth

    def __call__(
        self, x: jax.Array, state: tuple[jax.Array, ...]
    ) -> tuple[jax.Array, tuple[jax.Array, ...]]:
        """One step: x of shape [..., D] and (h, c, ...), each [..., H], to h and the new tuple."""

        def lstm(level, x, h, memories):
            c, *inner = memories
            H = self.hidden_size
            W = hk.Linear(4 * H, with_bias=False, w_init=self.w_init, name=f"W_{level}")
            U = hk.Linear(4 * H, b_init=self._bias, name=f"U_{level}")  # with the biases b
            i, f, g, o = jnp.split(U(x) + W(h), 4, axis=-1)
            new, kept = jax.nn.sigmoid(i) * jnp.tanh(g), jax.nn.sigmoid(f) * c
            c, inner = lstm(level + 1, new, kept, inner) if inner else (kept + new, ())
            return jax.nn.sigmoid(o) * jnp.tanh(c), (c, *inner)

        h, *memories = state
        h, memories = lstm(1, x, h, memories)
        return h, (h, *memories)

    def initial_state(self, batch_size: int | None) -> tuple[jax.Array, ...]:
        """1 + depth zeros, each of shape [batch_size, H], or [H] for a `batch_size` of None."""
        zeros = Cell.initial_state(self, batch_size)
        return (zeros,) * (1 + self.depth)


class PhasedLSTMState(NamedTuple):
    """h and c of shape [..., H], and the time t of the next step, a whole number of shape [...]."""

    hidden: jax.Array
    cell: jax.Array
    time: jax.Array


@register("phased_lstm", family="lstm", cites="neil2016phased")
class PhasedLSTM(PeepholeLSTM):
    r"""The LSTM of which each unit wakes up for a part of its own period only (Neil et al. 2016).

    .. math::
        \phi_t = \frac{(t - s) \bmod \tau}{\tau} \\
        k_t = \begin{cases}
            2 \phi_t / r & \phi_t < r / 2 \\
            2 - 2 \phi_t / r & r / 2 \le \phi_t < r \\
            \alpha \phi_t & \text{otherwise}
        \end{cases} \\
        c_t = k_t \odot \tilde c_t + (1 - k_t) \odot c_{t-1} \\
        h_t = k_t \odot \tilde h_t + (1 - k_t) \odot h_{t-1}

    where (h~, c~) is what `PeepholeLSTM` makes of x_t and (h_{t-1}, c_{t-1}). Of each unit, tau is
    the period, s the shift, r the part of the period in which it is open, and alpha the leak.

    The output is h_t, the state the triple (h, c, t). The time t is the index of the step, from 0,
    whereas the paper reads it with each input. tau = exp(log_tau) and r = sigmoid(logit_r), so that
    neither can reach 0; the authors' code takes absolute values, and adds s where the paper subtracts
    it. It has no leak outside of training; here the leak is always the same. The paper starts r at
    0.05, which for periods of 3 to 20 whole steps is at most one step; here it starts at 0.25.
    TensorFlow's PhasedLSTMCell has no peepholes by default, and no gradient of tau through the
    modulo.
    """

    log_period: tuple[float, float]
    ratio: float
    leak: float

    def __init__(
        self,
        hidden_size: int,
        log_period: tuple[float, float] = (1.0, 3.0),
        ratio: float = 0.25,
        leak: float = 0.001,
        forget_bias: float = 1.0,
        initializer: Init = "orthogonal",
        name: str | None = None,
    ):
        """Makes the cell.

        Args:
          hidden_size: H, the number of units.
          log_period: the range that log_tau is drawn from, uniformly; s is drawn from [0, tau).
          ratio: the initial value of r, between 0 and 1.
          leak: alpha, a constant.
          forget_bias: the initial value of b_f.
          initializer: of W, as for `LSTM`.
          name: Haiku's module name.

        Raises:
          UserError: `ratio` is not between 0 and 1.
        """
        super().__init__(hidden_size, forget_bias, initializer, name)
        if not 0 < ratio < 1:
            raise UserError(f"phased_lstm: ratio={ratio} is no part of a period: choose 0 < r < 1")
        self.log_period, self.ratio, self.leak = log_period, ratio, leak

    def __call__(self, x: jax.Array, state: PhasedLSTMState) -> tuple[jax.Array, PhasedLSTMState]:
        """One step: x of shape [..., D] and a state (h, c, t) to h, [..., H], and the new state."""
        h, c, t = state
        _, awake = super().__call__(x, hk.LSTMState(h, c))
        k = self._openness(t, x.dtype)
        h = k * awake.hidden + (1 - k) * h
        c = k * awake.cell + (1 - k) * c
        return h, PhasedLSTMState(h, c, t + 1)

    def _openness(self, t, dtype):
        """k_t, [..., H], in `dtype`."""
        shape = (self.hidden_size,)
        uniform = hk.initializers.RandomUniform
        logit = math.log(self.ratio / (1 - self.ratio))
        log_tau = hk.get_parameter("log_tau", shape, dtype, uniform(*self.log_period))
        s = hk.get_parameter(
            "s", shape, dtype, lambda *like: jnp.exp(log_tau) * uniform(0.0, 1.0)(*like)
        )
        logit_r = hk.get_parameter("logit_r", shape, dtype, hk.initializers.Constant(logit))

        wide = jnp.promote_types(dtype, jnp.float32)  # bfloat16 cannot count beyond 256
        log_tau, s, logit_r = log_tau.astype(wide), s.astype(wide), logit_r.astype(wide)
        periods = (t[..., None].astype(wide) - s) * jnp.exp(-log_tau)
        phi = periods - jnp.floor(periods)
        r = jax.nn.sigmoid(logit_r)
        rising = 2 * phi / r
        k = jnp.where(phi < r, jnp.where(phi < r / 2, rising, 2 - rising), self.leak * phi)
        return k.astype(dtype)

    def initial_state(self, batch_size: int | None) -> PhasedLSTMState:
        """Zeros: h and c of shape [batch_size, H], t of [batch_size]; no batch axis for None."""
        zeros = Cell.initial_state(self, batch_size)
        return PhasedLSTMState(zeros, zeros, jnp.zeros(zeros.shape[:-1], jnp.int32))


class MCLSTMState(NamedTuple):
    """The control vector v and the memory c, each of shape [..., H]."""

    control: jax.Array
    cell: jax.Array


@register("mclstm", family="lstm", cites="benari2017sequence")
class MCLSTM(LSTM):
    r"""MC-LSTM: one output predicts, another controls the memory (Ben-Ari & Shwartz-Ziv 2017).

    .. math::
        i_t = \sigma(U_i x_t + W_i v_{t-1} + b_i) \\
        f_t = \sigma(U_f x_t + W_f v_{t-1} + b_f) \\
        g_t = \tanh(U_g x_t + W_g v_{t-1} + b_g) \\
        o_t = \sigma(U_o x_t + W_o v_{t-1} + b_o) \\
        m_t = \sigma(U_m x_t + W_m v_{t-1} + b_m) \\
        c_t = f_t \odot c_{t-1} + i_t \odot g_t \\
        h_t = o_t \odot \tanh(c_t) \\
        v_t = m_t \odot \tanh(c_t)

    The output is h_t, the state the pair (v, c): the gates never see h. MC stands for memory
    controller, as in torchrecurrent's MCLSTM; the mass-conserving LSTM of Hoedt et al. (2021)
    shares the letters only. The gates are stored side by side as (i, f, g, o, m).
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
            initialiser of the whole [H, 5H].
          name: Haiku's module name.
        """
        super().__init__(hidden_size, forget_bias, name=name)
        self.w_init: Callable[..., jax.Array] = find_initializer(initializer, blocks=5)

    def __call__(self, x: jax.Array, state: MCLSTMState) -> tuple[jax.Array, MCLSTMState]:
        """One step: x of shape [..., D] and a pair (v, c) of [..., H] to h and the new pair."""
        v, c = state
        H = self.hidden_size
        W = hk.Linear(5 * H, with_bias=False, w_init=self.w_init, name="W")
        U = hk.Linear(5 * H, b_init=self._bias, name="U")  # with the biases b
        i, f, g, o, m = jnp.split(U(x) + W(v), 5, axis=-1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h, v = jax.nn.sigmoid(o) * jnp.tanh(c), jax.nn.sigmoid(m) * jnp.tanh(c)
        return h, MCLSTMState(v, c)

    def initial_state(self, batch_size: int | None) -> MCLSTMState:
        """A pair of zeros, each of shape [batch_size, H], or [H] for a `batch_size` of None."""
        zeros = Cell.initial_state(self, batch_size)
        return MCLSTMState(zeros, zeros)


@register("wmclstm", family="lstm", cites="landi2021working")
class WMCLSTM(LSTM):
    r"""The LSTM with working memory connections: its gates read the memory (Landi et al. 2021).

    .. math::
        i_t = \sigma(U_i x_t + W_i h_{t-1} + \tanh(V_i c_{t-1}) + b_i) \\
        f_t = \sigma(U_f x_t + W_f h_{t-1} + \tanh(V_f c_{t-1}) + b_f) \\
        g_t = \tanh(U_g x_t + W_g h_{t-1} + b_g) \\
        c_t = f_t \odot c_{t-1} + i_t \odot g_t \\
        o_t = \sigma(U_o x_t + W_o h_{t-1} + \tanh(V_o c_t) + b_o) \\
        h_t = o_t \odot \tanh(c_t)

    The output is h_t, the state the pair (h, c). Unlike a peephole, V is a whole matrix, and the
    tanh keeps a large memory from saturating the gates. torchrecurrent's WMCLSTM has biases inside
    of these tanh, which the paper does not; its docstring lacks the tanh. The gates are stored side
    by side as (i, f, g, o), V as (i, f).
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
          initializer: of each block of W, V and V_o, as for `LSTM`.
          name: Haiku's module name.
        """
        super().__init__(hidden_size, forget_bias, initializer, name)
        self.v_init: Callable[..., jax.Array] = find_initializer(initializer, blocks=2)
        self.v_o_init: Callable[..., jax.Array] = find_initializer(initializer)

    def __call__(self, x: jax.Array, state: hk.LSTMState) -> tuple[jax.Array, hk.LSTMState]:
        """One step: x of shape [..., D] and a pair (h, c) of [..., H] to h and the new pair."""
        h, c = state
        H = self.hidden_size
        W = hk.Linear(4 * H, with_bias=False, w_init=self.w_init, name="W")
        U = hk.Linear(4 * H, b_init=self._bias, name="U")  # with the biases b
        V = hk.Linear(2 * H, with_bias=False, w_init=self.v_init, name="V")
        V_o = hk.Linear(H, with_bias=False, w_init=self.v_o_init, name="V_o")
        i, f, g, o = jnp.split(U(x) + W(h), 4, axis=-1)
        seen_i, seen_f = jnp.split(jnp.tanh(V(c)), 2, axis=-1)
        c = jax.nn.sigmoid(f + seen_f) * c + jax.nn.sigmoid(i + seen_i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o + jnp.tanh(V_o(c))) * jnp.tanh(c)
        return h, hk.LSTMState(h, c)
