"""The simple recurrent networks: the Elman cell that rnnzoo grew from, and its kin."""

from collections.abc import Callable

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np

from rnnzoo.cells.base import Activation, Cell, Init, Pair, find_activation, find_initializer
from rnnzoo.errors import UserError
from rnnzoo.registry import register


@register("elman", family="classic", cites="elman1990finding")
class Elman(Cell):
    r"""The simple recurrent network of Elman.

    .. math:: h_t = \tanh(W h_{t-1} + U x_t + b)

    The output is the new state h_t; the paper's o_t = V h_t + c is the model's readout. Elman (1990)
    used the logistic function where today's networks use tanh: `activation="sigmoid"`. torch.nn.RNN
    and hk.VanillaRNN have a second bias, added to the first.
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
          activation: a name of `rnnzoo.cells.base.ACTIVATIONS`, or a function.
          initializer: of W; a name of `rnnzoo.cells.base.INITIALIZERS`, or a Haiku initialiser.
          name: Haiku's module name.
        """
        super().__init__(hidden_size, name)
        self.activation: Callable[[jax.Array], jax.Array] = find_activation(activation)
        self.w_init: Callable[..., jax.Array] = find_initializer(initializer)

    def __call__(self, x: jax.Array, h: jax.Array) -> tuple[jax.Array, jax.Array]:
        """One step: x of shape [..., D] and h of shape [..., H] to (h, h)."""
        W = hk.Linear(self.hidden_size, with_bias=False, w_init=self.w_init, name="W")
        U = hk.Linear(self.hidden_size, name="U")  # with the bias b
        h = self.activation(W(h) + U(x))
        return h, h


@register("stacked_elman", family="classic", cites="elman1990finding")
class StackedElman(hk.RNNCore):
    r"""Two Elman cells, the upper one reading the lower one's new state.

    .. math::
        h^1_t = \tanh(W_1 h^1_{t-1} + U_1 x_t + b_1) \\
        h^2_t = \tanh(W_2 h^2_{t-1} + U_2 h^1_t + b_2)

    The output is h^2_t, the state the pair (h^1, h^2): the two-layer case of the general stack,
    `make("elman", hidden_size, layers=2)`. The exercise that this project grew from prints the second
    equation with the first cell's weights and with its *previous* state h^1_{t-1}. `delayed=True`
    takes it at its word on the state, with own weights; the upper cell is then one step behind.
    """

    def __init__(
        self,
        hidden_size: int,
        delayed: bool = False,
        activation: Activation = "tanh",
        initializer: Init = "orthogonal",
        name: str | None = None,
    ):
        """Makes the two cells.

        Args:
          hidden_size: H, the number of units of each cell.
          delayed: the upper cell reads h^1_{t-1} instead of h^1_t.
          activation: as for `Elman`.
          initializer: of W_1 and W_2, as for `Elman`.
          name: Haiku's module name.
        """
        super().__init__(name=name)
        self.delayed = delayed
        self.lower: Elman = Elman(hidden_size, activation, initializer)
        self.upper: Elman = Elman(hidden_size, activation, initializer)

    def __call__(self, x: jax.Array, state: Pair) -> tuple[jax.Array, Pair]:
        """One step: x of shape [..., D] and a pair of [..., H] to the upper state and the new pair."""
        h_1, h_2 = state
        _, next_h_1 = self.lower(x, h_1)
        _, next_h_2 = self.upper(h_1 if self.delayed else next_h_1, h_2)
        return next_h_2, (next_h_1, next_h_2)

    def initial_state(self, batch_size: int | None) -> Pair:
        """A pair of zeros, each of shape [batch_size, H], or [H] for a `batch_size` of None."""
        return self.lower.initial_state(batch_size), self.upper.initial_state(batch_size)


@register("irnn", family="classic", cites="le2015simple")
class IRNN(Cell):
    r"""Rectified linear units whose recurrent weights start from the identity.

    .. math:: h_t = \mathrm{relu}(W h_{t-1} + U x_t + b), \qquad W_0 = s I, \; b_0 = 0

    The output is the new state h_t. Untrained and with s = 1, a unit that gets no input keeps its
    state. Le, Jaitly and Hinton (2015) draw U from N(0, 0.001^2), and take s = 0.01 where long memory
    does harm. In other libraries this is an initialisation of the ReLU network (torch.nn.RNN).
    """

    def __init__(self, hidden_size: int, recurrent_scale: float = 1.0, name: str | None = None):
        """Makes the cell.

        Args:
          hidden_size: H, the number of units.
          recurrent_scale: s.
          name: Haiku's module name.
        """
        super().__init__(hidden_size, name)
        self.w_init: Callable[..., jax.Array] = find_initializer(
            hk.initializers.Identity(recurrent_scale)
        )

    def __call__(self, x: jax.Array, h: jax.Array) -> tuple[jax.Array, jax.Array]:
        """One step: x of shape [..., D] and h of shape [..., H] to (h, h)."""
        W = hk.Linear(self.hidden_size, with_bias=False, w_init=self.w_init, name="W")
        U = hk.Linear(self.hidden_size, w_init=hk.initializers.RandomNormal(1e-3), name="U")
        h = jax.nn.relu(W(h) + U(x))
        return h, h


