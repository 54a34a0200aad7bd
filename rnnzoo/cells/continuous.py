"""Cells that step through an ordinary differential equation: antisymmetric and oscillatory ones."""

from collections.abc import Callable

import haiku as hk
import jax
import jax.numpy as jnp

from rnnzoo.cells.base import Cell, Init, Pair, find_initializer
from rnnzoo.errors import UserError, did_you_mean
from rnnzoo.registry import register

FAN_IN_NORMAL = hk.initializers.VarianceScaling(1.0, "fan_in", "normal")


@register("antisymmetric_rnn", family="continuous", cites="chang2019antisymmetricrnn")
class AntisymmetricRNN(Cell):
    r"""The antisymmetric network: Euler steps of a differential equation that is just stable.

    .. math:: h_t = h_{t-1} + \epsilon \tanh((W - W^\top - \gamma I) h_{t-1} + V x_t + b)

    The output is the new state h_t. The eigenvalues of W - W^T are imaginary, and the diffusion gamma
    makes up for the error of the Euler step of size epsilon: equation (12) of Chang et al. (2019). As
    theirs, W starts from N(0, sigma_w^2 / H), V from N(0, 1 / D), b from 0. They search for epsilon
    among 0.01, 0.1 and 1, for gamma, and for sigma_w from 0 to 16, on sequences of 784 steps and more;
    the defaults here are for text, which needs tens of steps. For hundreds take epsilon and gamma near
    0.01, with which a state hardly forgets. W is kept whole: its symmetric part has no effect, and
    W - W^T starts sqrt(2) times as large as by the strictly upper triangular W that the paper proposes.
    torchrecurrent's epsilon is 1, its gamma 0 and its W from N(0, 1), which is far from stable.
    """

    def __init__(
        self,
        hidden_size: int,
        epsilon: float = 0.5,
        gamma: float = 0.1,
        sigma_w: float = 1.0,
        name: str | None = None,
    ):
        """Makes the cell.

        Args:
          hidden_size: H, the number of units.
          epsilon: the size of the Euler step.
          gamma: the strength of the diffusion.
          sigma_w: W is drawn with standard deviation sigma_w / sqrt(H).
          name: Haiku's module name.
        """
        super().__init__(hidden_size, name)
        self.epsilon = epsilon
        self.gamma = gamma
        self.w_init: hk.initializers.RandomNormal = hk.initializers.RandomNormal(
            sigma_w / hidden_size**0.5
        )

    def __call__(self, x: jax.Array, h: jax.Array) -> tuple[jax.Array, jax.Array]:
        """One step: x of shape [..., D] and h of shape [..., H] to (h, h)."""
        Vx = hk.Linear(self.hidden_size, w_init=FAN_IN_NORMAL, name="V")(x)  # with the bias b
        h = h + self.epsilon * jnp.tanh(self.antisymmetric(h) + Vx)
        return h, h

    def antisymmetric(self, h: jax.Array) -> jax.Array:
        """(W - W^T - gamma I) h."""
        H = self.hidden_size
        W = hk.get_parameter("W", (H, H), h.dtype, self.w_init)
        return h @ (W - W.T) - self.gamma * h


@register("gated_antisymmetric_rnn", family="continuous", cites="chang2019antisymmetricrnn")
class GatedAntisymmetricRNN(AntisymmetricRNN):
    r"""The antisymmetric network with an input gate.

    .. math::
        a_t = (W - W^\top - \gamma I) h_{t-1} \\
        z_t = \sigma(a_t + V_z x_t + b_z) \\
        h_t = h_{t-1} + \epsilon z_t \odot \tanh(a_t + V_h x_t + b_h)

    The output is the new state h_t. The gate shares the product a_t, so that the Jacobian stays a
    diagonal matrix times an antisymmetric one, but for gamma: equation (13) of Chang et al. (2019),
    whose V_epsilon is V_z. V holds (V_z, V_h) side by side, torchrecurrent's order; its second bias is
    added to that of the tanh alone. Options as for `AntisymmetricRNN`.
    """

    def __call__(self, x: jax.Array, h: jax.Array) -> tuple[jax.Array, jax.Array]:
        """One step: x of shape [..., D] and h of shape [..., H] to (h, h)."""
        V = hk.Linear(2 * self.hidden_size, w_init=FAN_IN_NORMAL, name="V")  # with the biases b
        V_z, V_h = jnp.split(V(x), 2, axis=-1)
        a = self.antisymmetric(h)
        h = h + self.epsilon * jax.nn.sigmoid(a + V_z) * jnp.tanh(a + V_h)
        return h, h


