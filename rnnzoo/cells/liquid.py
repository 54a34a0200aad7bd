"""Continuous-time cells solved or approximated within a step: LTC, CfC and the Legendre memory."""

from collections.abc import Callable

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
from scipy.linalg import expm

from rnnzoo.cells.base import Activation, Cell, Init, Pair, find_activation, find_initializer
from rnnzoo.errors import UserError
from rnnzoo.registry import register


@register("ltc", family="continuous", cites="hasani2021liquid")
class LTC(Cell):
    r"""The liquid time-constant network, by its fused solver.

    .. math::
        \dot h = -(1/\tau + f) \odot h + f \odot A, \quad f = \sigma(W h + U x_t + b)

    The solver makes L semi-implicit steps of size \delta = (time span) / L for each input:

    .. math:: h \leftarrow \frac{h + \delta f \odot A}{1 + \delta (1/\tau + f)}

    The output is the new state h_t, which stays between 0 and A. These are equations (1) to (3) and
    algorithm 1 of Hasani et al. (2021), whose x, I, gamma_r, gamma and mu are h, x, W, U and b here.
    The paper leaves f's activation open, with tanh for an example; the bounds that it proves are for a
    positive f, hence the logistic function. 1/tau = softplus(rho) starts from 1, A from U(-1, 1). The
    authors' code and ncps instead give every synapse a sigmoid, a weight and an A of its own, H^2 of
    them (Lechner et al. 2020); L = 6 is theirs.
    """

    def __init__(
        self,
        hidden_size: int,
        unfolds: int = 6,
        time_span: float = 1.0,
        initializer: Init = "orthogonal",
        name: str | None = None,
    ):
        """Makes the cell.

        Args:
          hidden_size: H, the number of neurons.
          unfolds: L, the solver's steps for one input.
          time_span: the time between two inputs.
          initializer: of W; a name of `rnnzoo.cells.base.INITIALIZERS`, or a Haiku initialiser.
          name: Haiku's module name.

        Raises:
          UserError: `unfolds` is not at least 1, or `time_span` not positive.
        """
        super().__init__(hidden_size, name)
        _require("ltc", "unfolds", unfolds >= 1, unfolds, "at least 1")
        _require("ltc", "time_span", time_span > 0, time_span, "positive")
        self.unfolds = unfolds
        self.delta: float = time_span / unfolds
        self.w_init: Callable[..., jax.Array] = find_initializer(initializer)

    def __call__(self, x: jax.Array, h: jax.Array) -> tuple[jax.Array, jax.Array]:
        """One step: x of shape [..., D] and h of shape [..., H] to (h, h)."""
        H = self.hidden_size
        W = hk.Linear(H, with_bias=False, w_init=self.w_init, name="W")
        Ux = hk.Linear(H, name="U")(x)  # with the bias b
        A = hk.get_parameter("A", (H,), Ux.dtype, hk.initializers.RandomUniform(-1.0, 1.0))
        rho_init = hk.initializers.Constant(float(np.log(np.expm1(1.0))))  # softplus of it is 1
        rho = hk.get_parameter("rho", (H,), Ux.dtype, rho_init)
        for _ in range(self.unfolds):
            f = jax.nn.sigmoid(W(h) + Ux)
            h = (h + self.delta * f * A) / (1 + self.delta * (jax.nn.softplus(rho) + f))
        return h, h


@register("cfc", family="continuous", cites="hasani2022closed")
class CfC(Cell):
    r"""The closed-form continuous-time network: an LTC's solution in closed form, without a solver.

    .. math::
        v_t = \mathrm{backbone}([x_t, h_{t-1}]) \\
        s_t = \sigma(\Delta t \, (W_a v_t + b_a) + W_b v_t + b_b) \\
        h_t = (1 - s_t) \odot \tanh(W_1 v_t + b_1) + s_t \odot \tanh(W_2 v_t + b_2)

    The output is the new state h_t. The backbone is a stack of dense layers with the activation
    1.7159 tanh(0.666 v). The four heads stand side by side as (1, 2, a, b): ff1, ff2, time_a and
    time_b of ncps and of the code of Hasani et al. (2022), with which this agrees. In the paper's
    equation, sigma(-f t) g + (1 - sigma(-f t)) h, the first two are g and h, and f t is W_a v t + W_b v
    with the biases. The time between inputs is fixed. As in ncps, weights start from Glorot's uniform;
    biases start from 0, not from torch's noise.
    """

    def __init__(
        self,
        hidden_size: int,
        backbone_units: int = 128,
        backbone_layers: int = 1,
        time_span: float = 1.0,
        name: str = "cfc",
    ):
        """Makes the cell.

        Args:
          hidden_size: H, the number of units.
          backbone_units: the width of the backbone's layers.
          backbone_layers: their number; for 0 the heads read [x, h] themselves.
          time_span: the time between two inputs.
          name: Haiku's module name.

        Raises:
          UserError: `backbone_units`, `backbone_layers` or `time_span` is too small.
        """
        super().__init__(hidden_size, name)
        _require("cfc", "backbone_units", backbone_units >= 1, backbone_units, "at least 1")
        _require("cfc", "backbone_layers", backbone_layers >= 0, backbone_layers, "at least 0")
        _require("cfc", "time_span", time_span > 0, time_span, "positive")
        self.backbone_sizes: list[int] = [backbone_units] * backbone_layers
        self.time_span = time_span

    def __call__(self, x: jax.Array, h: jax.Array) -> tuple[jax.Array, jax.Array]:
        """One step: x of shape [..., D] and h of shape [..., H] to (h, h)."""
        glorot = find_initializer("glorot")
        v = jnp.concatenate([x, h], axis=-1)
        for i, size in enumerate(self.backbone_sizes):
            v = lecun_tanh(hk.Linear(size, w_init=glorot, name=f"backbone_{i}")(v))
        heads_init = find_initializer("glorot", blocks=4)
        heads = hk.Linear(4 * self.hidden_size, w_init=heads_init, name="heads")
        f_1, f_2, t_a, t_b = jnp.split(heads(v), 4, axis=-1)
        s = jax.nn.sigmoid(self.time_span * t_a + t_b)
        h = (1 - s) * jnp.tanh(f_1) + s * jnp.tanh(f_2)
        return h, h