@register("jordan", family="classic", cites="jordan1986serial")
class Jordan(Cell):
    r"""The network of Jordan, which is fed back its output instead of its hidden units.

    .. math::
        h_t = \tanh(W s_{t-1} + U x_t + b) \\
        y_t = f(V h_t + c) \\
        s_t = \mu s_{t-1} + y_t

    The output is y_t, of H numbers as the hidden layer, the state is s_t. By default mu = 0, so that
    the state is the last output. Jordan (1986) kept a fading trace of the outputs (mu = 0.5, say) and
    used the logistic function for both activations; x_t were his plan units.
    """

    def __init__(
        self,
        hidden_size: int,
        decay: float = 0.0,
        activation: Activation = "tanh",
        output_activation: Activation = "tanh",
        initializer: Init = "orthogonal",
        name: str | None = None,
    ):
        """Makes the cell.

        Args:
          hidden_size: H, the number of hidden and of output units.
          decay: mu, how much of the trace remains at each step.
          activation: of h_t; a name of `rnnzoo.cells.base.ACTIVATIONS`, or a function.
          output_activation: f, likewise.
          initializer: of W and V, which the feedback runs through; a name of
            `rnnzoo.cells.base.INITIALIZERS`, or a Haiku initialiser.
          name: Haiku's module name.
        """
        super().__init__(hidden_size, name)
        self.decay = decay
        self.activation: Callable[[jax.Array], jax.Array] = find_activation(activation)
        self.output_activation: Callable[[jax.Array], jax.Array] = find_activation(
            output_activation
        )
        self.w_init: Callable[..., jax.Array] = find_initializer(initializer)

    def __call__(self, x: jax.Array, s: jax.Array) -> tuple[jax.Array, jax.Array]:
        """One step: x of shape [..., D] and s of shape [..., H] to (y, s)."""
        W = hk.Linear(self.hidden_size, with_bias=False, w_init=self.w_init, name="W")
        U = hk.Linear(self.hidden_size, name="U")  # with the bias b
        V = hk.Linear(self.hidden_size, w_init=self.w_init, name="V")  # with the bias c
        h = self.activation(W(s) + U(x))
        y = self.output_activation(V(h))
        return y, self.decay * s + y


