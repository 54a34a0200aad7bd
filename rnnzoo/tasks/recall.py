"""Associative recall: of many pairs, the value that belongs to a key."""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from rnnzoo.errors import UserError
from rnnzoo.tasks.base import Batch, Ids, Task, at_least, uniform
from rnnzoo.tasks.registry import register_task


@register_task("mqar", family="recall", cites="arora2024zoology")
@dataclasses.dataclass(frozen=True)
class MQAR(Task):
    r"""Multi-query associative recall: key-value pairs, then every key once more, to be answered.

    .. math:: \ln \lceil V / 2 \rceil \text{ nats}

    A sequence begins with n pairs of a key and its value, all keys different and all values too;
    keys are ids from 1 to V/2 - 1, values from V/2 on. Each key is asked for once in what follows,
    at an even place, and the answer counts there: its value. The i-th of those places is taken with
    a probability in proportion to i^(a - 1), so that with a = 0.01 most questions come soon.
    Everywhere else stands any of the V ids or, without `noise`, 0. The length is that of the whole
    sequence. Without the inputs each value is equally likely; whoever remembers the values but not
    which is whose loses ln n.

    This is the generator of Arora et al. (2024), who take V = 8,192, from 4 pairs in 64 steps to 64
    in 512.
    """

    train_lengths: ClassVar[tuple[int, int]] = (64, 64)
    test_lengths: ClassVar[tuple[int, int]] = (64, 64)

    pairs: int = 8
    vocabulary: int = 128
    power: float = 0.01
    noise: bool = True

    def __post_init__(self) -> None:
        """Raises UserError if there are not keys enough."""
        at_least(self, pairs=1, vocabulary=4)
        if self.pairs > self.vocabulary // 2 - 1:
            raise UserError(
                f"mqar: {self.pairs} pairs need a vocabulary of {2 * self.pairs + 2} or more, "
                f"not {self.vocabulary}"
            )

    @property
    def inputs(self) -> Ids:
        """Keys and values."""
        return Ids(self.vocabulary)

    @property
    def least_length(self) -> int:
        """The pairs, and an even place for each question."""
        return 4 * self.pairs - 1

    def draw(self, key: jax.Array, length: jax.Array, steps: int) -> Batch:
        """See `Task.draw`."""
        n, half, V = self.pairs, self.vocabulary // 2, self.vocabulary
        key_key, value_key, place_key, noise_key = jax.random.split(key, 4)
        places = (steps + 1) // 2 - n  # the even ones after the pairs
        inside = 2 * (n + jnp.arange(places)) < length
        power_law = jnp.where(inside, (self.power - 1) * jnp.log1p(jnp.arange(places)), -jnp.inf)
        keys = 1 + _different(key_key, jnp.zeros(half - 1), n)
        values = half + _different(value_key, jnp.zeros(V - half), n)
        asked = 2 * (n + _different(place_key, power_law, n))
        noise = jax.random.randint(noise_key, (steps,), 0, V, jnp.int32) * self.noise
        pairs = jnp.stack([keys, values], axis=1).ravel()
        inputs = noise.at[: 2 * n].set(pairs).at[asked].set(keys)
        targets = jnp.zeros(steps, jnp.int32).at[asked].set(values)
        return Batch(inputs, targets, jnp.zeros(steps).at[asked].set(1.0))

    def marginals(self, length: int) -> np.ndarray:
        """See `Task.marginals`."""
        return uniform(self.vocabulary, self.vocabulary - self.vocabulary // 2)[:, ::-1]


def _different(key: jax.Array, logits: jax.Array, n: int) -> jax.Array:
    """Different ids, n of them, drawn one after the other by softmax(logits) of those that are left.

    The n largest of logits + Gumbel noise, in this order, are just that.
    """
    return jax.lax.top_k(logits + jax.random.gumbel(key, logits.shape), n)[1].astype(jnp.int32)
