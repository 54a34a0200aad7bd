"""Cells with deeper or structured transitions."""

from collections.abc import Callable

import haiku as hk
import jax
import jax.numpy as jnp

from rnnzoo.cells.base import Activation, Cell, Init, find_activation, find_initializer
from rnnzoo.errors import UserError
from rnnzoo.registry import register


@register("multiplicative_rnn", family="deep", cites="sutskever2011generating")
class MultiplicativeRNN(Cell):
    r"""The multiplicative RNN: the input chooses the transition matrix, in factored form.

    .. math::
        f_t = (W_{fx} x_t) \odot (W_{fh} h_{t-1}) \\
        h_t = \tanh(W_{hf} f_t + W_{hx} x_t + b_h)

    The transition is W_{hf} diag(W_{fx} x_t) W_{fh}, of as many factors as f_t has numbers. The output
    is the new state h_t. Sutskever, Martens and Hinton (2011) print b_h in the unfactored form alone.
    The same idea within an LSTM is that of Krause et al. (2016).
    """

    def __init__(
        self,
        hidden_size: int,
        factors: int | None = None,
        initializer: Init = "orthogonal",
        name: str | None = None,
    ):
        """Makes the cell.

        Args:
          hidden_size: H, the number of units.
          factors: F, the size of f_t; H if not given, as in the paper's experiments.
          initializer: of W_fh and W_hf; a name of `rnnzoo.cells.base.INITIALIZERS`, or a Haiku
            initialiser.
          name: Haiku's module name.

        Raises:
          UserError: fewer than one factor.
        """
        super().__init__(hidden_size, name)
        self.factors: int = hidden_size if factors is None else factors
        if self.factors < 1:
            raise UserError(
                f"multiplicative_rnn: with factors={factors} the state has no effect: take 1 or more"
            )
        self.w_init: Callable[..., jax.Array] = find_initializer(initializer)

    def __call__(self, x: jax.Array, h: jax.Array) -> tuple[jax.Array, jax.Array]:
        """One step: x of shape [..., D] and h of shape [..., H] to (h, h)."""
        H, F = self.hidden_size, self.factors
        W_fx = hk.Linear(F, with_bias=False, name="W_fx")
        W_fh = hk.Linear(F, with_bias=False, w_init=self.w_init, name="W_fh")
        W_hf = hk.Linear(H, with_bias=False, w_init=self.w_init, name="W_hf")
        W_hx = hk.Linear(H, name="W_hx")  # with the bias b_h
        f = W_fx(x) * W_fh(h)
        h = jnp.tanh(W_hf(f) + W_hx(x))
        return h, h


@register("rhn", family="deep", cites="zilly2017recurrent")
class RHN(Cell):
    r"""The recurrent highway network: each time step passes through L highway layers.

    .. math::
        s^0 = s_{t-1} \\
        u^l = \tanh(R^l_h s^{l-1} + b^l_h + [l = 1] \, W_h x_t) \\
        t^l = \sigma(R^l_t s^{l-1} + b^l_t + [l = 1] \, W_t x_t) \\
        c^l = 1 - t^l \\
        s^l = t^l \odot u^l + c^l \odot s^{l-1} \\
        s_t = s^L

    The output is the new state s_t; u is the paper's h. With `coupled=False` the carry gate c has
    weights of its own, like those of t. The gates are stored side by side as (h, t, c), torchrecurrent's
    order, which also has weights for c where the gates are coupled. `transform_bias` is only what b_t
    starts from (-b_c too): -2 for words, -4 for characters in the paper, so that the state is carried
    at first. Its dropout of gates is the model's affair here.
    """

    depth: int
    transform_bias: float

    def __init__(
        self,
        hidden_size: int,
        depth: int = 3,
        coupled: bool = True,
        transform_bias: float = -2.0,
        initializer: Init = "orthogonal",
        name: str | None = None,
    ):
        """Makes the cell.

        Args:
          hidden_size: H, the number of units of each layer.
          depth: L, the number of layers; the paper's best networks have 10.
          coupled: whether c = 1 - t.
          transform_bias: the initial value of each b_t.
          initializer: of each block of R; a name of `rnnzoo.cells.base.INITIALIZERS`, or a Haiku
            initialiser of the whole [H, 2H] (or 3H).
          name: Haiku's module name.

        Raises:
          UserError: fewer than one layer.
        """
        super().__init__(hidden_size, name)
        if depth < 1:
            raise UserError(f"rhn: depth={depth} leaves no layer: take 1 or more")
        self.depth, self.transform_bias = depth, transform_bias
        self.blocks = 2 if coupled else 3
        self.w_init: Callable[..., jax.Array] = find_initializer(initializer, self.blocks)

    def __call__(self, x: jax.Array, s: jax.Array) -> tuple[jax.Array, jax.Array]:
        """One step: x of shape [..., D] and s of shape [..., H] to (s, s)."""
        size = self.blocks * self.hidden_size
        Wx = hk.Linear(size, with_bias=False, name="W")(x)
        for layer in range(1, self.depth + 1):
            R = hk.Linear(size, w_init=self.w_init, b_init=self._bias, name=f"R_{layer}")
            gates = R(s) + Wx if layer == 1 else R(s)  # R with the biases b
            u, t, *c = jnp.split(gates, self.blocks, axis=-1)
            t = jax.nn.sigmoid(t)
            c = jax.nn.sigmoid(c[0]) if c else 1 - t
            s = t * jnp.tanh(u) + c * s
        return s, s

    def _bias(self, shape, dtype):
        starts = (0.0, self.transform_bias, -self.transform_bias)[: self.blocks]
        return jnp.broadcast_to(jnp.repeat(jnp.array(starts, dtype), self.hidden_size), shape)


