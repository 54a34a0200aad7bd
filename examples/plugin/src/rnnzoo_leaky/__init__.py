"""A leaky-integrator cell, as an example of a package that brings a cell to rnnzoo."""

import haiku as hk
import jax.numpy as jnp

import rnnzoo


@rnnzoo.register("leaky", family="continuous", cites="jaeger2007optimization")
class Leaky(rnnzoo.Cell):
    r"""The leaky-integrator unit of echo state networks, with trained weights.

    .. math:: h_t = (1 - a) h_{t-1} + a \tanh(W h_{t-1} + U x_t + b)
    """

    def __init__(self, hidden_size: int, rate: float = 0.5, name: str | None = None):
        """Makes a cell of `hidden_size` units that leak at `rate` a, between 0 and 1."""
        super().__init__(hidden_size, name)
        self.rate = rate

    def __call__(self, x, h):
        """One step: x of shape [..., D] and h of shape [..., H] to (h, h)."""
        W = hk.Linear(self.hidden_size, with_bias=False, name="W")
        U = hk.Linear(self.hidden_size, name="U")
        h = (1 - self.rate) * h + self.rate * jnp.tanh(W(h) + U(x))
        return h, h
