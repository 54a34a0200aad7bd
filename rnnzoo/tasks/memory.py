"""Tasks of memory: what was seen is needed again later, unchanged or put together."""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from rnnzoo.tasks.base import Batch, Ids, Length, Reals, Task, at_least, uniform
from rnnzoo.tasks.registry import register_task


@register_task("copy", family="memory", cites="arjovsky2016unitary")
@dataclasses.dataclass(frozen=True)
class Copy(Task):
    r"""Copy memory: symbols are said again after a delay of T steps.

    .. math:: \frac{n \ln s}{T + 2n} \text{ nats}

    n symbols, each one of s; T - 1 blanks; a signal; n blanks, during which the symbols are to be
    said in order. All T + 2n steps count, and the right answer to all but the last n is the blank.
    The length is T. Without the inputs one knows those blanks, and each symbol is one of s: the
    baseline, 10 ln 8 / (T + 20). Hochreiter and Schmidhuber (1997) have the idea, Arjovsky et al.
    (2016) this form.
    """

    train_lengths: ClassVar[tuple[int, int]] = (100, 100)
    test_lengths: ClassVar[tuple[int, int]] = (100, 100)

    symbols: int = 8
    remember: int = 10

    def __post_init__(self) -> None:
        """Raises UserError if there is nothing to remember."""
        at_least(self, symbols=2, remember=1)

    @property
    def inputs(self) -> Ids:
        """The s symbols, the blank, the signal."""
        return Ids(self.symbols + 2)

    def steps(self, length: Length) -> Length:
        """T + 2n."""
        return length + 2 * self.remember

    def draw(self, key: jax.Array, length: jax.Array, steps: int) -> Batch:
        """See `Task.draw`."""
        n, blank, signal = self.remember, self.symbols, self.symbols + 1
        said = jax.random.randint(key, (n,), 0, self.symbols, jnp.int32)
        t = jnp.arange(steps)
        inputs = _at(t, said, blank).at[length + n - 1].set(signal)
        return Batch(inputs, _at(t - length - n, said, blank), jnp.ones(steps))

    def marginals(self, length: int) -> np.ndarray:
        """See `Task.marginals`."""
        blanks = np.tile(np.eye(self.outputs.size)[self.symbols], (length + self.remember, 1))
        return np.concatenate([blanks, uniform(self.outputs.size, self.symbols, self.remember)])


@register_task("selective_copy", family="memory", cites="gu2023mamba")
@dataclasses.dataclass(frozen=True)
class SelectiveCopy(Task):
    r"""Selective copying: the symbols to say again lie scattered among noise.

    .. math:: \ln (V - 2) \text{ nats}

    n of the first T inputs are data, at random places, the others noise (id 0); then n markers (id
    V - 1) follow, during which the data are to be said in order. Only these n steps count. The
    length is T. Each of the V - 2 data symbols is equally likely, hence the baseline. Gu and Dao
    (2023), and Feng et al. (2024) after them, take T = 4096, n = 16 and a vocabulary of 16, in
    which we include noise and marker.
    """

    train_lengths: ClassVar[tuple[int, int]] = (64, 64)
    test_lengths: ClassVar[tuple[int, int]] = (64, 64)

    remember: int = 4
    vocabulary: int = 6

    def __post_init__(self) -> None:
        """Raises UserError if there is nothing to remember."""
        at_least(self, remember=1, vocabulary=4)

    @property
    def inputs(self) -> Ids:
        """Noise, the data symbols, the marker."""
        return Ids(self.vocabulary)

    @property
    def least_length(self) -> int:
        """Room for the data."""
        return self.remember

    def steps(self, length: Length) -> Length:
        """T + n."""
        return length + self.remember

    def draw(self, key: jax.Array, length: jax.Array, steps: int) -> Batch:
        """See `Task.draw`."""
        data_key, place_key = jax.random.split(key)
        n, t = self.remember, jnp.arange(steps)
        data = jax.random.randint(data_key, (n,), 1, self.vocabulary - 1, jnp.int32)
        scores = jnp.where(t < length, jax.random.uniform(place_key, (steps,)), -1)
        places = jnp.sort(jax.lax.top_k(scores, n)[1])
        noise = jnp.where(t < length, 0, self.vocabulary - 1).astype(jnp.int32)
        inputs = noise.at[places].set(data)
        return Batch(inputs, _at(t - length, data, 0), (t >= length).astype(float))

    def marginals(self, length: int) -> np.ndarray:
        """See `Task.marginals`."""
        return np.roll(uniform(self.vocabulary, self.vocabulary - 2), 1, axis=1)


