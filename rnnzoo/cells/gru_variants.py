"""Variants of the GRU: fewer gates, other candidates, a delayed state."""

from collections.abc import Callable

import haiku as hk
import jax
import jax.numpy as jnp

from rnnzoo.cells.base import Activation, Cell, Init, find_activation, find_initializer
from rnnzoo.errors import UserError
from rnnzoo.registry import register


@register("mgu", family="gru", cites="zhou2016minimal")
class MGU(Cell):
    r"""The minimal gated unit: a GRU whose one gate both resets and updates.

    .. math::
        f_t = \sigma(U_f x_t + W_f h_{t-1} + b_f) \\
        \tilde h_t = \tanh(U_h x_t + W_h (f_t \odot h_{t-1}) + b_h) \\
        h_t = (1 - f_t) \odot h_{t-1} + f_t \odot \tilde h_t

    The output is the new state h_t. The gate stands before the product, as in Cho's (2014) GRU, and
    it is the share of what is new. torchrecurrent has second biases, added to the first.
    """

    def __init__(self, hidden_size: int, initializer: Init = "orthogonal", name: str | None = None):
        """Makes the cell.

        Args:
          hidden_size: H, the number of units.
          initializer: of W_f and W_h; a name of `rnnzoo.cells.base.INITIALIZERS`, or a Haiku
            initialiser.
          name: Haiku's module name.
        """
        super().__init__(hidden_size, name)
        self.w_init: Callable[..., jax.Array] = find_initializer(initializer)

    def __call__(self, x: jax.Array, h: jax.Array) -> tuple[jax.Array, jax.Array]:
        """One step: x of shape [..., D] and h of shape [..., H] to (h, h)."""
        H = self.hidden_size
        W_f = hk.Linear(H, with_bias=False, w_init=self.w_init, name="W_f")
        W_h = hk.Linear(H, with_bias=False, w_init=self.w_init, name="W_h")
        Ux_f, Ux_h = jnp.split(hk.Linear(2 * H, name="U")(x), 2, axis=-1)  # with the biases b
        f = jax.nn.sigmoid(Ux_f + W_f(h))
        h = (1 - f) * h + f * jnp.tanh(Ux_h + W_h(f * h))
        return h, h


@register("ugrnn", family="gru", cites="collins2017capacity")
class UGRNN(Cell):
    r"""The update gate network: a vanilla network with one gate, on the way of its state.

    .. math::
        g_t = \sigma(U_g x_t + W_g h_{t-1} + b_g) \\
        c_t = \tanh(U_c x_t + W_c h_{t-1} + b_c) \\
        h_t = g_t \odot h_{t-1} + (1 - g_t) \odot c_t

    The output is the new state h_t. `forget_bias` is only what b_g starts from, where TensorFlow's
    contrib.rnn.UGRNNCell adds it to b_g at every step. torchrecurrent starts from 0, has second
    biases, added to the first, and stores the gates as (c, g); here they stand as (g, c).
    """

    def __init__(
        self,
        hidden_size: int,
        forget_bias: float = 1.0,
        activation: Activation = "tanh",
        initializer: Init = "orthogonal",
        name: str | None = None,
    ):
        """Makes the cell.

        Args:
          hidden_size: H, the number of units.
          forget_bias: the initial value of b_g.
          activation: of c_t; a name of `rnnzoo.cells.base.ACTIVATIONS`, or a function.
          initializer: of each block of W; a name of `rnnzoo.cells.base.INITIALIZERS`, or a Haiku
            initialiser of the whole [H, 2H].
          name: Haiku's module name.
        """
        super().__init__(hidden_size, name)
        self.forget_bias = forget_bias
        self.activation: Callable[[jax.Array], jax.Array] = find_activation(activation)
        self.w_init: Callable[..., jax.Array] = find_initializer(initializer, blocks=2)

    def __call__(self, x: jax.Array, h: jax.Array) -> tuple[jax.Array, jax.Array]:
        """One step: x of shape [..., D] and h of shape [..., H] to (h, h)."""
        H = self.hidden_size
        W = hk.Linear(2 * H, with_bias=False, w_init=self.w_init, name="W")
        U = hk.Linear(2 * H, b_init=self._bias, name="U")  # with the biases b
        g, c = jnp.split(U(x) + W(h), 2, axis=-1)
        g = jax.nn.sigmoid(g)
        h = g * h + (1 - g) * self.activation(c)
        return h, h

    def _bias(self, shape, dtype):
        return jnp.zeros(shape, dtype).at[: self.hidden_size].set(self.forget_bias)


