"""Wrappers over any cell. Each is a cell too: `make("zoneout", 256, cell="gru", rate=0.1)`.

A wrapper that draws random numbers does so where there is a random key, as in training; without one, as
in evaluation and sampling, it takes the expected value instead.
"""

import inspect
from collections.abc import Callable
from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp

from rnnzoo.cells.base import Parallel, State
from rnnzoo.errors import UserError
from rnnzoo.registry import make, register


class Wrapper(hk.RNNCore):
    """A core around another; a subclass overrides what it changes."""

    core: Any  # an hk.RNNCore, perhaps with `parallel`

    def __init__(self, core: hk.RNNCore, name: str | None = None):
        """Wraps `core`; `name` is Haiku's module name."""
        super().__init__(name=name)
        self.core = core

    @property
    def prefers_parallel(self) -> bool:
        """Whether the core does."""
        return getattr(self.core, "prefers_parallel", False)

    def __call__(self, x: Any, state: State) -> tuple[Any, State]:
        """One step of the core."""
        return self.core(x, state)

    def initial_state(self, batch_size: int | None) -> State:
        """The core's."""
        return self.core.initial_state(batch_size)


def _registered(name: str, cites: str) -> Callable:
    """Registers a wrapper's class under a name, with an option `cell` and those of that cell."""

    def add(wrapper: type[Wrapper]) -> type[Wrapper]:
        own = inspect.signature(wrapper).parameters.keys() - {"core", "name"}

        def factory(hidden_size: int, cell: str = "lstm", **options) -> Wrapper:
            options["hidden_size"] = hidden_size
            mine = {option: options.pop(option) for option in own & options.keys()}
            options.pop("hidden_size", None)
            return wrapper(make(cell, hidden_size, **options), **mine)

        factory.__doc__ = wrapper.__doc__
        factory.__qualname__ = wrapper.__qualname__
        register(name, family="wrappers", cites=cites)(factory)
        return wrapper

    return add


def _check_rate(wrapper: str, **rates: float) -> None:
    for name, rate in rates.items():
        if not 0 <= rate < 1:
            raise UserError(f"{wrapper}: {name} must be at least 0 and below 1, not {rate!r}")


def _is_float(a) -> bool:
    return jnp.issubdtype(a.dtype, jnp.inexact)


@_registered("zoneout", cites="krueger2017zoneout")
class Zoneout(Wrapper):
    r"""Zoneout: at each step, each number of the state may keep its old value.

    .. math:: s_t = d_t \odot s_{t-1} + (1 - d_t) \odot \tilde s_t, \quad d_t \sim \text{Bernoulli}(p)

    s is all of the core's state and \tilde s_t what the core would make it. Without a random key d_t
    is p, its expected value. An output that is itself a part of the state, such as h, is zoned out with
    it; any other is left as the core made it. The paper has a rate each for the h and c of an LSTM:
    `rate` may be a sequence with one rate for each array of the state, in order.
    """

    def __init__(
        self, core: hk.RNNCore, rate: float | tuple[float, ...] = 0.1, name: str | None = None
    ):
        """Makes the wrapper.

        Args:
          core: the core.
          rate: p, one for all of the state or one for each array of it.
          name: Haiku's module name.

        Raises:
          UserError: a rate is not in [0, 1).
        """
        super().__init__(core, name)
        self.rates: tuple[float, ...] = tuple(rate) if isinstance(rate, tuple | list) else (rate,)
        _check_rate("zoneout", **{f"rate {i}": r for i, r in enumerate(self.rates)})

    def __call__(self, x: Any, state: State) -> tuple[Any, State]:
        """One step, of the core's shapes."""
        output, new = self.core(x, state)
        old, structure = jax.tree.flatten(state)
        new = structure.flatten_up_to(new)
        rates = self.rates * len(old) if len(self.rates) == 1 else self.rates
        if len(rates) != len(old):
            raise UserError(f"zoneout: {len(rates)} rates for a state of {len(old)} arrays")
        zoned = [self._zone(*each) for each in zip(old, new, rates, strict=True)]
        parts = {id(part): after for part, after in zip(new, zoned, strict=True)}
        output = jax.tree.map(lambda part: parts.get(id(part), part), output)
        return output, structure.unflatten(zoned)

    def _zone(self, old, new, p):
        if not _is_float(old):  # a step counter goes on
            return new
        key = hk.maybe_next_rng_key()
        if key is None:
            return (p * old + (1 - p) * new).astype(new.dtype)
        return jnp.where(jax.random.bernoulli(key, p, old.shape), old, new)


