"""Cells that are linear over time: their gates read the input, not the state."""

import math
from collections.abc import Callable

import haiku as hk
import jax
import jax.numpy as jnp

from rnnzoo.cells.base import (
    Activation,
    Cell,
    Init,
    LinearCell,
    Pair,
    Parallel,
    find_activation,
    find_initializer,
    linear_scan,
    wide,
)
from rnnzoo.errors import UserError, did_you_mean
from rnnzoo.registry import register


@register("linear_rnn", family="linear", cites="white2004short", linear=True)
class LinearRNN(Cell):
    r"""The Elman cell without its nonlinearity.

    .. math:: h_t = W h_{t-1} + U x_t + b

    The output is the new state h_t. W is a dense matrix and starts orthogonal, as White, Lee and
    Sompolinsky (2004) have it, so that the past is neither lost nor amplified. There is no `parallel`:
    an associative scan would multiply [H, H] matrices, H times the work of the loop.
    """

    def __init__(self, hidden_size: int, initializer: Init = "orthogonal", name: str | None = None):
        """Makes the cell.

        Args:
          hidden_size: H, the number of units.
          initializer: of W; a name of `rnnzoo.cells.base.INITIALIZERS`, or a Haiku initialiser.
          name: Haiku's module name.
        """
        super().__init__(hidden_size, name)
        self.w_init: Callable[..., jax.Array] = find_initializer(initializer)

    def __call__(self, x: jax.Array, h: jax.Array) -> tuple[jax.Array, jax.Array]:
        """One step: x of shape [..., D] and h of shape [..., H] to (h, h)."""
        W = hk.Linear(self.hidden_size, with_bias=False, w_init=self.w_init, name="W")
        U = hk.Linear(self.hidden_size, name="U")  # with the bias b
        h = W(h) + U(x)
        return h, h


@register("qrnn", family="linear", cites="bradbury2017quasi", linear=True)
class QRNN(Cell):
    r"""The quasi-recurrent network: a convolution of width 2 over time, then gated pooling.

    .. math::
        z_t = \tanh(V_z x_{t-1} + U_z x_t + b_z) \\
        f_t = \sigma(V_f x_{t-1} + U_f x_t + b_f) \\
        o_t = \sigma(V_o x_{t-1} + U_o x_t + b_o) \\
        c_t = f_t \odot c_{t-1} + (1 - f_t) \odot z_t \\
        h_t = o_t \odot c_t

    This is `pooling="fo"`. 'f' has no output gate, h_t = c_t; 'ifo' has an input gate i_t of its own
    in place of 1 - f_t. The output is h_t, the state the pair (V x, c): what the last input adds to
    the next step stands for x_{t-1} itself, so that the state's size does not depend on D. Zeros are
    the padding of the paper. The gates are stored side by side as (z, f, o, i). Bradbury et al.'s
    (2017) zoneout and dense connections belong to the model around it; their library's f is 1 - f_t.
    """

    def __init__(self, hidden_size: int, pooling: str = "fo", name: str | None = None):
        """Makes the cell.

        Args:
          hidden_size: H, the number of units.
          pooling: 'f', 'fo' or 'ifo', the gates of the recurrence.
          name: Haiku's module name.

        Raises:
          UserError: `pooling` is none of these.
        """
        super().__init__(hidden_size, name)
        if pooling not in ("f", "fo", "ifo"):
            raise UserError(
                f"qrnn: pooling={pooling!r}: {did_you_mean(pooling, ['f', 'fo', 'ifo'])}"
            )
        self.gates: int = 1 + len(pooling)
        self.V = hk.Linear(self.gates * hidden_size, with_bias=False, name="V")
        self.U = hk.Linear(self.gates * hidden_size, name="U")  # with the biases b

    def _pooling(self, convolved):
        """The forget gate, what is added to the cell, and the output gate (1 if there is none)."""
        z, f, *o_i = jnp.split(wide(convolved), self.gates, axis=-1)
        o = jax.nn.sigmoid(o_i[0]) if o_i else 1.0
        i = jax.nn.sigmoid(o_i[1] if len(o_i) == 2 else -f)
        return jax.nn.sigmoid(f), i * jnp.tanh(z), o

    def __call__(self, x: jax.Array, state: Pair) -> tuple[jax.Array, Pair]:
        """One step: x of shape [..., D] and (V x, c) to h of shape [..., H] and the new pair."""
        Vx, c = state
        f, added, o = self._pooling(self.U(x) + Vx)
        c = (f * c + added).astype(c.dtype)
        return (o * c).astype(x.dtype), (self.V(x).astype(Vx.dtype), c)

    def parallel(self, xs: jax.Array, state: Pair) -> tuple[jax.Array, Pair]:
        """All time steps at once: xs of shape [T, ..., D] to the outputs and the last pair."""
        Vx, c = state
        Vxs = self.V(xs).astype(Vx.dtype)
        f, added, o = self._pooling(self.U(xs) + jnp.concatenate([Vx[None], Vxs[:-1]]))
        cs = linear_scan(f, added, c)
        return (o * cs).astype(xs.dtype), (Vxs[-1], cs[-1])

    def initial_state(self, batch_size: int | None) -> Pair:
        """A pair of zeros: [batch_size, kH] for k gates and [batch_size, H], or without that axis."""
        c = super().initial_state(batch_size)
        return jnp.concatenate([c] * self.gates, axis=-1), c