@register("ligru", family="gru", cites="ravanelli2018light")
class LiGRU(Cell):
    r"""The light GRU: no reset gate, rectified candidates, and a normalised input.

    .. math::
        z_t = \sigma(\mathrm{LN}_z(U_z x_t) + W_z h_{t-1}) \\
        \tilde h_t = \mathrm{relu}(\mathrm{LN}_h(U_h x_t) + W_h h_{t-1}) \\
        h_t = z_t \odot h_{t-1} + (1 - z_t) \odot \tilde h_t

    The output is the new state h_t. Layer normalisation LN stands where the paper has batch
    normalisation, which a step by itself cannot do; its gain and offset are learned like theirs, and
    the offset is the bias. Without it, large inputs make the gradient overflow, as rectified
    candidates have no bound. torchrecurrent leaves the normalisation out and has biases instead;
    SpeechBrain offers either.
    """

    def __init__(self, hidden_size: int, initializer: Init = "orthogonal", name: str = "ligru"):
        """Makes the cell.

        Args:
          hidden_size: H, the number of units.
          initializer: of each block of W, as for `UGRNN`.
          name: Haiku's module name.
        """
        super().__init__(hidden_size, name)
        self.w_init: Callable[..., jax.Array] = find_initializer(initializer, blocks=2)

    def __call__(self, x: jax.Array, h: jax.Array) -> tuple[jax.Array, jax.Array]:
        """One step: x of shape [..., D] and h of shape [..., H] to (h, h)."""
        H = self.hidden_size
        W = hk.Linear(2 * H, with_bias=False, w_init=self.w_init, name="W")
        U = hk.Linear(2 * H, with_bias=False, name="U")
        norm_z, norm_h = (hk.LayerNorm(-1, True, True, name=f"norm_{gate}") for gate in "zh")
        Ux_z, Ux_h = jnp.split(U(x), 2, axis=-1)
        Wh_z, Wh_h = jnp.split(W(h), 2, axis=-1)
        z = jax.nn.sigmoid(norm_z(Ux_z) + Wh_z)
        h = z * h + (1 - z) * jax.nn.relu(norm_h(Ux_h) + Wh_h)
        return h, h


@register("lightru", family="gru", cites="ye2024light")
class LightRU(Cell):
    r"""The light recurrent unit: a GRU whose candidate does not see the state.

    .. math::
        f_t = \sigma(U_f x_t + W_f h_{t-1} + b_f) \\
        \tilde h_t = \tanh(U_h x_t) \\
        h_t = (1 - f_t) \odot h_{t-1} + f_t \odot \tilde h_t

    The output is the new state h_t. torchrecurrent adds a bias to the candidate and a second one to
    the gate; its Julia sister RecurrentLayers.jl has the equation above. The paper calls the cell
    LRU, the name of another: the linear recurrent unit.
    """

    def __init__(self, hidden_size: int, initializer: Init = "orthogonal", name: str = "lightru"):
        """Makes the cell.

        Args:
          hidden_size: H, the number of units.
          initializer: of W_f, as for `MGU`.
          name: Haiku's module name.
        """
        super().__init__(hidden_size, name)
        self.w_init: Callable[..., jax.Array] = find_initializer(initializer)

    def __call__(self, x: jax.Array, h: jax.Array) -> tuple[jax.Array, jax.Array]:
        """One step: x of shape [..., D] and h of shape [..., H] to (h, h)."""
        H = self.hidden_size
        W_f = hk.Linear(H, w_init=self.w_init, name="W_f")  # with the bias b_f
        Ux_f, Ux_h = jnp.split(hk.Linear(2 * H, with_bias=False, name="U")(x), 2, axis=-1)
        f = jax.nn.sigmoid(Ux_f + W_f(h))
        h = (1 - f) * h + f * jnp.tanh(Ux_h)
        return h, h