@_registered("variational_dropout", cites="gal2016theoretically")
class VariationalDropout(Wrapper):
    r"""Dropout with one mask for a whole sequence, on inputs, recurrent state and outputs.

    .. math::
        y'_t, s_t = \text{cell}(m_x \odot x_t, m_h \odot h_{t-1}, \ldots) \\
        y_t = m_y \odot y'_t, \quad m \sim \text{Bernoulli}(1 - p) / (1 - p)

    The masks are drawn with the initial state and kept in the state; without a random key they are 1. h
    is the first array of the core's state, what an LSTM or GRU multiplies by its weights; the paper's
    tied masks, the same one for every gate. With `output_rate=0` it is the recurrent dropout of Keras;
    that of Semeniuta et al. (2016) drops the candidate inside of a cell, which no wrapper sees. The mask
    of the inputs needs their number D, which Haiku tells only at the first step: `input_size`.
    """

    hidden_size: int
    input_size: int

    def __init__(
        self,
        core: hk.RNNCore,
        hidden_size: int,
        rate: float = 0.25,
        output_rate: float = 0.25,
        input_rate: float = 0.0,
        input_size: int | None = None,
        name: str | None = None,
    ):
        """Makes the wrapper.

        Args:
          core: the core.
          hidden_size: the number of its outputs.
          rate: p of the recurrent state h.
          output_rate: p of the outputs.
          input_rate: p of the inputs; above 0 it needs `input_size`.
          input_size: D.
          name: Haiku's module name.

        Raises:
          UserError: a rate is not in [0, 1), or the input's size is missing.
        """
        super().__init__(core, name)
        rates = {"rate": rate, "output_rate": output_rate, "input_rate": input_rate}
        _check_rate("variational_dropout", **rates)
        if input_rate and not input_size:
            raise UserError(
                "variational_dropout: input_rate needs input_size, the number of inputs"
            )
        self.rates: dict[str, float] = {"h": rate, "output": output_rate, "x": input_rate}
        self.hidden_size, self.input_size = hidden_size, input_size or 1

    def __call__(self, x: Any, state: State) -> tuple[Any, State]:
        """One step, of the core's shapes; the state is (masks, the core's state)."""
        masks, inner = state
        leaves, structure = jax.tree.flatten(inner)
        leaves[0] = leaves[0] * masks["h"]
        output, inner = self.core(x * masks["x"], structure.unflatten(leaves))
        return output * masks["output"], (masks, inner)

    def initial_state(self, batch_size: int | None) -> State:
        """Fresh masks, and the core's initial state."""
        inner = self.core.initial_state(batch_size)
        batch = () if batch_size is None else (batch_size,)
        h = jax.tree.leaves(inner)[0].shape
        shapes = {"h": h, "output": (*batch, self.hidden_size), "x": (*batch, self.input_size)}
        masks = {name: self._mask(self.rates[name], shape) for name, shape in shapes.items()}
        return masks, inner

    @hk.transparent
    def _mask(self, p, shape):
        key = hk.maybe_next_rng_key()
        if key is None or not p:
            return jnp.ones(shape)
        return jax.random.bernoulli(key, 1 - p, shape) / (1 - p)


@_registered("layer_norm", cites="ba2016layer")
class LayerNorm(Wrapper):
    r"""Layer normalisation of a core's outputs; what it feeds back to itself stays as it is.

    .. math:: y_t = g \odot \frac{y'_t - \mu(y'_t)}{\sqrt{\sigma^2(y'_t) + 10^{-5}}} + b

    Ba et al. also normalise the sums inside of a cell, before its activations, which no wrapper sees.
    """

    def __init__(self, core: hk.RNNCore, name: str | None = None):
        """Wraps `core`, whose output is one array; `name` is Haiku's module name."""
        super().__init__(core, name)
        self.norm: hk.LayerNorm = hk.LayerNorm(
            -1, create_scale=True, create_offset=True, name="norm"
        )

    def __call__(self, x: Any, state: State) -> tuple[Any, State]:
        """One step, of the core's shapes."""
        output, state = self.core(x, state)
        return self.norm(output), state

    @property
    def parallel(self) -> Parallel:
        """The core's way to compute all steps at once, if it has one."""
        at_once = self.core.parallel

        def parallel(xs, state):
            outputs, state = at_once(xs, state)
            return self.norm(outputs), state

        return parallel