@register("sru", family="linear", cites="lei2018simple")
class SRU(Cell):
    r"""The simple recurrent unit.

    .. math::
        f_t = \sigma(U_f x_t + v_f \odot c_{t-1} + b_f) \\
        r_t = \sigma(U_r x_t + v_r \odot c_{t-1} + b_r) \\
        c_t = f_t \odot c_{t-1} + (1 - f_t) \odot U_c x_t \\
        h_t = r_t \odot c_t + (1 - r_t) \odot \alpha P x_t, \qquad \alpha = \sqrt{1 + 2 e^{\beta}}

    The output is h_t, the state c. P is the identity for D = H and a matrix otherwise; beta is
    `highway_bias`, where b_r starts. This is the form of Lei et al. (2018), whose gates read the
    state, so that it is not linear in it. `peephole=False` leaves v out, as their first version of
    2017 did: linear, with `parallel`. That version also had h_t = r_t tanh(c_t) + (1 - r_t) x_t,
    without alpha. U is stored as (c, f, r); the weights start uniform with variance 1/D, those of
    the gates, with a peephole, at half of it, and v at variance 1/2, as in the authors' library, which
    has alpha in the initial P instead of in the equation where D differs from H.
    """

    def __init__(
        self,
        hidden_size: int,
        peephole: bool = True,
        highway_bias: float = 0.0,
        name: str | None = None,
    ):
        """Makes the cell.

        Args:
          hidden_size: H, the number of units.
          peephole: whether the gates read c_{t-1}.
          highway_bias: the initial value of b_r; negative ones let more of x_t through.
          name: Haiku's module name.
        """
        super().__init__(hidden_size, name)
        self.peephole = peephole
        self.highway_bias = highway_bias
        self.alpha: float = math.sqrt(1 + 2 * math.exp(highway_bias))
        self.U = hk.Linear(3 * hidden_size, with_bias=False, w_init=self._weights, name="U")
        self.P = hk.Linear(hidden_size, with_bias=False, w_init=_UNIFORM, name="P")
        if not peephole:  # with one, the next gates wait for the last state
            self.parallel: Parallel = self._all_at_once

    def _weights(self, shape, dtype):
        H = self.hidden_size
        gates = math.sqrt(0.5) if self.peephole else 1.0
        return _UNIFORM(shape, dtype).at[:, H:].multiply(gates)

    def _bias(self, shape, dtype):
        return jnp.zeros(shape, dtype).at[self.hidden_size :].set(self.highway_bias)

    def _projected(self, x):
        """U_c x and, with their biases, the gates' share of x: [..., H] and [..., 2H]."""
        H = self.hidden_size
        Ux_c, Ux_fr = jnp.split(wide(self.U(x)), [H], axis=-1)
        b = hk.get_parameter("b", (2 * H,), x.dtype, self._bias)
        return Ux_c, Ux_fr + jnp.broadcast_to(b, Ux_fr.shape)

    def _highway(self, r, c, x):
        Px = x if x.shape[-1] == self.hidden_size else self.P(x)
        return (r * c + (1 - r) * (self.alpha * Px)).astype(x.dtype)

    def __call__(self, x: jax.Array, c: jax.Array) -> tuple[jax.Array, jax.Array]:
        """One step: x of shape [..., D] and c of shape [..., H] to h and the new c."""
        Ux_c, fr = self._projected(x)
        if self.peephole:
            H = self.hidden_size
            v = hk.get_parameter("v", (2 * H,), x.dtype, hk.initializers.RandomUniform(-_V, _V))
            fr = fr + v * jnp.concatenate([c, c], axis=-1)
        f, r = jnp.split(jax.nn.sigmoid(fr), 2, axis=-1)
        c = (f * c + (1 - f) * Ux_c).astype(c.dtype)
        return self._highway(r, c, x), c

    def _all_at_once(self, xs, c):
        """All time steps at once: xs of shape [T, ..., D] to the outputs and the last c."""
        Ux_c, fr = self._projected(xs)
        f, r = jnp.split(jax.nn.sigmoid(fr), 2, axis=-1)
        cs = linear_scan(f, (1 - f) * Ux_c, c)
        return self._highway(r, cs, xs), cs[-1]