@register("sgrn", family="gru", cites="zu2021simple")
class SGRN(Cell):
    r"""The simple gated recurrent network: one matrix each for input and state, and one gate.

    .. math::
        f_t = \sigma(U x_t + W h_{t-1} + b) \\
        h_t = \tanh((1 - f_t) \odot U x_t + f_t \odot h_{t-1})

    The output is the new state h_t. The same U x_t is the input's share of the gate and the candidate.
    torchrecurrent adds one of its two biases to the candidate as well.
    """

    def __init__(self, hidden_size: int, initializer: Init = "orthogonal", name: str | None = None):
        """Makes the cell.

        Args:
          hidden_size: H, the number of units.
          initializer: of W, as for `MGU`.
          name: Haiku's module name.
        """
        super().__init__(hidden_size, name)
        self.w_init: Callable[..., jax.Array] = find_initializer(initializer)

    def __call__(self, x: jax.Array, h: jax.Array) -> tuple[jax.Array, jax.Array]:
        """One step: x of shape [..., D] and h of shape [..., H] to (h, h)."""
        W = hk.Linear(self.hidden_size, w_init=self.w_init, name="W")  # with the bias b
        Ux = hk.Linear(self.hidden_size, with_bias=False, name="U")(x)
        f = jax.nn.sigmoid(Ux + W(h))
        h = jnp.tanh((1 - f) * Ux + f * h)
        return h, h


@register("sgu", family="gru", cites="gao2016deep")
class SGU(Cell):
    r"""The simple gated unit: its candidate is the state, gated by a product of input and state.

    .. math::
        z^g_t = \tanh(W_g ((U_g x_t + b_g) \odot h_{t-1})) \\
        z^o_t = \log(1 + \exp(z^g_t \odot h_{t-1})) \\
        z_t = \mathrm{hs}(U_z x_t + W_z h_{t-1} + b_z) \\
        h_t = (1 - z_t) \odot h_{t-1} + z_t \odot z^o_t

    The output is the new state h_t. The hard sigmoid hs(a) = min(1, max(0, a / 5 + 1 / 2)) has the
    slope of Theano and of the Keras of 2016; that of torch and `jax.nn.hard_sigmoid` is 1 / 6, and so
    is torchrecurrent's, which moreover has a bias inside the tanh.
    """

    def __init__(self, hidden_size: int, initializer: Init = "orthogonal", name: str | None = None):
        """Makes the cell.

        Args:
          hidden_size: H, the number of units.
          initializer: of every W, as for `MGU`.
          name: Haiku's module name.
        """
        super().__init__(hidden_size, name)
        self.w_init: Callable[..., jax.Array] = find_initializer(initializer)

    def __call__(self, x: jax.Array, h: jax.Array) -> tuple[jax.Array, jax.Array]:
        """One step: x of shape [..., D] and h of shape [..., H] to (h, h)."""
        H = self.hidden_size
        W_g = hk.Linear(H, with_bias=False, w_init=self.w_init, name="W_g")
        W_z = hk.Linear(H, with_bias=False, w_init=self.w_init, name="W_z")
        Ux_g, Ux_z = jnp.split(hk.Linear(2 * H, name="U")(x), 2, axis=-1)  # with the biases b
        z_g = jnp.tanh(W_g(Ux_g * h))
        z = jnp.clip((Ux_z + W_z(h)) / 5 + 0.5, 0, 1)
        h = (1 - z) * h + z * self._candidate(z_g * h)
        return h, h

    def _candidate(self, gated):
        return jax.nn.softplus(gated)