@register("scrn", family="classic", cites="mikolov2014learning")
class SCRN(hk.RNNCore):
    r"""The structurally constrained recurrent network: an Elman network with slow context units.

    .. math::
        s_t = (1 - \alpha) B x_t + \alpha s_{t-1} \\
        h_t = \sigma(P s_t + A x_t + R h_{t-1})

    The output is [h_t, s_t], the state the pair (h, s), of H units together: in the authors' own words
    one hidden layer with a constrained recurrent matrix. Their y_t = f(U h_t + V s_t) is the model's
    readout of both. There are no biases, as in the paper and in the authors' program, which however
    reads s_{t-1} for s_t in h_t. alpha is a constant in the paper, 0.95; with `learned=True` it is a
    number for each context unit, the sigmoid of a parameter.

    torchrecurrent has as many context as hidden units, a trained scalar alpha without bounds, biases,
    and the readout with a tanh inside the cell; it feeds that back in the place of h_{t-1}.
    """

    alpha: float
    learned: bool

    def __init__(
        self,
        hidden_size: int,
        context_size: int | None = None,
        alpha: float = 0.95,
        learned: bool = False,
        initializer: Init = "orthogonal",
        name: str | None = None,
    ):
        """Makes the cell.

        Args:
          hidden_size: H, the number of hidden and context units together.
          context_size: C, how many of them are context units; a quarter if not given.
          alpha: how much of the context remains at each step, between 0 and 1.
          learned: alpha is only what a parameter for each unit starts from.
          initializer: of R; a name of `rnnzoo.cells.base.INITIALIZERS`, or a Haiku initialiser.
          name: Haiku's module name.

        Raises:
          UserError: no room for both kinds of units, or alpha is not between 0 and 1.
        """
        super().__init__(name=name)
        self.context_size: int = max(1, hidden_size // 4) if context_size is None else context_size
        self.fast_size: int = hidden_size - self.context_size
        if not 0 < self.context_size < hidden_size:
            raise UserError(
                f"scrn: {self.context_size} of {hidden_size} units for the context leaves one kind "
                "without units: give a context_size between the two"
            )
        if not 0 < alpha < 1:
            raise UserError(f"scrn: alpha={alpha!r} is no mean of old and new: take 0 < alpha < 1")
        self.alpha, self.learned = alpha, learned
        self.w_init: Callable[..., jax.Array] = find_initializer(initializer)

    def __call__(self, x: jax.Array, state: Pair) -> tuple[jax.Array, Pair]:
        """One step: x of shape [..., D] and the pair (h, s) to [h, s] of [..., H] and the new pair."""
        h, s = state
        A = hk.Linear(self.fast_size, with_bias=False, name="A")
        B = hk.Linear(self.context_size, with_bias=False, name="B")
        P = hk.Linear(self.fast_size, with_bias=False, name="P")
        R = hk.Linear(self.fast_size, with_bias=False, w_init=self.w_init, name="R")
        alpha = self.alpha
        if self.learned:
            logit = hk.initializers.Constant(np.log(alpha / (1 - alpha)))
            beta = hk.get_parameter("beta", (self.context_size,), x.dtype, logit)
            alpha = jax.nn.sigmoid(beta)
        s = (1 - alpha) * B(x) + alpha * s
        h = jax.nn.sigmoid(P(s) + A(x) + R(h))
        return jnp.concatenate([h, s], axis=-1), (h, s)

    def initial_state(self, batch_size: int | None) -> Pair:
        """A pair of zeros, [batch_size, H - C] and [batch_size, C], or without the batch axis."""
        batch = () if batch_size is None else (batch_size,)
        return jnp.zeros((*batch, self.fast_size)), jnp.zeros((*batch, self.context_size))


@register("clockwork_rnn", family="classic", cites="koutnik2014clockwork")
class ClockworkRNN(Cell):
    r"""The clockwork RNN: modules of an Elman network that update at different rates.

    .. math::
        h^i_t = \begin{cases}
            \tanh\big(\sum_{j \ge i} W_{ij} h^j_{t-1} + U_i x_t + b_i\big) & t \bmod 2^{i-1} = 0 \\
            h^i_{t-1} & \text{otherwise}
        \end{cases}

    The H units are g modules of equal size, the fastest first; a module reads itself and the slower
    ones, so that W is block upper triangular. Only its blocks on and above the diagonal are
    parameters: `W_i` is what module i reads from modules i to g. The output is h, the state the pair
    (h, t). t counts from 0, where all modules update; it wraps after 2^31 steps, which powers of two
    do not notice. Koutnik et al. (2014) allow for any periods and use these.
    """

    def __init__(
        self,
        hidden_size: int,
        modules: int = 4,
        activation: Activation = "tanh",
        initializer: Init = "orthogonal",
        name: str | None = None,
    ):
        """Makes the cell.

        Args:
          hidden_size: H, the number of units.
          modules: g, the number of modules; the slowest has the period 2^(g - 1).
          activation: a name of `rnnzoo.cells.base.ACTIVATIONS`, or a function.
          initializer: of each W_i; a name of `rnnzoo.cells.base.INITIALIZERS`, or a Haiku
            initialiser.
          name: Haiku's module name.

        Raises:
          UserError: the units do not divide into that many modules.
        """
        super().__init__(hidden_size, name)
        if not 1 <= modules <= 31 or hidden_size % modules:
            raise UserError(
                f"clockwork_rnn: {hidden_size} units do not make {modules} equal modules: choose a "
                "number of modules, of at most 31, that divides them"
            )
        self.modules = modules
        self.activation: Callable[[jax.Array], jax.Array] = find_activation(activation)
        self.w_init: Callable[..., jax.Array] = find_initializer(initializer)

    def __call__(self, x: jax.Array, state: Pair) -> tuple[jax.Array, Pair]:
        """One step: x of shape [..., D] and (h of [..., H], t of [...]) to h and the new pair."""
        h, t = state
        H, size = self.hidden_size, self.hidden_size // self.modules
        columns = []
        for i in range(self.modules):
            shape = (H - i * size, size)
            W_i = hk.get_parameter(f"W_{i + 1}", shape, x.dtype, self.w_init)
            columns.append(jnp.pad(W_i, ((i * size, 0), (0, 0))))
        W = jnp.concatenate(columns, axis=-1)  # once for all steps, for one product in each
        U = hk.Linear(H, name="U")  # with the bias b
        periods = np.repeat(2 ** np.arange(self.modules), size)
        runs = t[..., None] % periods.astype(t.dtype) == 0
        h = jnp.where(runs, self.activation(h @ W + U(x)), h)
        return h, (h, t + 1)

    def initial_state(self, batch_size: int | None) -> Pair:
        """Zeros, of shape [batch_size, H] and, in int32, [batch_size], or without the batch axis."""
        batch = () if batch_size is None else (batch_size,)
        return super().initial_state(batch_size), jnp.zeros(batch, jnp.int32)