@_registered("residual", cites="he2016deep")
class Residual(Wrapper):
    r"""A residual connection around a core.

    .. math:: y_t = y'_t + P x_t

    P is a learned projection if the inputs have another size than the outputs, and else the identity.
    """

    def __init__(self, core: hk.RNNCore, hidden_size: int, name: str | None = None):
        """Wraps `core`, which has `hidden_size` outputs; `name` is Haiku's module name."""
        super().__init__(core, name)
        self.hidden_size = hidden_size
        self.P = hk.Linear(hidden_size, with_bias=False, name="P")

    @hk.transparent
    def _add(self, output, x):
        return output + (x if x.shape[-1] == self.hidden_size else self.P(x))

    def __call__(self, x: Any, state: State) -> tuple[Any, State]:
        """One step, of the core's shapes."""
        output, state = self.core(x, state)
        return self._add(output, x), state

    @property
    def parallel(self) -> Parallel:
        """The core's way to compute all steps at once, if it has one."""
        at_once = self.core.parallel

        def parallel(xs, state):
            outputs, state = at_once(xs, state)
            return self._add(outputs, xs), state

        return parallel


@_registered("learned_initial_state", cites="forcada1995learning")
class LearnedInitialState(Wrapper):
    r"""A core whose initial state is learned: one parameter for each array of it.

    .. math:: s_0 = \theta

    They start from the core's own initial state. The gradient of a sequence that begins there reaches
    them; a state carried over from an earlier piece of text has none to give. Whole numbers, such as
    step counters, are not learned.
    """

    def initial_state(self, batch_size: int | None) -> State:
        """The learned state, the same for every row."""
        leaves, structure = jax.tree.flatten(self.core.initial_state(None))
        batch = () if batch_size is None else (batch_size,)
        learned = [
            hk.get_parameter(f"s_{i}", a.shape, a.dtype, lambda *_, a=a: a) if _is_float(a) else a
            for i, a in enumerate(leaves)
        ]
        return structure.unflatten([jnp.broadcast_to(a, (*batch, *a.shape)) for a in learned])

    @property
    def parallel(self) -> Parallel:
        """The core's way to compute all steps at once, if it has one."""
        return self.core.parallel


@_registered("dilated", cites="chang2017dilated")
class Dilated(Wrapper):
    r"""A dilated recurrent layer: each step goes on from the state of k steps ago.

    .. math:: y_t, s_t = \text{cell}(x_t, s_{t-k})

    So k copies of the core, with the same weights, take turns, each at one step in k: paths through time
    are k times shorter. The state holds the last k states, the oldest first. A stack with growing skips
    (1, 2, 4, ...) is the paper's DilatedRNN.
    """

    def __init__(self, core: hk.RNNCore, skip: int = 2, name: str | None = None):
        """Makes the wrapper.

        Args:
          core: the core.
          skip: k, at least 1.
          name: Haiku's module name.

        Raises:
          UserError: `skip` is below 1.
        """
        super().__init__(core, name)
        if skip < 1:
            raise UserError(f"dilated: skip must be at least 1, not {skip!r}")
        self.skip = skip

    def __call__(self, x: Any, states: State) -> tuple[Any, State]:
        """One step, of the core's shapes; the state is a tuple of k of the core's states."""
        output, new = self.core(x, states[0])
        return output, (*states[1:], new)

    def initial_state(self, batch_size: int | None) -> State:
        """The core's, k times."""
        return (self.core.initial_state(batch_size),) * self.skip


class Masked(Wrapper):
    """A core for sequences of different lengths: where the mask is False, a step does nothing.

    Inputs are pairs (x, mask) with a boolean mask of shape [...] without features: [T, B] over time.
    A masked step keeps the state and its output is zero, so that the last state of a padded
    sequence is that after its last true step. `lengths_to_mask` makes the mask. For sequences one
    after the other in a row, `hk.ResetCore` sets the state back before each flagged step.
    """

    def __call__(self, inputs: Any, state: State) -> tuple[Any, State]:
        """One step: (x, mask) and a state to the output and the next state, of the core's shapes."""
        x, mask = inputs
        output, new = self.core(x, state)

        def choose(new, old):
            wide = mask.reshape(mask.shape + (1,) * (new.ndim - mask.ndim))
            return jnp.where(wide, new, old)

        zeros = jax.tree.map(jnp.zeros_like, output)
        return jax.tree.map(choose, output, zeros), jax.tree.map(choose, new, state)


def lengths_to_mask(lengths: jax.Array, steps: int) -> jax.Array:
    """The mask of sequences of these lengths, [B], padded at their end to `steps`: [steps, B]."""
    return jnp.arange(steps)[:, None] < lengths[None]