@register("dsgu", family="gru", cites="gao2016deep")
class DSGU(SGU):
    r"""The deep simple gated unit: an `SGU` with one more layer in its candidate.

    .. math:: z^o_t = \sigma(W_o (z^g_t \odot h_{t-1}))

    Everything else is as in `SGU`, whose candidate this replaces. The authors show it to be the more
    stable of the two: its candidate is bounded. torchrecurrent differs as in `SGU`.
    """

    @hk.transparent  # so that W_o stands beside the other parameters
    def _candidate(self, gated):
        W_o = hk.Linear(self.hidden_size, with_bias=False, w_init=self.w_init, name="W_o")
        return jax.nn.sigmoid(W_o(gated))


@register("taugru", family="gru", cites="erichson2022gated")
class TauGRU(Cell):
    r"""The GRU with weighted time-delay feedback: it also reads the state of d steps before.

    .. math::
        u_t = \tanh(U_u x_t + W_u h_{t-1} + b_u) \\
        z_t = \tanh(U_z x_t + W_z h_{t-1-d} + b_z) \\
        g_t = \sigma(U_g x_t + W_g h_{t-1} + b_g) \\
        a_t = \sigma(U_a x_t + W_a h_{t-1} + b_a) \\
        h_t = (1 - g_t) \odot h_{t-1} + g_t \odot (u_t + a_t \odot z_t)

    The output is h_t; the state is the last d + 1 of them, (h_{t-d}, ..., h_t), and those before the
    sequence are zero. The paper's step \Delta t and its constant weights of u_t and z_t are 1, so that
    d is its \tau. torchrecurrent's layer is the same, with second biases; its cell alone leaves the
    delayed state to the caller and takes it as zero otherwise. The authors' code gives z_t and a_t
    the delayed input as well as the delayed state, and its delay is one step shorter than its \tau.
    The blocks are stored side by side as (u, g, a, z).
    """

    def __init__(
        self,
        hidden_size: int,
        delay: int = 5,
        initializer: Init = "orthogonal",
        name: str = "taugru",
    ):
        """Makes the cell.

        Args:
          hidden_size: H, the number of units.
          delay: d, how many steps before h_{t-1} the delayed state lies.
          initializer: of each block of W; a name of `rnnzoo.cells.base.INITIALIZERS`, or a Haiku
            initialiser, of W_z and of the other blocks' [H, 3H].
          name: Haiku's module name.

        Raises:
          UserError: `delay` is not a whole number of at least 1.
        """
        super().__init__(hidden_size, name)
        if isinstance(delay, bool) or not isinstance(delay, int) or delay < 1:
            raise UserError(f"taugru: delay={delay!r}: give a whole number of at least 1")
        self.delay = delay
        self.w_init: Callable[..., jax.Array] = find_initializer(initializer, blocks=3)
        self.w_z_init: Callable[..., jax.Array] = find_initializer(initializer)

    def __call__(self, x: jax.Array, hs: jax.Array) -> tuple[jax.Array, jax.Array]:
        """One step: x of shape [..., D] and hs of shape [..., d + 1, H] to [..., H] and the new hs."""
        H = self.hidden_size
        W = hk.Linear(3 * H, with_bias=False, w_init=self.w_init, name="W")
        W_z = hk.Linear(H, with_bias=False, w_init=self.w_z_init, name="W_z")
        Ux, Ux_z = jnp.split(hk.Linear(4 * H, name="U")(x), [3 * H], axis=-1)  # with the biases b
        delayed, h = hs[..., 0, :], hs[..., -1, :]
        u, g, a = jnp.split(Ux + W(h), 3, axis=-1)
        g = jax.nn.sigmoid(g)
        h = (1 - g) * h + g * (jnp.tanh(u) + jax.nn.sigmoid(a) * jnp.tanh(Ux_z + W_z(delayed)))
        return h, jnp.concatenate([hs[..., 1:, :], h[..., None, :]], axis=-2)

    def initial_state(self, batch_size: int | None) -> jax.Array:
        """Zeros, of shape [batch_size, d + 1, H], or [d + 1, H] for a `batch_size` of None."""
        shape = (self.delay + 1, self.hidden_size)
        return jnp.zeros(shape if batch_size is None else (batch_size, *shape))
