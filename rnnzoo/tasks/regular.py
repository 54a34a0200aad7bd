"""Small regular languages: parity, cycles, arithmetic modulo m, Tomita's grammars."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from rnnzoo.errors import UserError
from rnnzoo.tasks.automaton import Automaton, Machine
from rnnzoo.tasks.base import Length, at_least
from rnnzoo.tasks.registry import register_task


@register_task("parity", family="regular", cites="deletang2023neural")
@dataclasses.dataclass(frozen=True)
class Parity(Automaton):
    r"""Parity: whether the number of ones among the bits is odd.

    .. math:: y = x_1 \oplus \dots \oplus x_T, \qquad \ln 2 \text{ nats}

    The bits are fair, and so is their parity. Its state has to be turned round by every one, which
    no cell can whose transition has positive eigenvalues only (Grazzi et al. 2025). As in Delétang
    et al. (2023) the answer to the whole word counts; theirs comes at a further time step, ours
    with the last bit.
    """

    @property
    def machine(self) -> Machine:
        """States: the parity."""
        return Machine(np.array([[0, 1], [1, 0]]), np.arange(2))


@register_task("even_pairs", family="regular", cites="deletang2023neural")
@dataclasses.dataclass(frozen=True)
class EvenPairs(Automaton):
    r"""Even pairs: whether the number of pairs 01 and 10 is odd, that is, the ends differ.

    .. math:: y = (x_1 \oplus x_2) \oplus \dots \oplus (x_{T-1} \oplus x_T) = x_1 \oplus x_T,
        \qquad \ln 2 \text{ nats}

    Of fair bits. A single bit has no pair: for T = 1 the baseline is 0.
    """

    @property
    def machine(self) -> Machine:
        """States: nothing yet; then 1 + 2 first + last."""
        pair = [[1 + 2 * first + x for x in (0, 1)] for first in (0, 0, 1, 1)]
        return Machine(np.array([[1, 4], *pair]), np.array([0, 0, 1, 1, 0]))


@register_task("cycle_navigation", family="regular", cites="deletang2023neural")
@dataclasses.dataclass(frozen=True)
class CycleNavigation(Automaton):
    r"""Cycle navigation: the place on a circle of m after steps to the left, to the right, or none.

    .. math:: y = \sum_t (x_t - 1) \bmod m, \qquad \approx \ln m \text{ nats}

    x_t is 0, 1 or 2 with equal probability: left, none, right. The baseline is the entropy of the
    place, which is ln m but for short words; m = 5, as in Delétang et al. (2023).
    """

    places: int = 5

    def __post_init__(self) -> None:
        """Raises UserError if there is no circle."""
        at_least(self, places=2)

    @property
    def machine(self) -> Machine:
        """States: the place."""
        places = np.arange(self.places)
        return Machine((places[:, None] + np.arange(3) - 1) % self.places, places)


@register_task("modular_arithmetic", family="regular", cites="deletang2023neural")
@dataclasses.dataclass(frozen=True)
class ModularArithmetic(Automaton):
    r"""Modular arithmetic: the value of a sum of products modulo m, without brackets.

    .. math:: y = x_1 \circ x_3 \circ \dots \circ x_T \bmod m, \quad \circ \in \{+, -, \times\},
        \qquad \approx \ln m \text{ nats}

    Numbers (ids 0 to m - 1) and operators (ids m, m + 1, m + 2 for +, -, times) take turns, and
    products go first. A word of even length loses its last operator. The baseline is the entropy of
    the value, which is ln m but for short words. m = 5 as in Delétang et al. (2023), whose alphabet
    has one more symbol, never used.
    """

    modulus: int = 5

    def __post_init__(self) -> None:
        """Raises UserError if there is nothing to count."""
        at_least(self, modulus=2)

    def steps(self, length: Length) -> Length:
        """The odd one of length and length - 1."""
        return length - 1 + length % 2

    @property
    def machine(self) -> Machine:
        """States (finished terms, factor of the next number) as m * terms + (factor - 1) mod m."""
        m = self.modulus
        terms, factor = np.divmod(np.arange(m * m), m)
        factor = (factor + 1) % m  # the first state is (0, 1)
        value = (terms + factor) % m

        def state(terms, factor):
            return m * terms + (factor - 1) % m

        times = [state(terms, factor * x % m) for x in range(m)]
        plus, minus = state(value, 1), state(value, -1)
        return Machine(np.stack([*times, plus, minus, state(terms, factor)], axis=1), value)

    def word(self, key: jax.Array, length: jax.Array, steps: int) -> jax.Array:
        """See `Automaton.word`."""
        numbers, operators = (
            jax.random.randint(k, (steps,), 0, size, jnp.int32)
            for k, size in zip(jax.random.split(key), (self.modulus, 3), strict=True)
        )
        return jnp.where(jnp.arange(steps) % 2, self.modulus + operators, numbers)

    def symbols(self, steps: int) -> np.ndarray:
        """See `Automaton.symbols`."""
        m = self.modulus
        number = np.arange(m + 3) < m
        return np.stack([number / m, ~number / 3])[np.arange(steps) % 2]

    def answered(self, steps: int) -> np.ndarray:
        """See `Automaton.answered`: after each number."""
        return np.arange(steps) % 2 == 0


# By Tomita's numbers: the state after (state, bit), and which states accept.
TOMITA = {
    1: ([[1, 0], [1, 1]], [1, 0]),
    2: ([[2, 1], [0, 2], [2, 2]], [1, 0, 0]),
    3: ([[0, 1], [2, 0], [3, 4], [2, 3], [4, 4]], [1, 1, 0, 1, 0]),
    4: ([[1, 0], [2, 0], [3, 0], [3, 3]], [1, 1, 1, 0]),
    5: ([[1, 2], [0, 3], [3, 0], [2, 1]], [1, 0, 0, 0]),
    6: ([[1, 2], [2, 0], [0, 1]], [1, 0, 0]),
    7: ([[0, 1], [2, 1], [2, 3], [4, 3], [4, 4]], [1, 1, 1, 1, 0]),
}


@register_task("tomita", family="regular", cites="tomita1982dynamic")
@dataclasses.dataclass(frozen=True)
class Tomita(Automaton):
    r"""Tomita's grammars: whether a word of bits belongs to the n-th of seven small languages.

    .. math:: \ln 2 \text{ nats}

    1: only ones. 2: (10)*. 3: no odd run of zeros anywhere after an odd run of ones. 4: no 000. 5:
    zeros and ones both even in number. 6: their numbers differ by a multiple of 3. 7: 0*1*0*1*.

    Of fair bits, hardly a word would belong to some of them. So one word in two does: by a fair
    coin, a word of the given length is drawn from those that belong or those that do not, each of
    them equally likely. Where there are none of one kind, as in grammar 2 for odd lengths, the
    answer is known and the baseline 0. Tomita (1982) himself gave short lists of words.
    """

    grammar: int = 5

    def __post_init__(self) -> None:
        """Raises UserError if there is no such grammar."""
        if self.grammar not in TOMITA:
            raise UserError(f"tomita: grammar must be one of 1 to 7, not {self.grammar!r}")

    @property
    def machine(self) -> Machine:
        """See `TOMITA`."""
        return Machine(*map(np.array, TOMITA[self.grammar]))

    def word(self, key: jax.Array, length: jax.Array, steps: int) -> jax.Array:
        """See `Automaton.word`."""
        one, possible = (jnp.asarray(a) for a in _bits(self.grammar, steps))
        coin_key, key = jax.random.split(key)
        coin = jax.random.bernoulli(coin_key).astype(jnp.int32)
        belongs = jnp.where(possible[length, coin], coin, 1 - coin)
        next = jnp.asarray(self.machine.next, jnp.int32)

        def step(state, now):
            t, u = now
            bit = (u < one[jnp.maximum(length - t, 0), state, belongs]).astype(jnp.int32)
            return next[state, bit], bit

        drawn = jax.random.uniform(key, (steps,))
        return jax.lax.scan(step, jnp.int32(0), (jnp.arange(steps), drawn))[1]

    def marginals(self, length: int) -> np.ndarray:
        """See `Task.marginals`."""
        next, labels = self.machine
        one, possible = _bits(self.grammar, length)
        kinds = np.flatnonzero(possible[length])
        rows = np.zeros((length, 2))
        for belongs in kinds:
            states = np.eye(len(next))[0]
            for t in range(length):
                p = one[length - t, :, belongs]
                moved = np.stack([1 - p, p], axis=1) * states[:, None]
                states = np.bincount(next.ravel(), moved.ravel(), len(next))
                rows[t] += np.bincount(labels, states, 2) / len(kinds)
        return rows if self.every_step else rows[-1:]


@functools.cache
def _bits(grammar: int, longest: int) -> tuple[np.ndarray, np.ndarray]:
    """How to draw a word that belongs to the language, or one that does not.

    Returns:
      The probability of a one with n bits to come in a state, for each of the two kinds of words,
      shape [longest + 1, Q, 2]; and whether there are words of length n of each kind, shape
      [longest + 1, 2].
    """
    next, labels = map(np.array, TOMITA[grammar])
    # Logarithms of the fraction of continuations of n bits that end in either kind.
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = [np.log(labels[:, None] == np.arange(2))]
        one = [np.zeros_like(logs[0])]
        for _ in range(longest):
            zero_next, one_next = logs[-1][next[:, 0]], logs[-1][next[:, 1]]
            either = np.logaddexp(zero_next, one_next)
            one.append(np.nan_to_num(np.exp(one_next - either)))
            logs.append(either - np.log(2))
    return np.array(one), np.array(logs)[:, 0] > -np.inf