@register("intersection_rnn", family="deep", cites="collins2017capacity")
class IntersectionRNN(Cell):
    r"""The intersection RNN (+RNN): one gate for the way through time, one for that through depth.

    .. math::
        \tilde y_t = f(U_y x_t + W_y h_{t-1} + b_y) \\
        \tilde h_t = \tanh(U_h x_t + W_h h_{t-1} + b_h) \\
        g^y_t = \sigma(U_{gy} x_t + W_{gy} h_{t-1} + b_{gy}) \\
        g^h_t = \sigma(U_{gh} x_t + W_{gh} h_{t-1} + b_{gh}) \\
        y_t = g^y_t \odot x_t + (1 - g^y_t) \odot \tilde y_t \\
        h_t = g^h_t \odot h_{t-1} + (1 - g^h_t) \odot \tilde h_t

    The output is y_t, the state h_t. y_t mixes with the input, which has to be of its size: an input of
    another size is first made P x_t + p, which stands for x_t in all equations (as in the lowest layer
    of the authors' TensorFlow cell; torchrecurrent refuses it). `forget_bias` is only what b_{gy} and
    b_{gh} start from, where the paper and TensorFlow add it at every step, and the paper has one for
    each of the two. The gates are stored side by side as (y, h, g^y, g^h), torchrecurrent's order;
    TensorFlow has (g^h, h, g^y, y).
    """

    def __init__(
        self,
        hidden_size: int,
        activation: Activation = "relu",
        forget_bias: float = 1.0,
        initializer: Init = "orthogonal",
        name: str | None = None,
    ):
        """Makes the cell.

        Args:
          hidden_size: H, the number of units, and of outputs.
          activation: f, a name of `rnnzoo.cells.base.ACTIVATIONS`, or a function.
          forget_bias: the initial value of the biases of both gates.
          initializer: of each block of W; a name of `rnnzoo.cells.base.INITIALIZERS`, or a Haiku
            initialiser of the whole [H, 4H].
          name: Haiku's module name.
        """
        super().__init__(hidden_size, name)
        self.activation: Callable[[jax.Array], jax.Array] = find_activation(activation)
        self.forget_bias = forget_bias
        self.w_init: Callable[..., jax.Array] = find_initializer(initializer, blocks=4)

    def __call__(self, x: jax.Array, h: jax.Array) -> tuple[jax.Array, jax.Array]:
        """One step: x of shape [..., D] and h of shape [..., H] to (y, h)."""
        H = self.hidden_size
        if x.shape[-1] != H:
            x = hk.Linear(H, name="P")(x)
        W = hk.Linear(4 * H, with_bias=False, w_init=self.w_init, name="W")
        U = hk.Linear(4 * H, b_init=self._bias, name="U")  # with the biases b
        y_in, h_in, g_y, g_h = jnp.split(U(x) + W(h), 4, axis=-1)
        g_y, g_h = jax.nn.sigmoid(g_y), jax.nn.sigmoid(g_h)
        y = g_y * x + (1 - g_y) * self.activation(y_in)
        h = g_h * h + (1 - g_h) * jnp.tanh(h_in)
        return y, h

    def _bias(self, shape, dtype):
        return jnp.zeros(shape, dtype).at[2 * self.hidden_size :].set(self.forget_bias)
