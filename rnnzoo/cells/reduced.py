"""Gated cells reduced to fewer gates or products."""

from collections.abc import Callable

import haiku as hk
import jax
import jax.numpy as jnp

from rnnzoo.cells.base import Activation, Cell, Init, find_activation, find_initializer
from rnnzoo.errors import UserError
from rnnzoo.registry import register


class _Reduced(Cell):
    """A cell with one recurrent matrix W, of so many blocks side by side."""

    blocks = 1

    def __init__(self, hidden_size: int, initializer: Init = "orthogonal", name: str | None = None):
        """Makes the cell.

        Args:
          hidden_size: H, the number of units.
          initializer: of each block of W; a name of `rnnzoo.cells.base.INITIALIZERS`, or a Haiku
            initialiser of all of W.
          name: Haiku's module name.
        """
        super().__init__(hidden_size, name)
        self.w_init: Callable[..., jax.Array] = find_initializer(initializer, self.blocks)


@register("janet", family="reduced", cites="vanderwesthuizen2018unreasonable")
class JANET(Cell):
    r"""JANET, "just another network": an LSTM with nothing but the forget gate.

    .. math::
        s_t = U_f x_t + W_f h_{t-1} + b_f \\
        g_t = \tanh(U_g x_t + W_g h_{t-1} + b_g) \\
        h_t = \sigma(s_t) \odot h_{t-1} + (1 - \sigma(s_t - \beta)) \odot g_t

    The output is the new state h_t, the paper's c_t. b_f starts from the chrono initialisation of
    Tallec and Ollivier (2018), the logarithm of uniform noise in [1, t_max - 1], where t_max is the
    longest dependency expected: 784 pixels of an MNIST image in the paper. torchrecurrent trains beta
    and starts b_f from 0. The gates are stored side by side as (f, g).
    """

    def __init__(
        self,
        hidden_size: int,
        beta: float = 1.0,
        t_max: float = 784.0,
        initializer: Init = "orthogonal",
        name: str | None = None,
    ):
        """Makes the cell.

        Args:
          hidden_size: H, the number of units.
          beta: how far the gate that lets in is shifted; above 0, more comes in than is forgotten.
          t_max: what b_f is drawn for, in time steps, above 2; with None b_f starts from 1.
          initializer: of each block of W, as for `MinimalRNN`.
          name: Haiku's module name.

        Raises:
          UserError: `t_max` is too small.
        """
        super().__init__(hidden_size, name)
        self.w_init: Callable[..., jax.Array] = find_initializer(initializer, blocks=2)
        self.beta = beta
        self.f_init: Callable[..., jax.Array] = (
            hk.initializers.Constant(1.0) if t_max is None else _chrono("janet", t_max)
        )

    def __call__(self, x: jax.Array, h: jax.Array) -> tuple[jax.Array, jax.Array]:
        """One step: x of shape [..., D] and h of shape [..., H] to (h, h)."""
        W = hk.Linear(2 * self.hidden_size, with_bias=False, w_init=self.w_init, name="W")
        U = hk.Linear(2 * self.hidden_size, b_init=self._bias, name="U")  # with the biases b
        s, g = jnp.split(U(x) + W(h), 2, axis=-1)
        let_in = jax.nn.sigmoid(self.beta - s)  # 1 - sigmoid(s - beta)
        h = jax.nn.sigmoid(s) * h + let_in * jnp.tanh(g)
        return h, h

    def _bias(self, shape, dtype):
        H = self.hidden_size
        return jnp.concatenate([self.f_init((H,), dtype), jnp.zeros(H, dtype)])