def lecun_tanh(v: jax.Array) -> jax.Array:
    """LeCun's (1998) scaled tanh, with the digits of ncps."""
    return 1.7159 * jnp.tanh(0.666 * v)


@register("lmu", family="continuous", cites="voelker2019legendre")
class LMU(Cell):
    r"""The Legendre memory unit: a window of the past as coefficients of Legendre polynomials.

    .. math::
        u_t = e_x^\top x_t + e_h^\top h_{t-1} + e_m^\top m_{t-1} \\
        m_t = \bar A m_{t-1} + \bar B u_t \\
        h_t = \tanh(W_x x_t + W_h h_{t-1} + W_m m_t)

    The output is h_t, the state the pair (h, m). m_t holds the first d coefficients of the last theta
    time steps of u. A-bar and B-bar are constants: the zero-order hold, for a step of 1, of

    .. math::
        \theta \dot m = A m + B u, \quad B_i = (2i + 1) (-1)^i, \quad
        A_{ij} = (2i + 1) \cdot (-1 \text{ if } i < j \text{ else } (-1)^{i-j+1})

    As in the code of Voelker et al. (2019), there is no bias, e_x and e_h start from LeCun's uniform,
    e_m from 0, and the matrices from Glorot's normal. KerasLMU leaves e_h, e_m and W_x out by default.
    """

    A_bar: np.ndarray
    B_bar: np.ndarray

    def __init__(
        self,
        hidden_size: int,
        order: int | None = None,
        theta: float = 128.0,
        activation: Activation = "tanh",
        name: str | None = None,
    ):
        """Makes the cell.

        Args:
          hidden_size: H, the number of hidden units.
          order: d, the number of coefficients; H if None.
          theta: the length of the window, in time steps.
          activation: of h; a name of `rnnzoo.cells.base.ACTIVATIONS`, or a function.
          name: Haiku's module name.

        Raises:
          UserError: `order` is not at least 1, or `theta` not positive.
        """
        super().__init__(hidden_size, name)
        self.order: int = hidden_size if order is None else order
        _require("lmu", "order", self.order >= 1, order, "at least 1")
        _require("lmu", "theta", theta > 0, theta, "positive")
        self.activation: Callable[[jax.Array], jax.Array] = find_activation(activation)
        self.A_bar, self.B_bar = legendre_system(self.order, theta)

    def __call__(self, x: jax.Array, state: Pair) -> tuple[jax.Array, Pair]:
        """One step: x of shape [..., D] and a pair of [..., H] and [..., d] to h and the new pair."""
        h, m = state
        lecun = hk.initializers.VarianceScaling(1.0, "fan_in", "uniform")
        e_x = hk.Linear(1, with_bias=False, w_init=lecun, name="e_x")
        e_h = hk.Linear(1, with_bias=False, w_init=lecun, name="e_h")
        e_m = hk.Linear(1, with_bias=False, w_init=jnp.zeros, name="e_m")
        glorot = hk.initializers.VarianceScaling(1.0, "fan_avg", "truncated_normal")
        W_x, W_h, W_m = (
            hk.Linear(self.hidden_size, with_bias=False, w_init=glorot, name=name)
            for name in ("W_x", "W_h", "W_m")
        )
        u = e_x(x) + e_h(h) + e_m(m)
        m = m @ jnp.asarray(self.A_bar.T, u.dtype) + u * jnp.asarray(self.B_bar, u.dtype)
        h = self.activation(W_x(x) + W_h(h) + W_m(m))
        return h, (h, m)

    def initial_state(self, batch_size: int | None) -> Pair:
        """Zeros, of shapes [batch_size, H] and [batch_size, d], or [H] and [d] for None."""
        m = jnp.zeros((self.order,) if batch_size is None else (batch_size, self.order))
        return super().initial_state(batch_size), m


def legendre_system(order: int, theta: float) -> tuple[np.ndarray, np.ndarray]:
    """A-bar of shape [d, d] and B-bar of shape [d]: the Legendre system, held for a step of 1."""
    i = np.arange(order)
    sign = np.where(i[:, None] < i, -1.0, (-1.0) ** (i[:, None] - i + 1))
    system = np.zeros((order + 1, order + 1))  # of m and of u, which is constant within the step
    system[:order, :order] = (2 * i[:, None] + 1) * sign
    system[:order, order] = (2 * i + 1) * (-1.0) ** i
    held = expm(system / theta)
    return held[:order, :order], held[:order, order]


def _require(cell: str, option: str, holds: bool, value, bound: str) -> None:
    if not holds:
        raise UserError(f"{cell}: {option} must be {bound}, not {value!r}")