class TwoStateCell(Cell):
    """A cell whose state is the pair (y, z), both of shape [..., H]."""

    def initial_state(self, batch_size: int | None) -> Pair:
        """A pair of zeros, each of shape [batch_size, H], or [H] for a `batch_size` of None."""
        zeros = super().initial_state(batch_size)
        return zeros, zeros


@register("cornn", family="continuous", cites="rusch2021coupled")
class CoRNN(TwoStateCell):
    r"""The coupled oscillatory network: damped, driven oscillators that force each other.

    .. math::
        z_t = z_{t-1} + \Delta t \, (\tanh(W_y y_{t-1} + W_z z_{t-1} + V x_t + b)
              - \gamma y_{t-1} - \epsilon z_{t-1}) \\
        y_t = y_{t-1} + \Delta t \, z_t

    The output is y_t, the state the pair (y, z) of positions and velocities. This is
    `damping="explicit"`, the authors' code. Rusch and Mishra (2021) also allow epsilon z_t, the
    implicit damping, which divides the right-hand side, without its damping, by 1 + dt epsilon. W_y
    is their W, W_z their calligraphic W. gamma and epsilon are their values for sequential MNIST, where
    dt is 0.042 for its 784 steps; their dt is 0.034 to 0.1 for all tasks, and the larger default here
    is for text, which needs tens of steps. Weights start from U(±1/sqrt(fan_in)), each matrix by its
    own fan-in, where they draw one matrix for [x, z, y], of fan-in D + 2H. torchrecurrent documents
    both dampings in different places, computes the explicit one, and has three biases that only occur
    as their sum; its dt is 0.1, its gamma and epsilon are 1.
    """

    def __init__(
        self,
        hidden_size: int,
        dt: float = 0.2,
        gamma: float = 2.7,
        epsilon: float = 4.7,
        damping: str = "explicit",
        initializer: Init = "torch",
        name: str = "cornn",
    ):
        """Makes the cell.

        Args:
          hidden_size: H, the number of oscillators.
          dt: the time step.
          gamma: the oscillators' stiffness, the square of their frequency.
          epsilon: the strength of the damping.
          damping: 'explicit' or 'implicit', by the old or by the new velocity.
          initializer: of W_y and W_z; a name of `rnnzoo.cells.base.INITIALIZERS`, or a Haiku
            initialiser.
          name: Haiku's module name.

        Raises:
          UserError: `damping` is neither.
        """
        super().__init__(hidden_size, name)
        if damping not in ("explicit", "implicit"):
            raise UserError(
                f"cornn: damping={damping!r}: {did_you_mean(damping, ['explicit', 'implicit'])}"
            )
        self.dt = dt
        self.gamma = gamma
        self.epsilon = epsilon
        self.damping = damping
        self.w_init: Callable[..., jax.Array] = find_initializer(initializer)
        self.v_init: Callable[..., jax.Array] = find_initializer("torch")

    def __call__(self, x: jax.Array, state: Pair) -> tuple[jax.Array, Pair]:
        """One step: x of shape [..., D] and a pair (y, z) of [..., H] to y and the new pair."""
        y, z = state
        H = self.hidden_size
        W_y = hk.Linear(H, with_bias=False, w_init=self.w_init, name="W_y")
        W_z = hk.Linear(H, with_bias=False, w_init=self.w_init, name="W_z")
        V = hk.Linear(H, w_init=self.v_init, name="V")  # with the bias b
        force = jnp.tanh(W_y(y) + W_z(z) + V(x)) - self.gamma * y
        if self.damping == "explicit":
            z = z + self.dt * (force - self.epsilon * z)
        else:
            z = (z + self.dt * force) / (1 + self.dt * self.epsilon)
        y = y + self.dt * z
        return y, (y, z)


