"""Forecasting of what oscillates."""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp

from rnnzoo.errors import UserError
from rnnzoo.tasks.base import Batch, Reals, Task, at_least
from rnnzoo.tasks.registry import register_task


@register_task("sines", family="forecasting")
@dataclasses.dataclass(frozen=True)
class Sines(Task):
    r"""Mixture of sines: the value some steps ahead of a sum of oscillations.

    .. math:: x_t = \sqrt{2/n} \sum_{i=1}^n \sin(2 \pi t / p_i + \phi_i), \qquad y_t = x_{t+h},
        \qquad 1 \text{ (squared error)}

    Each sequence has its own n periods p, of U(5, 50) time steps, and phases, of U(0, 2 pi).
    Without the inputs the best forecast is 0, and the error the variance, 1. The floor is 0: such a
    sum obeys a linear recurrence of order 2n, whose coefficients are the same read backwards, for
    its roots lie on the unit circle in conjugate pairs; so 3n values determine all that follow, and
    steps count from the 3n-th on. This task is our own.
    """

    train_lengths: ClassVar[tuple[int, int]] = (100, 100)
    test_lengths: ClassVar[tuple[int, int]] = (100, 100)

    waves: int = 3
    horizon: int = 10
    shortest_period: float = 5.0
    longest_period: float = 50.0

    def __post_init__(self) -> None:
        """Raises UserError if there is nothing to forecast."""
        at_least(self, waves=1, horizon=1)
        if not 2 < self.shortest_period <= self.longest_period:
            raise UserError(
                f"sines: periods from {self.shortest_period} to {self.longest_period}: give more "
                "than 2 time steps, the shortest first"
            )

    @property
    def inputs(self) -> Reals:
        """The value."""
        return Reals(1)

    @property
    def least_length(self) -> int:
        """As many values as determine the rest."""
        return 3 * self.waves

    def draw(self, key: jax.Array, length: jax.Array, steps: int) -> Batch:
        """See `Task.draw`."""
        period_key, phase_key = jax.random.split(key)
        n, ends = self.waves, (self.shortest_period, self.longest_period)
        periods = jax.random.uniform(period_key, (n,), float, *ends)
        turns = jax.random.uniform(phase_key, (n,))
        t = jnp.arange(steps + self.horizon)[:, None]
        x = jnp.sqrt(2 / n) * jnp.sin(2 * jnp.pi * (t / periods + turns)).sum(axis=1, keepdims=True)
        counts = jnp.arange(steps) >= 3 * n - 1
        return Batch(x[:steps], x[self.horizon :], counts.astype(float))

    def baseline(self, length: int) -> float:
        """See `Task.baseline`: the variance, 1."""
        return 1.0
