"""Cells with orthogonal or independent recurrent weights."""

import math
from collections.abc import Callable

import haiku as hk
import jax
import jax.numpy as jnp

from rnnzoo.cells.base import Activation, Cell, find_activation
from rnnzoo.errors import UserError, did_you_mean
from rnnzoo.registry import register


def _mod_relu(z, b):
    """The real modReLU of Arjovsky et al. (2016): shrinks or grows |z| by b, and keeps its sign."""
    return jnp.sign(z) * jax.nn.relu(jnp.abs(z) + b)


def _skew(A):
    """A - A^T, in float32 at least: what a matrix exponential or inverse needs."""
    A = A.astype(jnp.promote_types(A.dtype, jnp.float32))
    return A - A.T


# The angles that an orthogonal matrix starts with, as entries of the skew-symmetric one.
_SKEW_ENTRIES = {
    "cayley": lambda u: -jnp.tan(u * math.pi / 4),  # of an angle from U(0, pi/2)
    "henaff": lambda u: (2 * u - 1) * math.pi,
}


def _skew_initializer(cell: str, name: str):
    """Draws A of which A - A^T has the blocks [[0, s], [-s, 0]] along the diagonal.

    'cayley' is s = -sqrt((1 - cos u) / (1 + cos u)) = -tan(u / 2) with u from U(0, pi/2), after
    Helfrich et al. (2018); 'henaff' is s from U(-pi, pi), after Henaff et al. (2016).
    """
    if name not in _SKEW_ENTRIES:
        raise UserError(f"{cell}: initializer={name!r}: {did_you_mean(name, _SKEW_ENTRIES)}")

    def draw(shape, dtype):
        u = jax.random.uniform(hk.next_rng_key(), (shape[0] // 2,))
        rows = 2 * jnp.arange(shape[0] // 2)
        return jnp.zeros(shape, dtype).at[rows, rows + 1].set(_SKEW_ENTRIES[name](u).astype(dtype))

    return draw


@register("indrnn", family="orthogonal", cites="li2018independently")
class IndRNN(Cell):
    r"""The independently recurrent network: each unit sees its own past alone.

    .. math:: h_t = \mathrm{relu}(W x_t + u \odot h_{t-1} + b)

    The output is the new state h_t. u starts from U(0, 2^(1/T)): no memory grows more than twofold in T
    steps; for unknown T that is U(0, 1). The authors also keep abs(u) within the bound while they
    train: `bounded=True` clips it before use. Units mix only in the layers above, so stack two or
    more. torchrecurrent has tanh, a second bias, and u from N(0, 1).
    """

    def __init__(
        self,
        hidden_size: int,
        time_steps: int | None = None,
        bounded: bool = False,
        activation: Activation = "relu",
        name: str = "indrnn",
    ):
        """Makes the cell.

        Args:
          hidden_size: H, the number of units.
          time_steps: T, how far back a memory has to reach; infinitely far if not given.
          bounded: clip u to [-2^(1/T), 2^(1/T)].
          activation: a name of `rnnzoo.cells.base.ACTIVATIONS`, or a function.
          name: Haiku's module name.

        Raises:
          UserError: T is less than 1.
        """
        super().__init__(hidden_size, name)
        if time_steps is not None and time_steps < 1:
            raise UserError(f"indrnn: time_steps={time_steps} is no length of time: take 1 or more")
        self.bound: float = 1.0 if time_steps is None else 2 ** (1 / time_steps)
        self.bounded = bounded
        self.activation: Callable[[jax.Array], jax.Array] = find_activation(activation)

    def __call__(self, x: jax.Array, h: jax.Array) -> tuple[jax.Array, jax.Array]:
        """One step: x of shape [..., D] and h of shape [..., H] to (h, h)."""
        W = hk.Linear(self.hidden_size, name="W")  # with the bias b
        u_init = hk.initializers.RandomUniform(0.0, self.bound)
        u = hk.get_parameter("u", (self.hidden_size,), x.dtype, u_init)
        if self.bounded:
            u = jnp.clip(u, -self.bound, self.bound)
        h = self.activation(W(x) + u * h)
        return h, h


@register("exprnn", family="orthogonal", cites="lezcano2019cheap")
class ExpRNN(Cell):
    r"""The exponential RNN: the recurrent matrix is the exponential of a skew-symmetric one.

    .. math::
        W = \exp(A - A^\top) \\
        z_t = W h_{t-1} + U x_t \\
        h_t = \mathrm{sign}(z_t) \odot \mathrm{relu}(|z_t| + b)

    W is orthogonal, of determinant 1, whatever A is. The output is the new state h_t. As with all
    weights, the transpose of A is stored: the code reads h exp(A - A^T), as the authors' does; they
    use the triangle above A's diagonal alone. As theirs, U is of He's initialisation and has no bias,
    and b starts from U(-0.01, 0.01). Their later `dtriv` moves the point at which the exponential is
    taken while it trains; here it stays at the identity, as in the paper.
    """

    def __init__(self, hidden_size: int, initializer: str = "cayley", name: str = "exprnn"):
        """Makes the cell.

        Args:
          hidden_size: H, the number of units.
          initializer: of A, 'cayley' (rotations by less than a right angle) or 'henaff' (by any).
          name: Haiku's module name.

        Raises:
          UserError: no such initialiser.
        """
        super().__init__(hidden_size, name)
        self.a_init: Callable[..., jax.Array] = _skew_initializer("exprnn", initializer)

    def __call__(self, x: jax.Array, h: jax.Array) -> tuple[jax.Array, jax.Array]:
        """One step: x of shape [..., D] and h of shape [..., H] to (h, h)."""
        H = self.hidden_size
        A = hk.get_parameter("A", (H, H), x.dtype, self.a_init)
        b = hk.get_parameter("b", (H,), x.dtype, hk.initializers.RandomUniform(-0.01, 0.01))
        he = hk.initializers.VarianceScaling(2.0, "fan_in", "truncated_normal")
        U = hk.Linear(H, with_bias=False, w_init=he, name="U")
        W = jax.scipy.linalg.expm(_skew(A)).astype(x.dtype)
        h = _mod_relu(h @ W + U(x), b)
        return h, h


@register("scornn", family="orthogonal", cites="helfrich2018orthogonal")
class ScoRNN(Cell):
    r"""The scaled Cayley orthogonal RNN.

    .. math::
        S = A - A^\top \\
        W = (I + S)^{-1} (I - S) D \\
        z_t = W h_{t-1} + U x_t \\
        h_t = \mathrm{sign}(z_t) \odot \mathrm{relu}(|z_t| + b)

    W is orthogonal whatever A is. D is a constant diagonal of ones and then of minus ones, by which W
    may turn a direction about, as a Cayley transform alone can not. The output is the new state h_t.
    As for `ExpRNN`, the transpose of A is stored: the code reads h D (I + S)^{-1} (I - S). The authors'
    has D last, since it computes h W where the paper has W h; the matrices that can be reached are the
    same. They keep the skew-symmetric S itself and update it by hand. A starts from the same blocks as
    for `ExpRNN`, W D from rotations by up to a right angle, b from 0.
    """

    def __init__(self, hidden_size: int, negative: int | None = None, name: str = "scornn"):
        """Makes the cell.

        Args:
          hidden_size: H, the number of units.
          negative: how many entries of D are -1; half if not given, as in the paper's copying task.
          name: Haiku's module name.

        Raises:
          UserError: D has no room for that many.
        """
        super().__init__(hidden_size, name)
        self.negative: int = hidden_size // 2 if negative is None else negative
        if not 0 <= self.negative <= hidden_size:
            raise UserError(
                f"scornn: negative={negative} of {hidden_size} entries: take 0 to {hidden_size}"
            )
        self.a_init: Callable[..., jax.Array] = _skew_initializer("scornn", "cayley")

    def __call__(self, x: jax.Array, h: jax.Array) -> tuple[jax.Array, jax.Array]:
        """One step: x of shape [..., D] and h of shape [..., H] to (h, h)."""
        H = self.hidden_size
        A = hk.get_parameter("A", (H, H), x.dtype, self.a_init)
        b = hk.get_parameter("b", (H,), x.dtype, jnp.zeros)
        U = hk.Linear(H, with_bias=False, name="U")
        S = _skew(A)
        eye = jnp.eye(H, dtype=S.dtype)
        D = jnp.where(jnp.arange(H) < H - self.negative, 1, -1).astype(S.dtype)
        W = D[:, None] * jnp.linalg.solve(
            eye + S, eye - S
        )  # transposed, and S of the opposite sign
        h = _mod_relu(h @ W.astype(x.dtype) + U(x), b)
        return h, h


@register("lipschitz_rnn", family="orthogonal", cites="erichson2021lipschitz")
class LipschitzRNN(Cell):
    r"""The Lipschitz RNN: a linear part and a Lipschitz one, of matrices with controlled spectra.

    .. math::
        S(M) = (1 - \beta) (M + M^\top) + \beta (M - M^\top) - \gamma I \\
        A = S(M_A), \quad W = S(M_W) \\
        h_t = h_{t-1} + \epsilon \, (A h_{t-1} + \tanh(W h_{t-1} + U x_t + b))

    The output is the new state h_t. This is Euler's step of the paper's differential equation. beta
    from 0.5 to 1 makes the matrices more or less skew-symmetric, gamma pulls their eigenvalues to the
    left; both are shared by A and W, as in the paper's experiments, and not trained. Without A and with
    beta = 1 it is the antisymmetric RNN of Chang et al. (2019). The defaults are those of the authors'
    program, M from N(0, (0.1 / H)^2); for MNIST, pixel by pixel, they took beta = 0.75 and epsilon =
    0.03.
    """

    beta: float
    gamma: float
    step: float

    def __init__(
        self,
        hidden_size: int,
        beta: float = 0.7,
        gamma: float = 0.001,
        step: float = 0.1,
        stddev: float = 0.1,
        name: str | None = None,
    ):
        """Makes the cell.

        Args:
          hidden_size: H, the number of units.
          beta: the share of the skew-symmetric part.
          gamma: the damping.
          step: epsilon, the time that passes in a step.
          stddev: H times the standard deviation that M_A and M_W are drawn with.
          name: Haiku's module name.
        """
        super().__init__(hidden_size, name)
        self.beta, self.gamma, self.step = beta, gamma, step
        self.m_init: hk.initializers.RandomNormal = hk.initializers.RandomNormal(
            stddev / hidden_size
        )

    def _structured(self, name: str, dtype):
        H = self.hidden_size
        M = hk.get_parameter(name, (H, H), dtype, self.m_init)
        sums = (1 - self.beta) * (M + M.T) + self.beta * (M - M.T)
        return sums - self.gamma * jnp.eye(H, dtype=dtype)

    def __call__(self, x: jax.Array, h: jax.Array) -> tuple[jax.Array, jax.Array]:
        """One step: x of shape [..., D] and h of shape [..., H] to (h, h)."""
        A = self._structured("M_A", x.dtype)
        W = self._structured("M_W", x.dtype)
        U = hk.Linear(self.hidden_size, name="U")  # with the bias b
        h = h + self.step * (h @ A + jnp.tanh(h @ W + U(x)))
        return h, h