@register("unicornn", family="continuous", cites="rusch2021unicornn")
class UnICORNN(TwoStateCell):
    r"""The undamped independent controlled oscillatory network: a symplectic Hamiltonian step.

    .. math::
        \delta = \Delta t \, \sigma(c) \\
        z_t = z_{t-1} - \delta \odot (\tanh(w \odot y_{t-1} + V x_t + b) + \alpha y_{t-1}) \\
        y_t = y_{t-1} + \delta \odot z_t

    The output is y_t, the state the pair (y, z) of positions and velocities. Each oscillator sees no
    other and learns its own time step, by c; they meet in the next layer, so this cell is meant to be
    stacked. The paper's sigma-hat, 1/2 + tanh(c/2)/2, is the logistic function. Rusch and Mishra
    (2021) tune dt and alpha: 0.19 and 30.65 for permuted MNIST; for IMDB 0.0066 and 0.205, by layer,
    and 0. The larger dt here is for text, which needs tens of steps. As in their code, w starts from
    U(0, 1), c from U(-0.1, 0.1) and V from Kaiming's uniform with slope 8. torchrecurrent computes the
    same; its dt is 0.1.
    """

    def __init__(
        self, hidden_size: int, dt: float = 0.5, alpha: float = 0.0, name: str = "unicornn"
    ):
        """Makes the cell.

        Args:
          hidden_size: H, the number of oscillators.
          dt: the longest time step.
          alpha: the oscillators' own stiffness, at least 0.
          name: Haiku's module name.
        """
        super().__init__(hidden_size, name)
        self.dt = dt
        self.alpha = alpha

    def __call__(self, x: jax.Array, state: Pair) -> tuple[jax.Array, Pair]:
        """One step: x of shape [..., D] and a pair (y, z) of [..., H] to y and the new pair."""
        y, z = state
        H = self.hidden_size
        v_init = hk.initializers.VarianceScaling(2 / (1 + 8**2), "fan_in", "uniform")
        Vx = hk.Linear(H, w_init=v_init, name="V")(x)  # with the bias b
        w = hk.get_parameter("w", (H,), Vx.dtype, hk.initializers.RandomUniform(0.0, 1.0))
        c = hk.get_parameter("c", (H,), Vx.dtype, hk.initializers.RandomUniform(-0.1, 0.1))
        delta = self.dt * jax.nn.sigmoid(c)
        z = z - delta * (jnp.tanh(w * y + Vx) + self.alpha * y)
        y = y + delta * z
        return y, (y, z)


@register("lem", family="continuous", cites="rusch2022long")
class LEM(TwoStateCell):
    r"""Long expressive memory: two states on many time scales, each with learned time steps.

    .. math::
        \delta_t = \Delta t \, \sigma(W_1 y_{t-1} + V_1 x_t + b_1) \\
        \bar\delta_t = \Delta t \, \sigma(W_2 y_{t-1} + V_2 x_t + b_2) \\
        z_t = (1 - \delta_t) \odot z_{t-1} + \delta_t \odot \tanh(W_z y_{t-1} + V_z x_t + b_z) \\
        y_t = (1 - \bar\delta_t) \odot y_{t-1} + \bar\delta_t \odot \tanh(W_y z_t + V_y x_t + b_y)

    The output is y_t, the state the pair (y, z). The gates stand side by side, (W_1, W_2, W_z) in W
    and (V_1, V_2, V_z, V_y) in V. All weights and biases start from U(±1/sqrt(H)), as those of Rusch
    et al. (2022). dt is theirs unless tuned, for images to 0.21 to 0.44. Their code has two biases that
    only occur as their sum, and stores the two time steps, and z's and y's input weights, in the
    opposite order. torchrecurrent's y reads the old z_{t-1} where the paper has z_t.
    """

    def __init__(self, hidden_size: int, dt: float = 1.0, name: str | None = None):
        """Makes the cell.

        Args:
          hidden_size: H, the number of units.
          dt: the longest time step, at most 1 (above it the states can overshoot).
          name: Haiku's module name.
        """
        super().__init__(hidden_size, name)
        self.dt = dt
        self.init: hk.initializers.RandomUniform = hk.initializers.RandomUniform(
            -(hidden_size**-0.5), hidden_size**-0.5
        )

    def __call__(self, x: jax.Array, state: Pair) -> tuple[jax.Array, Pair]:
        """One step: x of shape [..., D] and a pair (y, z) of [..., H] to y and the new pair."""
        y, z = state
        H = self.hidden_size
        W = hk.Linear(3 * H, with_bias=False, w_init=self.init, name="W")
        W_y = hk.Linear(H, with_bias=False, w_init=self.init, name="W_y")
        V = hk.Linear(4 * H, w_init=self.init, b_init=self.init, name="V")  # with the biases b
        W_12, W_z = jnp.split(W(y), [2 * H], axis=-1)
        V_12, V_z, V_y = jnp.split(V(x), [2 * H, 3 * H], axis=-1)
        delta, delta_bar = jnp.split(self.dt * jax.nn.sigmoid(W_12 + V_12), 2, axis=-1)
        z = (1 - delta) * z + delta * jnp.tanh(W_z + V_z)
        y = (1 - delta_bar) * y + delta_bar * jnp.tanh(W_y(z) + V_y)
        return y, (y, z)
