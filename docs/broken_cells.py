"""Cells with one mistake each, and the check of the certificate that finds it.

The page certificate.md shows them, and the commands.
"""

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np

import rnnzoo


def layers(H: int, names: str) -> list[hk.Linear]:
    """Linear layers, of which those with U have a bias."""
    return [hk.Linear(H, with_bias=name[0] == "U", name=name) for name in names.split()]


def gru_step(p, x, h):
    """What `wrong_gate` should compute."""
    f = jax.nn.sigmoid(x @ p["U_f/w"] + p["U_f/b"] + h @ p["W_f/w"])
    h = (1 - f) * h + f * jnp.tanh(x @ p["U/w"] + p["U/b"] + (f * h) @ p["W/w"])
    return h, h


@rnnzoo.register("wrong_gate")
class WrongGate(rnnzoo.Cell):
    """f and 1 - f have changed places: it trains, and is another cell."""

    def __call__(self, x, h):
        """One step."""
        U_f, W_f, U, W = layers(self.hidden_size, "U_f W_f U W")
        f = jax.nn.sigmoid(U_f(x) + W_f(h))
        h = f * h + (1 - f) * jnp.tanh(U(x) + W(f * h))
        return h, h


@rnnzoo.register("another_parallel")
class AnotherParallel(rnnzoo.LinearCell):
    """A way to compute all steps at once that forgets the state before the first."""

    def __init__(self, hidden_size: int, name: str | None = None):
        """Makes the layers."""
        super().__init__(name=name)
        self.hidden_size = hidden_size
        self.U_a, self.U = layers(hidden_size, "U_a U")

    def initial_state(self, batch_size):
        """Zeros."""
        return jnp.zeros((*([batch_size] if batch_size else []), self.hidden_size))

    def coefficients(self, x):
        """Decay and addend."""
        return jax.nn.sigmoid(self.U_a(x)), self.U(x)

    def parallel(self, xs, h):
        """All steps at once."""
        return super().parallel(xs, jnp.zeros_like(h))


@rnnzoo.register("peeks")
class Peeks(AnotherParallel):
    """All steps at once, their inputs normalised over time: the past sees the future."""

    def parallel(self, xs, h):
        """All steps at once."""
        return rnnzoo.LinearCell.parallel(self, xs - xs.mean(axis=0), h)


@rnnzoo.register("dead_weight")
class DeadWeight(rnnzoo.Cell):
    """W is multiplied by the gate's result, of which nothing is left."""

    def __call__(self, x, h):
        """One step."""
        U, W = layers(self.hidden_size, "U W")
        h = jnp.tanh(U(x) + 0 * W(h))
        return h, h


@rnnzoo.register("stops_gradient")
class StopsGradient(rnnzoo.Cell):
    """The gradient does not go back through the state."""

    def __call__(self, x, h):
        """One step."""
        U, W = layers(self.hidden_size, "U W")
        h = jnp.tanh(U(x) + W(jax.lax.stop_gradient(h)))
        return h, h


@rnnzoo.register("overflows")
class Overflows(rnnzoo.Cell):
    """A sigmoid as in the book: exp(a) / (1 + exp(a)) is infinity over infinity for a large a."""

    def __call__(self, x, h):
        """One step."""
        U, W = layers(self.hidden_size, "U W")
        a = U(x) + W(h)
        h = jnp.exp(a) / (1 + jnp.exp(a))
        return h, h


@rnnzoo.register("float32_inside")
class Float32Inside(rnnzoo.Cell):
    """A constant of NumPy's is float32, and so is then all that comes after it."""

    def __call__(self, x, h):
        """One step."""
        U, W = layers(self.hidden_size, "U W")
        new = jnp.tanh(U(x) + W(h)) * np.full(self.hidden_size, 0.9, np.float32)
        return new, new.astype(h.dtype)


@rnnzoo.register("batch_norm")
class BatchNorm(rnnzoo.Cell):
    """Normalised over the rows: what a row becomes depends on the others."""

    def __call__(self, x, h):
        """One step."""
        U, W = layers(self.hidden_size, "U W")
        a = U(x) + W(h)
        h = jnp.tanh(a - a.mean(axis=0))
        return h, h


@rnnzoo.register("forgets")
class Forgets(rnnzoo.Cell):
    """W h was left out: all is well, but it has no memory."""

    def __call__(self, x, h):
        """One step."""
        (U,) = layers(self.hidden_size, "U")
        h = jnp.tanh(U(x))
        return h, h