@register("minimal_rnn", family="reduced", cites="chen2017minimalrnn")
class MinimalRNN(_Reduced):
    r"""MinimalRNN: the input is encoded by itself, and one gate mixes it into the state.

    .. math::
        z_t = \tanh(U x_t + b_z) \\
        u_t = \sigma(W h_{t-1} + V z_t + b_u) \\
        h_t = u_t \odot h_{t-1} + (1 - u_t) \odot z_t

    The output is the new state h_t. The paper's W_x, U_h, U_z are U, W, V. The encoder may be any
    network, which then stands below the cell; this is the single layer of the paper's experiments.
    """

    def __call__(self, x: jax.Array, h: jax.Array) -> tuple[jax.Array, jax.Array]:
        """One step: x of shape [..., D] and h of shape [..., H] to (h, h)."""
        W = hk.Linear(self.hidden_size, with_bias=False, w_init=self.w_init, name="W")
        U = hk.Linear(self.hidden_size, name="U")  # with the bias b_z
        V = hk.Linear(self.hidden_size, name="V")  # with the bias b_u
        z = jnp.tanh(U(x))
        u = jax.nn.sigmoid(W(h) + V(z))
        h = u * h + (1 - u) * z
        return h, h


@register("ran", family="reduced", cites="lee2017recurrent")
class RAN(Cell):
    r"""The recurrent additive network: the memory is a gated sum of linear images of the inputs.

    .. math::
        i_t = \sigma(U_i x_t + W_i h_{t-1} + b_i) \\
        f_t = \sigma(U_f x_t + W_f h_{t-1} + b_f) \\
        c_t = i_t \odot U_c x_t + f_t \odot c_{t-1} \\
        h_t = g(c_t)

    The output is h_t, the state c_t alone: h_{t-1} is made from it again. g is tanh or the identity,
    both the paper's. U_c has no bias, nor has torchrecurrent's, against its docstring. The gates are
    stored side by side as (i, f).
    """

    def __init__(
        self,
        hidden_size: int,
        activation: Activation = "tanh",
        initializer: Init = "orthogonal",
        name: str | None = None,
    ):
        """Makes the cell.

        Args:
          hidden_size: H, the number of units.
          activation: g; a name of `rnnzoo.cells.base.ACTIVATIONS`, or a function.
          initializer: of each block of W, as for `MinimalRNN`.
          name: Haiku's module name.
        """
        super().__init__(hidden_size, name)
        self.w_init: Callable[..., jax.Array] = find_initializer(initializer, blocks=2)
        self.activation: Callable[[jax.Array], jax.Array] = find_activation(activation)

    def __call__(self, x: jax.Array, c: jax.Array) -> tuple[jax.Array, jax.Array]:
        """One step: x of shape [..., D] and c of shape [..., H] to (h, c)."""
        W = hk.Linear(2 * self.hidden_size, with_bias=False, w_init=self.w_init, name="W")
        U = hk.Linear(2 * self.hidden_size, name="U")  # with the biases b
        U_c = hk.Linear(self.hidden_size, with_bias=False, name="U_c")
        i, f = jnp.split(jax.nn.sigmoid(U(x) + W(self.activation(c))), 2, axis=-1)
        c = i * U_c(x) + f * c
        return self.activation(c), c


@register("atr", family="reduced", cites="zhang2018simplifying")
class ATR(_Reduced):
    r"""The addition-subtraction twin-gated unit: both gates from the same two products.

    .. math::
        p_t = U x_t \\
        q_t = W h_{t-1} + b \\
        i_t = \sigma(p_t + q_t) \\
        f_t = \sigma(p_t - q_t) \\
        h_t = i_t \odot p_t + f_t \odot h_{t-1}

    The output is the new state h_t, which is not bounded. The paper writes no bias; its authors' code
    has this one. torchrecurrent has one more, in p_t.
    """

    def __call__(self, x: jax.Array, h: jax.Array) -> tuple[jax.Array, jax.Array]:
        """One step: x of shape [..., D] and h of shape [..., H] to (h, h)."""
        p = hk.Linear(self.hidden_size, with_bias=False, name="U")(x)
        q = hk.Linear(self.hidden_size, w_init=self.w_init, name="W")(h)  # with the bias b
        h = jax.nn.sigmoid(p + q) * p + jax.nn.sigmoid(p - q) * h
        return h, h


