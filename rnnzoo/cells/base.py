"""What cells share: the base classes, activations and initialisers by name."""

from collections.abc import Callable, Mapping
from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp

from rnnzoo.errors import UserError, did_you_mean

Pair = tuple[jax.Array, jax.Array]
State = Any  # an array of shape [..., H], or a tuple of such
Parallel = Callable[
    [Any, State], tuple[Any, State]
]  # (xs [T, ...], state) -> (outputs, last state)
Activation = str | Callable[[jax.Array], jax.Array]  # a name of `ACTIVATIONS`, or a function
Init = str | Callable[..., jax.Array]  # a name of `INITIALIZERS`, or (shape, dtype) -> array

ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "tanh": jnp.tanh,
    "relu": jax.nn.relu,
    "sigmoid": jax.nn.sigmoid,
    "gelu": jax.nn.gelu,
    "silu": jax.nn.silu,
    "softsign": jax.nn.soft_sign,
    "identity": lambda x: x,
}

INITIALIZERS: dict[str, Callable[..., jax.Array]] = {
    "orthogonal": hk.initializers.Orthogonal(),
    "identity": hk.initializers.Identity(),
    "glorot": hk.initializers.VarianceScaling(1.0, "fan_avg", "uniform"),
    "lecun": hk.initializers.VarianceScaling(1.0, "fan_in", "truncated_normal"),
    "torch": hk.initializers.VarianceScaling(1 / 3, "fan_in", "uniform"),  # U(±1/sqrt(fan_in))
    "zeros": hk.initializers.Constant(0.0),
}


class Cell(hk.RNNCore):
    """A recurrent cell with one hidden vector; a convenience, any `hk.RNNCore` will do.

    A subclass defines `__call__(inputs, state) -> (output, next_state)` for one time step, with
    `inputs` of shape [..., D] and everything else [..., H], a batch axis or none.
    """

    def __init__(self, hidden_size: int, name: str | None = None):
        """Makes a cell of `hidden_size` units; `name` is Haiku's module name."""
        super().__init__(name=name)
        self.hidden_size = hidden_size

    def initial_state(self, batch_size: int | None) -> jax.Array:
        """Zeros, of shape [batch_size, H], or [H] for a `batch_size` of None."""
        return jnp.zeros(
            (self.hidden_size,) if batch_size is None else (batch_size, self.hidden_size)
        )


class LinearCell(hk.RNNCore):
    r"""A cell whose recurrence is linear in its state, each number of the state by itself.

    .. math:: h_t = a_t \odot h_{t-1} + b_t

    A subclass says what a_t, b_t and the output are. It makes its layers in `__init__`, so that their
    parameters have the same names in the step and in `parallel`.
    """

    def coefficients(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """(a, b) from inputs of shape [..., D]: b shaped as the state, a too or broadcast to it."""
        raise NotImplementedError

    def readout(self, h: jax.Array, x: jax.Array) -> jax.Array:
        """The output from the new state h and the input x; h itself, unless a subclass differs."""
        del x
        return h

    def __call__(self, x: jax.Array, h: jax.Array) -> tuple[jax.Array, jax.Array]:
        """One step: x of shape [..., D] and the state h to the output and the new state."""
        a, b = self.coefficients(x)
        h = (a * h + b).astype(h.dtype)
        return self.readout(h, x), h

    def parallel(self, xs: jax.Array, h: jax.Array) -> tuple[jax.Array, jax.Array]:
        """All time steps at once: xs of shape [T, ..., D] to the outputs [T, ...] and the last state."""
        a, b = self.coefficients(xs)
        hs = linear_scan(a, b, h)
        return self.readout(hs, xs), hs[-1]


def linear_scan(a: jax.Array, b: jax.Array, h: jax.Array) -> jax.Array:
    """h_t = a_t h_{t-1} + b_t for all t, by an associative scan over the leading axis (Blelloch 1990).

    Args:
      a: the factors, [T, ...], or what broadcasts to the shape of b.
      b: the addends, [T, ...].
      h: the state before the first step, [...].

    Returns:
      The states after each step, [T, ...], in the dtype of h.
    """

    def then(first, second):
        (a_1, b_1), (a_2, b_2) = first, second
        return a_1 * a_2, a_2 * b_1 + b_2

    # In the wider type of the two: in bfloat16 a decay of 0.999 would be 1.
    dtype = jnp.promote_types(a.dtype, h.dtype)
    a, b = jnp.broadcast_to(a, b.shape).astype(dtype), b.astype(dtype)
    _, hs = jax.lax.associative_scan(then, (a, b.at[0].add(a[0] * h)))
    return hs.astype(h.dtype)


def wide(a: jax.Array) -> jax.Array:
    """`a` in float32 if it is in less: bfloat16 has no number between 0.996 and 1 for a decay."""
    return a.astype(jnp.promote_types(a.dtype, jnp.float32))


def check_heads(cell: str, hidden_size: int, heads: int) -> None:
    """Checks that the heads can share the units evenly.

    Raises:
      UserError: they cannot.
    """
    if heads < 1 or hidden_size % heads:
        raise UserError(
            f"{cell}: hidden_size={hidden_size} cannot be shared by heads={heads}: "
            "choose a hidden_size that is a multiple of heads"
        )


def find_activation(name: Activation) -> Callable[[jax.Array], jax.Array]:
    """The activation function of that name; a callable is handed back."""
    return _look_up("activation", name, ACTIVATIONS)


def find_initializer(name: Init, blocks: int = 1) -> Callable[..., jax.Array]:
    """The weight initialiser of that name; a callable is handed back.

    Args:
      name: one of `INITIALIZERS`, or an initialiser `(shape, dtype) -> array`.
      blocks: how many gates share the matrix, side by side; each is drawn by itself.
    """
    init = _look_up("initializer", name, INITIALIZERS)

    def draw(shape, dtype):
        each = (*shape[:-1], shape[-1] // blocks)
        wide = jnp.promote_types(dtype, jnp.float32)  # orthogonal matrices need it
        parts = [init(each, wide) for _ in range(blocks)]
        return jnp.concatenate(parts, axis=-1).astype(dtype)

    return draw


def _look_up(
    kind: str, name: str | Callable[..., Any], known: Mapping[str, Callable[..., Any]]
) -> Callable[..., Any]:
    if callable(name):
        return name
    if not isinstance(name, str) or name not in known:
        raise UserError(f"no {kind} is named {name!r}: {did_you_mean(name, known)}")
    return known[name]