@register_task("adding", family="memory", cites="hochreiter1997long")
@dataclasses.dataclass(frozen=True)
class Adding(Task):
    r"""Adding: the sum of the two marked ones among T real numbers.

    .. math:: \frac{1}{6} \text{ squared error}

    A time step's input is a number of U(0, 1) and a mark, which is 1 at one step of the sequence's
    first half and one of its second, else 0. The answer counts at the last step alone. Without the
    inputs the best answer is 1, with the variance of a sum of two such numbers for its error, 2/12.
    Hochreiter and Schmidhuber (1997) draw from [-1, 1], mark one of the first ten steps, and scale
    the sum; this is the form of Le et al. (2015) and Arjovsky et al. (2016).
    """

    train_lengths: ClassVar[tuple[int, int]] = (200, 200)
    test_lengths: ClassVar[tuple[int, int]] = (200, 200)

    @property
    def inputs(self) -> Reals:
        """The number and the mark."""
        return Reals(2)

    @property
    def outputs(self) -> Reals:
        """The sum."""
        return Reals(1)

    @property
    def least_length(self) -> int:
        """A step in each half."""
        return 2

    def draw(self, key: jax.Array, length: jax.Array, steps: int) -> Batch:
        """See `Task.draw`."""
        number_key, *place_keys = jax.random.split(key, 3)
        numbers, half = jax.random.uniform(number_key, (steps,)), length // 2
        ends = ((0, half), (half, length))
        places = [jax.random.randint(k, (), *e) for k, e in zip(place_keys, ends, strict=True)]
        marks = jnp.zeros(steps).at[jnp.stack(places)].set(1)
        total = jnp.full((steps, 1), (numbers * marks).sum())
        last = jnp.arange(steps) == length - 1
        return Batch(jnp.stack([numbers, marks], axis=1), total, last.astype(float))

    def baseline(self, length: int) -> float:
        """See `Task.baseline`: 1/6."""
        return 1 / 6


@register_task("delayed_xor", family="memory", cites="bertschinger2004real")
@dataclasses.dataclass(frozen=True)
class DelayedXor(Task):
    r"""Delayed XOR: two neighbouring bits of d steps ago, put together.

    .. math:: y_t = x_{t-d} \oplus x_{t-d-1}, \qquad \ln 2 \text{ nats}

    The inputs are fair bits, and every step counts that has both: all but the first d + 1. The
    answers are fair bits to whoever does not see the inputs. As many as d + 2 bits have to be kept
    at any time, and no linear readout of them suffices: the XOR is what Bertschinger and
    Natschläger (2004) read from reservoirs, as a parity of three bits.
    """

    train_lengths: ClassVar[tuple[int, int]] = (64, 64)
    test_lengths: ClassVar[tuple[int, int]] = (64, 64)

    delay: int = 10

    def __post_init__(self) -> None:
        """Raises UserError if the delay is negative."""
        at_least(self, delay=0)

    @property
    def inputs(self) -> Ids:
        """A bit."""
        return Ids(2)

    @property
    def least_length(self) -> int:
        """One answer."""
        return self.delay + 2

    def draw(self, key: jax.Array, length: jax.Array, steps: int) -> Batch:
        """See `Task.draw`."""
        bits = jax.random.randint(key, (steps,), 0, 2, jnp.int32)
        t, ago = jnp.arange(steps), jnp.roll(bits, self.delay)
        return Batch(bits, ago ^ jnp.roll(ago, 1), (t > self.delay).astype(float))

    def marginals(self, length: int) -> np.ndarray:
        """See `Task.marginals`."""
        return uniform(2)


def _at(place: jax.Array, said: jax.Array, other: int) -> jax.Array:
    """said[place] where there is such a place, else `other`."""
    inside = (place >= 0) & (place < len(said))
    return jnp.where(inside, said[jnp.clip(place, 0, len(said) - 1)], other).astype(jnp.int32)
