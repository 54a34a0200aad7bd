"""The three best mutations of the GRU from a search of ten thousand architectures."""

from collections.abc import Callable

import haiku as hk
import jax
import jax.numpy as jnp

from rnnzoo.cells.base import Cell, Init, find_initializer
from rnnzoo.registry import register


@register("mut1", family="gru", cites="jozefowicz2015empirical")
class MUT1(Cell):
    r"""The first mutation: the update gate sees the input alone, the candidate its tanh.

    .. math::
        z_t = \sigma(U_z x_t + b_z) \\
        r_t = \sigma(U_r x_t + W_r h_{t-1} + b_r) \\
        h_t = z_t \odot \tanh(\tanh(x_t) + W_h (r_t \odot h_{t-1}) + b_h) + (1 - z_t) \odot h_{t-1}

    The output is the new state h_t. The candidate adds the input to the state as it is, which takes an
    input of H features; one of any other size is first made so, as P x_t. Keras (2015, as JZS1) has
    that matrix for H features too, starting from the identity; torchrecurrent always has it, with a
    bias inside the inner tanh, and second biases of the rest.
    """

    def __init__(self, hidden_size: int, initializer: Init = "orthogonal", name: str | None = None):
        """Makes the cell.

        Args:
          hidden_size: H, the number of units.
          initializer: of W_r and W_h; a name of `rnnzoo.cells.base.INITIALIZERS`, or a Haiku
            initialiser.
          name: Haiku's module name.
        """
        super().__init__(hidden_size, name)
        self.w_init: Callable[..., jax.Array] = find_initializer(initializer)

    def __call__(self, x: jax.Array, h: jax.Array) -> tuple[jax.Array, jax.Array]:
        """One step: x of shape [..., D] and h of shape [..., H] to (h, h)."""
        H = self.hidden_size
        W_r = hk.Linear(H, with_bias=False, w_init=self.w_init, name="W_r")
        W_h = hk.Linear(H, w_init=self.w_init, name="W_h")  # with the bias b_h
        Ux_z, Ux_r = jnp.split(hk.Linear(2 * H, name="U")(x), 2, axis=-1)  # with the biases b
        z = jax.nn.sigmoid(Ux_z)
        r = jax.nn.sigmoid(Ux_r + W_r(h))
        h = z * jnp.tanh(jnp.tanh(_of_size(H, x)) + W_h(r * h)) + (1 - z) * h
        return h, h


@register("mut2", family="gru", cites="jozefowicz2015empirical")
class MUT2(Cell):
    r"""The second mutation: the input enters the reset gate as it is.

    .. math::
        z_t = \sigma(U_z x_t + W_z h_{t-1} + b_z) \\
        r_t = \sigma(x_t + W_r h_{t-1} + b_r) \\
        h_t = z_t \odot \tanh(U_h x_t + W_h (r_t \odot h_{t-1}) + b_h) + (1 - z_t) \odot h_{t-1}

    The output is the new state h_t. An input that has not H features enters the reset gate as P x_t.
    torchrecurrent always has that matrix, which makes its MUT2 a GRU with the reset before the
    product; its documentation gives the reset gate above to MUT3.
    """

    def __init__(self, hidden_size: int, initializer: Init = "orthogonal", name: str | None = None):
        """Makes the cell.

        Args:
          hidden_size: H, the number of units.
          initializer: of each block of W and of W_h; a name of `rnnzoo.cells.base.INITIALIZERS`, or
            a Haiku initialiser, of W_h and of the whole [H, 2H].
          name: Haiku's module name.
        """
        super().__init__(hidden_size, name)
        self.w_init: Callable[..., jax.Array] = find_initializer(initializer, blocks=2)
        self.w_h_init: Callable[..., jax.Array] = find_initializer(initializer)

    def __call__(self, x: jax.Array, h: jax.Array) -> tuple[jax.Array, jax.Array]:
        """One step: x of shape [..., D] and h of shape [..., H] to (h, h)."""
        H = self.hidden_size
        W = hk.Linear(2 * H, w_init=self.w_init, with_bias=False, name="W")
        W_h = hk.Linear(H, w_init=self.w_h_init, with_bias=False, name="W_h")
        Ux_z, Ux_h = jnp.split(hk.Linear(2 * H, name="U")(x), 2, axis=-1)  # with the biases b
        b_r = hk.get_parameter("b_r", (H,), x.dtype, jnp.zeros)
        Wh_z, Wh_r = jnp.split(W(h), 2, axis=-1)
        z = jax.nn.sigmoid(Ux_z + Wh_z)
        r = jax.nn.sigmoid(_of_size(H, x) + Wh_r + b_r)
        h = z * jnp.tanh(Ux_h + W_h(r * h)) + (1 - z) * h
        return h, h


@register("mut3", family="gru", cites="jozefowicz2015empirical")
class MUT3(Cell):
    r"""The third mutation: the update gate sees the tanh of the state.

    .. math::
        z_t = \sigma(U_z x_t + W_z \tanh(h_{t-1}) + b_z) \\
        r_t = \sigma(U_r x_t + W_r h_{t-1} + b_r) \\
        h_t = z_t \odot \tanh(U_h x_t + W_h (r_t \odot h_{t-1}) + b_h) + (1 - z_t) \odot h_{t-1}

    The output is the new state h_t. torchrecurrent computes this, with second biases, though its
    documentation of MUT3 leaves the tanh out.
    """

    def __init__(self, hidden_size: int, initializer: Init = "orthogonal", name: str | None = None):
        """Makes the cell.

        Args:
          hidden_size: H, the number of units.
          initializer: of W_z, W_r and W_h; a name of `rnnzoo.cells.base.INITIALIZERS`, or a Haiku
            initialiser.
          name: Haiku's module name.
        """
        super().__init__(hidden_size, name)
        self.w_init: Callable[..., jax.Array] = find_initializer(initializer)

    def __call__(self, x: jax.Array, h: jax.Array) -> tuple[jax.Array, jax.Array]:
        """One step: x of shape [..., D] and h of shape [..., H] to (h, h)."""
        H = self.hidden_size
        W_z, W_r, W_h = (
            hk.Linear(H, with_bias=False, w_init=self.w_init, name=f"W_{gate}") for gate in "zrh"
        )
        Ux_z, Ux_r, Ux_h = jnp.split(hk.Linear(3 * H, name="U")(x), 3, axis=-1)  # with the biases b
        z = jax.nn.sigmoid(Ux_z + W_z(jnp.tanh(h)))
        r = jax.nn.sigmoid(Ux_r + W_r(h))
        h = z * jnp.tanh(Ux_h + W_h(r * h)) + (1 - z) * h
        return h, h


def _of_size(H: int, x: jax.Array) -> jax.Array:
    """The input itself where it has H features, else P x."""
    return x if x.shape[-1] == H else hk.Linear(H, with_bias=False, name="P")(x)
