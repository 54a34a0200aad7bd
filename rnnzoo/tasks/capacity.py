"""How many bits of random labels a network's parameters can hold."""

import dataclasses
import functools
import math
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from rnnzoo.errors import UserError
from rnnzoo.tasks.base import Batch, Ids, Reals, Task, at_least, uniform
from rnnzoo.tasks.registry import register_task


@register_task("capacity", family="capacity", cites="collins2017capacity")
@dataclasses.dataclass(frozen=True)
class Capacity(Task):
    r"""Capacity: random labels of random sequences, to be learned by heart.

    .. math:: \ln c \text{ nats}

    There are N different sequences of T fair bits, each with one of c labels, all equally likely,
    which counts at the last step. They are fixed by the seed: a batch is drawn from the N with
    replacement, and there is nothing to generalise to. With a `width` D, an example is D fair signs
    instead, -1 or 1, all of which are shown at every step. The fraction that is learned says how many
    bits the parameters hold, see `remembered_bits`; increase N until these grow no more. Collins et
    al. (2017) have such vectors, and had the size of the data set, with all other settings, chosen
    by their search.
    """

    train_lengths: ClassVar[tuple[int, int]] = (16, 16)
    test_lengths: ClassVar[tuple[int, int]] = (16, 16)

    examples: int = 1000
    classes: int = 2
    width: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises UserError if there is nothing to learn, or the vectors would not differ."""
        at_least(self, examples=1, classes=2, width=0, seed=0)
        if self.width:
            _check_bits(self.examples, self.width, "vectors", "a width")

    @property
    def inputs(self) -> Ids | Reals:
        """A bit, or D signs."""
        return Reals(self.width) if self.width else Ids(2)

    @property
    def outputs(self) -> Ids:
        """The label."""
        return Ids(self.classes)

    @property
    def least_length(self) -> int:
        """So many bits that N sequences can differ; of vectors, a step."""
        return 1 if self.width else _bits(self.examples)

    def sample(
        self, key: jax.Array, batch_size: int, length: int, shortest: int | None = None
    ) -> Batch:
        """See `Task.sample`; a UserError says that all rows have one length, and see `data`."""
        if shortest not in (None, length):
            raise UserError(f"capacity: all sequences have one length: not {shortest} to {length}")
        return super().sample(key, batch_size, length)

    def data(self, length: int) -> Batch:
        """All N examples, to measure on; B is N.

        Raises:
          UserError: the sequences would not differ, or have more than 62 bits.
        """
        inputs, labels = map(jnp.asarray, _examples(self, length))
        counts = jnp.arange(length)[:, None] == length - 1
        shape = (length, self.examples)
        return Batch(
            jnp.broadcast_to(inputs, (*shape, *inputs.shape[2:])),
            jnp.broadcast_to(labels, shape),
            jnp.broadcast_to(counts, shape).astype(float),
        )

    def draw(self, key: jax.Array, length: jax.Array, steps: int) -> Batch:
        """See `Task.draw`."""
        inputs, labels = map(jnp.asarray, _examples(self, steps))
        which = jax.random.randint(key, (), 0, self.examples)
        counts = jnp.arange(steps) == steps - 1
        shown = jnp.broadcast_to(inputs[:, which], (steps, *inputs.shape[2:]))
        return Batch(shown, jnp.full(steps, labels[which]), counts.astype(float))

    def marginals(self, length: int) -> np.ndarray:
        """See `Task.marginals`."""
        return uniform(self.classes)


@functools.lru_cache(maxsize=8)
def _examples(task: Capacity, length: int) -> tuple[np.ndarray, np.ndarray]:
    """The N inputs, int32 of shape [T, N], or float32 of [1, N, D], and their labels, shape [N]."""
    bits = task.width or length
    _check_bits(task.examples, bits, "sequences", "a length")
    rng = np.random.default_rng([task.seed, bits])
    numbers = rng.choice(2**bits, task.examples, replace=False)
    inputs = (numbers >> np.arange(bits)[:, None]) & 1
    labels = rng.integers(task.classes, size=task.examples, dtype=np.int32)
    if not task.width:
        return inputs.astype(np.int32), labels
    return (2 * inputs.T[None] - 1).astype(np.float32), labels


def _bits(examples: int) -> int:
    """So many bits that this many examples can differ."""
    return max(1, math.ceil(math.log2(examples)))


def _check_bits(examples: int, bits: int, what: str, name: str) -> None:
    if not _bits(examples) <= bits <= 62:
        raise UserError(
            f"capacity: {examples} different {what} need {name} of {_bits(examples)} to 62 bits, "
            f"not {bits}"
        )


def remembered_bits(accuracy: float, examples: int, classes: int = 2) -> float:
    r"""The mutual information between the true labels and those that a network gives, in bits.

    .. math:: I = N \left(\log_2 c + p \log_2 p + (1 - p) \log_2 \frac{1 - p}{c - 1}\right)

    The labels Y are uniform over c. The network's answer is right with probability p, and its
    mistakes are spread over the c - 1 other labels, for they have nothing in common: given the
    answer, the entropy of Y is H(p) + (1 - p) log2(c - 1), and I = H(Y) - H(Y | answer) for each
    example. Of two labels this is N (1 - H(p)), the estimate of Collins et al. (2017, section 2).
    Below chance nothing is remembered. Divide by the number of parameters for their capacity, 5
    bits or so.

    Args:
      accuracy: p, over all examples.
      examples: N.
      classes: c.
    """
    if accuracy <= 1 / classes:
        return 0.0
    wrong = 1 - accuracy
    lost = wrong * math.log2((classes - 1) / wrong) if wrong else 0.0
    return examples * (math.log2(classes) + accuracy * math.log2(accuracy) - lost)