@register("cfn", family="reduced", cites="laurent2017recurrent")
class CFN(_Reduced):
    r"""The chaos-free network: without input, every unit decays to zero.

    .. math::
        \theta_t = \sigma(U_\theta x_t + W_\theta h_{t-1} + b_\theta) \\
        \eta_t = \sigma(U_\eta x_t + W_\eta h_{t-1} + b_\eta) \\
        h_t = \theta_t \odot \tanh(h_{t-1}) + \eta_t \odot \tanh(U_h x_t)

    The output is the new state h_t. b_theta starts from 1 and b_eta from -1, as in the paper, whose
    other weights start from uniform noise in [-0.07, 0.07]. torchrecurrent has a bias beside U_h and
    starts all from 0. The gates are stored side by side as (theta, eta).
    """

    blocks = 2

    def __call__(self, x: jax.Array, h: jax.Array) -> tuple[jax.Array, jax.Array]:
        """One step: x of shape [..., D] and h of shape [..., H] to (h, h)."""
        W = hk.Linear(2 * self.hidden_size, with_bias=False, w_init=self.w_init, name="W")
        U = hk.Linear(2 * self.hidden_size, b_init=self._bias, name="U")  # with the biases b
        U_h = hk.Linear(self.hidden_size, with_bias=False, name="U_h")
        theta, eta = jnp.split(jax.nn.sigmoid(U(x) + W(h)), 2, axis=-1)
        h = theta * jnp.tanh(h) + eta * jnp.tanh(U_h(x))
        return h, h

    def _bias(self, shape, dtype):
        return jnp.ones(shape, dtype).at[self.hidden_size :].set(-1)


@register("fast_rnn", family="reduced", cites="kusupati2018fastgrnn")
class FastRNN(_Reduced):
    r"""FastRNN: an Elman cell with a residual connection, weighted by two trained numbers.

    .. math::
        \tilde{h}_t = \tanh(U x_t + W h_{t-1} + b) \\
        h_t = \sigma(\alpha) \tilde{h}_t + \sigma(\beta) h_{t-1}

    The output is the new state h_t. alpha and beta start as in the authors' EdgeML: most is kept.
    torchrecurrent starts them the other way round.
    """

    alpha: float
    beta: float

    def __init__(
        self,
        hidden_size: int,
        alpha: float = -3.0,
        beta: float = 3.0,
        initializer: Init = "orthogonal",
        name: str | None = None,
    ):
        """Makes the cell.

        Args:
          hidden_size: H, the number of units.
          alpha: what alpha starts from.
          beta: what beta starts from.
          initializer: of W, as for `MinimalRNN`.
          name: Haiku's module name.
        """
        super().__init__(hidden_size, initializer, name)
        self.alpha, self.beta = alpha, beta

    def __call__(self, x: jax.Array, h: jax.Array) -> tuple[jax.Array, jax.Array]:
        """One step: x of shape [..., D] and h of shape [..., H] to (h, h)."""
        W = hk.Linear(self.hidden_size, with_bias=False, w_init=self.w_init, name="W")
        U = hk.Linear(self.hidden_size, name="U")  # with the bias b
        alpha, beta = _trained_gates(x.dtype, alpha=self.alpha, beta=self.beta)
        h = alpha * jnp.tanh(U(x) + W(h)) + beta * h
        return h, h