@register("mingru", family="linear", cites="feng2024were", linear=True)
class MinGRU(LinearCell, Cell):
    r"""The minimal GRU: the gate and the candidate read the input alone.

    .. math::
        z_t = \sigma(U_z x_t + b_z) \\
        \tilde h_t = g(U_h x_t + b_h) \\
        h_t = (1 - z_t) \odot h_{t-1} + z_t \odot \tilde h_t

    The output is the new state h_t. g(x) is x + 1/2 for x >= 0 and sigma(x) below: the form that Feng
    et al. (2024) compute in log-space, where h has to be positive; `activation="identity"` is the
    plain form that they begin with. The recurrence is a weighted mean, so that nothing overflows
    without log-space either. The state starts from zeros, whereas the paper's parallel code puts the
    initial state through g, which makes 1/2 of zeros, and its sequential code does not. U is stored as
    (z, h). lucidrains' minGRU has no biases.
    """

    def __init__(self, hidden_size: int, activation: Activation = "g", name: str = "mingru"):
        """Makes the cell.

        Args:
          hidden_size: H, the number of units.
          activation: of the candidate: 'g', a name of `rnnzoo.cells.base.ACTIVATIONS`, or a function.
          name: Haiku's module name.
        """
        super().__init__(hidden_size, name)
        self.activation: Callable[[jax.Array], jax.Array] = (
            _g if activation == "g" else find_activation(activation)
        )
        self.U = hk.Linear(2 * hidden_size, name="U")  # with the biases b

    def coefficients(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """(1 - z, z * candidate), each of shape [..., H]."""
        z, h = jnp.split(wide(self.U(x)), 2, axis=-1)
        return jax.nn.sigmoid(-z), jax.nn.sigmoid(z) * self.activation(h)


@register("minlstm", family="linear", cites="feng2024were", linear=True)
class MinLSTM(LinearCell, Cell):
    r"""The minimal LSTM: its gates read the input alone and are scaled to add up to 1.

    .. math::
        f_t = \sigma(U_f x_t + b_f) \\
        i_t = \sigma(U_i x_t + b_i) \\
        \tilde h_t = g(U_h x_t + b_h) \\
        h_t = \frac{f_t}{f_t + i_t} \odot h_{t-1} + \frac{i_t}{f_t + i_t} \odot \tilde h_t

    The output is the new state h_t; g, the start and the option `activation` are those of `MinGRU`.
    The quotient is computed as sigma(log f - log i), which holds where both gates underflow. U is
    stored as (f, i, h).
    """

    def __init__(self, hidden_size: int, activation: Activation = "g", name: str = "minlstm"):
        """Makes the cell.

        Args:
          hidden_size: H, the number of units.
          activation: of the candidate, as for `MinGRU`.
          name: Haiku's module name.
        """
        super().__init__(hidden_size, name)
        self.activation: Callable[[jax.Array], jax.Array] = (
            _g if activation == "g" else find_activation(activation)
        )
        self.U = hk.Linear(3 * hidden_size, name="U")  # with the biases b

    def coefficients(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The scaled forget gate, and the scaled input gate times the candidate: [..., H] each."""
        f, i, h = jnp.split(wide(self.U(x)), 3, axis=-1)
        log_ratio = jax.nn.log_sigmoid(f) - jax.nn.log_sigmoid(i)
        return jax.nn.sigmoid(log_ratio), jax.nn.sigmoid(-log_ratio) * self.activation(h)


@register("gilr", family="linear", cites="martin2018parallelizing", linear=True)
class GILR(LinearCell, Cell):
    r"""The gated impulse linear recurrent layer.

    .. math::
        g_t = \sigma(U_g x_t + b_g) \\
        i_t = \tau(U_i x_t + b_i) \\
        h_t = g_t \odot h_{t-1} + (1 - g_t) \odot i_t

    The output is the new state h_t. Martin and Cundy (2018) leave the impulse's nonlinearity tau open;
    in their code it is ELU for this layer alone and tanh within the GILR-LSTM, an LSTM whose gates
    read this layer's h_{t-1} in place of its own output. U is stored as (g, i).
    """

    def __init__(self, hidden_size: int, activation: Activation = "tanh", name: str | None = None):
        """Makes the cell.

        Args:
          hidden_size: H, the number of units.
          activation: tau; a name of `rnnzoo.cells.base.ACTIVATIONS`, or a function.
          name: Haiku's module name.
        """
        super().__init__(hidden_size, name)
        self.activation: Callable[[jax.Array], jax.Array] = find_activation(activation)
        self.U = hk.Linear(2 * hidden_size, name="U")  # with the biases b

    def coefficients(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """(g, (1 - g) * i), each of shape [..., H]."""
        g, i = jnp.split(wide(self.U(x)), 2, axis=-1)
        return jax.nn.sigmoid(g), jax.nn.sigmoid(-g) * self.activation(i)


@register("hgrn", family="linear", cites="qin2023hierarchically", linear=True)
class HGRN(LinearCell):
    r"""The hierarchically gated recurrent unit, whose complex state turns as it decays.

    .. math::
        \mu_t = \sigma(U_\mu x_t + b_\mu) \\
        \lambda_t = \gamma + (1 - \gamma) \odot \mu_t \\
        c_t = \mathrm{SiLU}(U_r x_t + b_r) + i\, \mathrm{SiLU}(U_i x_t + b_i) \\
        h_t = \lambda_t \odot e^{i \theta} \odot h_{t-1} + (1 - \lambda_t) \odot c_t \\
        g_t = \sigma(U_g x_t + b_g) \\
        y_t = O\, \mathrm{LayerNorm}(g_t \odot [\mathrm{Re}\, h_t, \mathrm{Im}\, h_t]) + b_o

    The output is y_t, the state h, complex. This is the unit of Qin et al. (2023); in their network
    gamma is learnt and grows from layer to layer, here it is a constant of the cell, `lower_bound`.
    theta is learnt and starts at 10000^(-2k/H). The authors' library also has variants that normalise
    before they gate, with SiLU for the gate; that of flash-linear-attention is real, has no theta and
    an RMS norm. U is stored as (mu, r, i); theirs interleaves r and i.
    """

    def __init__(self, hidden_size: int, lower_bound: float = 0.0, name: str | None = None):
        """Makes the cell.

        Args:
          hidden_size: H, the number of units, complex ones in the state.
          lower_bound: gamma, what the forget gate does not fall below, from 0 to less than 1.
          name: Haiku's module name.

        Raises:
          UserError: `lower_bound` is out of its range.
        """
        super().__init__(name=name)
        if not 0 <= lower_bound < 1:
            raise UserError(
                f"hgrn: lower_bound={lower_bound!r} would not be a decay: give 0 <= lower_bound < 1"
            )
        self.hidden_size = hidden_size
        self.gamma = lower_bound
        self.U = hk.Linear(3 * hidden_size, name="U")  # with the biases b
        self.U_g: hk.Linear = hk.Linear(2 * hidden_size, name="U_g")
        self.norm: hk.LayerNorm = hk.LayerNorm(
            axis=-1, create_scale=True, create_offset=True, name="norm"
        )
        self.O = hk.Linear(hidden_size, name="O")

    def _angles(self, shape, dtype):
        exponents = jnp.arange(self.hidden_size) * (-2 / self.hidden_size)
        return (10000.0**exponents).astype(dtype)

    def coefficients(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """(lambda e^(i theta), (1 - lambda) c), complex, each of shape [..., H]."""
        theta = wide(hk.get_parameter("theta", (self.hidden_size,), x.dtype, self._angles))
        mu, re, im = jnp.split(wide(self.U(x)), 3, axis=-1)
        decay = self.gamma + (1 - self.gamma) * jax.nn.sigmoid(mu)
        share = (1 - self.gamma) * jax.nn.sigmoid(-mu)
        a = jax.lax.complex(decay * jnp.cos(theta), decay * jnp.sin(theta))
        return a, jax.lax.complex(share * jax.nn.silu(re), share * jax.nn.silu(im))

    def readout(self, h: jax.Array, x: jax.Array) -> jax.Array:
        """The output y, of shape [..., H] and the dtype of x."""
        parts = jnp.concatenate([h.real, h.imag], axis=-1).astype(x.dtype)
        return self.O(self.norm(jax.nn.sigmoid(self.U_g(x)) * parts))

    def initial_state(self, batch_size: int | None) -> jax.Array:
        """Complex zeros, of shape [batch_size, H], or [H] for a `batch_size` of None."""
        H = self.hidden_size
        return jnp.zeros((H,) if batch_size is None else (batch_size, H), complex)


_UNIFORM = hk.initializers.VarianceScaling(1.0, "fan_in", "uniform")
_V = math.sqrt(1.5)  # uniform on (-_V, _V) has variance 1/2


def _g(x):
    """The logistic function below 0, x + 1/2 from there on: positive, and linear where large."""
    return jnp.where(x >= 0, x + 0.5, jax.nn.sigmoid(x))