@register("fast_grnn", family="reduced", cites="kusupati2018fastgrnn")
class FastGRNN(_Reduced):
    r"""FastGRNN: gate and candidate are two readings of one product.

    .. math::
        z_t = \sigma(U x_t + W h_{t-1} + b_z) \\
        \tilde{h}_t = \tanh(U x_t + W h_{t-1} + b_h) \\
        h_t = (\sigma(\zeta) (1 - z_t) + \sigma(\nu)) \odot \tilde{h}_t + z_t \odot h_{t-1}

    The output is the new state h_t. zeta and nu start as in the authors' EdgeML, where the biases start
    from 1 and not from 0. The paper's low-rank, sparse and quantised weights are not part of the cell.
    torchrecurrent's gate is a tanh by default, and its zeta and nu start from 3 and -3.
    """

    zeta: float
    nu: float

    def __init__(
        self,
        hidden_size: int,
        zeta: float = 1.0,
        nu: float = -4.0,
        initializer: Init = "orthogonal",
        name: str | None = None,
    ):
        """Makes the cell.

        Args:
          hidden_size: H, the number of units.
          zeta: what zeta starts from.
          nu: what nu starts from.
          initializer: of W, as for `MinimalRNN`.
          name: Haiku's module name.
        """
        super().__init__(hidden_size, initializer, name)
        self.zeta, self.nu = zeta, nu

    def __call__(self, x: jax.Array, h: jax.Array) -> tuple[jax.Array, jax.Array]:
        """One step: x of shape [..., D] and h of shape [..., H] to (h, h)."""
        W = hk.Linear(self.hidden_size, with_bias=False, w_init=self.w_init, name="W")
        U = hk.Linear(self.hidden_size, with_bias=False, name="U")
        b_z = hk.get_parameter("b_z", (self.hidden_size,), x.dtype, jnp.zeros)
        b_h = hk.get_parameter("b_h", (self.hidden_size,), x.dtype, jnp.zeros)
        zeta, nu = _trained_gates(x.dtype, zeta=self.zeta, nu=self.nu)
        product = U(x) + W(h)
        z = jax.nn.sigmoid(product + b_z)
        h = (zeta * (1 - z) + nu) * jnp.tanh(product + b_h) + z * h
        return h, h


@register("star", family="reduced", cites="turkoglu2021gating")
class STAR(_Reduced):
    r"""The stackable recurrent cell: one gate, made to keep gradients alike over many layers.

    .. math::
        k_t = \sigma(U_k x_t + W h_{t-1} + b_k) \\
        z_t = \tanh(U_z x_t + b_z) \\
        h_t = \tanh((1 - k_t) \odot h_{t-1} + k_t \odot z_t)

    The output is the new state h_t. With `t_max`, b_k starts from JANET's chrono noise, negated, as in
    the authors' code (784), which also mixes by JANET's two gates, not by the paper's equation. The
    gates are stored side by side as (k, z).
    """

    def __init__(
        self,
        hidden_size: int,
        t_max: float | None = None,
        initializer: Init = "orthogonal",
        name: str | None = None,
    ):
        """Makes the cell.

        Args:
          hidden_size: H, the number of units.
          t_max: what b_k is drawn for, in time steps, above 2; with None b_k starts from 0.
          initializer: of W, as for `MinimalRNN`.
          name: Haiku's module name.

        Raises:
          UserError: `t_max` is too small.
        """
        super().__init__(hidden_size, initializer, name)
        self.forget_init: Callable[..., jax.Array] = (
            jnp.zeros if t_max is None else _chrono("star", t_max)
        )

    def __call__(self, x: jax.Array, h: jax.Array) -> tuple[jax.Array, jax.Array]:
        """One step: x of shape [..., D] and h of shape [..., H] to (h, h)."""
        W = hk.Linear(self.hidden_size, with_bias=False, w_init=self.w_init, name="W")
        U = hk.Linear(2 * self.hidden_size, b_init=self._bias, name="U")  # with the biases b
        Ux_k, Ux_z = jnp.split(U(x), 2, axis=-1)
        k = jax.nn.sigmoid(Ux_k + W(h))
        h = jnp.tanh((1 - k) * h + k * jnp.tanh(Ux_z))
        return h, h

    def _bias(self, shape, dtype):
        H = self.hidden_size
        return jnp.concatenate([-self.forget_init((H,), dtype), jnp.zeros(H, dtype)])


def _chrono(cell: str, t_max: float):
    """The chrono initialiser of a forget gate's bias, for dependencies of up to t_max steps."""
    if not t_max > 2:
        raise UserError(
            f"{cell}: t_max={t_max!r} time steps are too few: give more than 2, or None"
        )
    uniform = hk.initializers.RandomUniform(1.0, t_max - 1)
    return lambda shape, dtype: jnp.log(uniform(shape, jnp.float32)).astype(dtype)


def _trained_gates(dtype, **starts: float) -> list[jax.Array]:
    """Single trained numbers by name, each through a sigmoid."""
    numbers = {n: hk.initializers.Constant(start) for n, start in starts.items()}
    return [jax.nn.sigmoid(hk.get_parameter(n, (), dtype, init)) for n, init in numbers.items()]
