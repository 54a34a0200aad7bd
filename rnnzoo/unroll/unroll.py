"""`unroll`: the drop-in for `hk.dynamic_unroll`."""

import contextlib
from collections.abc import Callable
from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp

from rnnzoo.errors import UserError, did_you_mean
from rnnzoo.unroll import chunked, deferred, reference
from rnnzoo.unroll.trace import CannotTrace
from rnnzoo.untyped import Step

STRATEGIES: dict[str, Callable[..., tuple[Any, Any]]] = {
    "plain": hk.dynamic_unroll,
    "deferred": deferred.scan,
    "chunked": chunked.scan,
    "python": reference.python_loop,
}
PARALLEL = "parallel"  # the core's own method
FEWEST_PARALLEL_STEPS = 16


def unroll(
    core: Step,
    input_sequence: Any,
    initial_state: Any,
    time_major: bool = True,
    reverse: bool = False,
    return_all_states: bool = False,
    *,
    strategy: str = "auto",
) -> tuple[Any, Any]:
    """Runs a recurrent core over time: `hk.dynamic_unroll`, faster, above all to differentiate.

    Any `hk.RNNCore`, unmodified and with the same parameter names, or any function
    `core(inputs, state) -> (output, next_state)`; inside `hk.transform` or, if it has no parameters
    of Haiku's, outside. Inputs, outputs and states are pytrees of arrays with or without a batch axis.

    >>> def leaky_sum(x, h):
    ...     h = 0.5 * h + x
    ...     return h, h
    >>> outputs, state = unroll(leaky_sum, jnp.ones(4), jnp.zeros(()))
    >>> outputs.tolist(), state.item()
    ([1.0, 1.5, 1.75, 1.875], 1.875)

    Args:
      core: the core.
      input_sequence: arrays of shape [T, B, ...], or [B, T, ...] if not `time_major`.
      initial_state: the state before the first step.
      time_major: whether time is the leading axis of inputs and outputs.
      reverse: run from the last time step to the first; outputs stay in the order of the inputs.
      return_all_states: return the state after every step instead of the last one.
      strategy: one of

        - 'auto': 'deferred'; but 'parallel' for a core that has it, where it is the faster (see
          `_parallel_pays`), 'python' for T = 1, and 'plain' for a core that keeps Haiku state or has
          side effects.
        - 'deferred': loop over only what is recurrent, and take weight gradients after the loop; see
          `rnnzoo.unroll.deferred`. Forward mode and higher derivatives work.
        - 'chunked': the same in chunks that the backward pass runs again, for long sequences: memory
          for sqrt(T) steps instead of T.
        - 'parallel': the core's own `parallel(inputs, state)`, which computes all time steps at once;
          linear recurrences have one.
        - 'plain': `hk.dynamic_unroll`, a `lax.scan`.
        - 'python': the obvious Python loop; slow, to compare with.

    Returns:
      The outputs, [T, B, ...] (or [B, T, ...]), and the final state (or the states after each step,
      with a time axis like the outputs).

    Raises:
      UserError: an unknown strategy; inputs of different length; a next state that differs from the
        state in structure, shape or dtype; a core that the strategy cannot run.
    """
    if strategy not in (known := ["auto", PARALLEL, *STRATEGIES]):
        raise UserError(f"unroll: no strategy {strategy!r}: {did_you_mean(strategy, known)}")
    inputs, state = jax.tree.map(jnp.asarray, (input_sequence, initial_state))
    if not time_major:
        inputs = _swap_batch_and_time(inputs)
    length = _length(inputs)

    step = _checked(core)
    if return_all_states:
        step = _emitting_states(step)
    inside = _inside_transform()
    if inside and hk.running_init():  # there are no parameters yet to be traced around
        strategy = "plain"
    chosen = strategy
    if strategy == "auto":
        chosen = "deferred" if length > 1 else "python"  # a single step is no loop
        if not (reverse or return_all_states) and _parallel_pays(core, length):
            chosen = PARALLEL
    if inside and not hk.running_init() and chosen != PARALLEL:
        step, inputs = _with_keys(step, inputs, length)
    try:
        run = _parallel(core, return_all_states) if chosen == PARALLEL else STRATEGIES[chosen]
        with _refusing_haiku_state(chosen):
            outputs, state = run(step, inputs, state, reverse=reverse)
    except CannotTrace as e:
        if strategy != "auto":
            raise UserError(
                f"unroll: the core {e}, which strategy={strategy!r} cannot unroll: use 'plain'"
            ) from None
        outputs, state = hk.dynamic_unroll(step, inputs, state, reverse=reverse)

    if return_all_states:
        outputs, state = outputs
    if not time_major:
        outputs = _swap_batch_and_time(outputs)
        state = _swap_batch_and_time(state) if return_all_states else state
    return outputs, state


def _parallel_pays(core: Callable, length: int) -> bool:
    """Whether a core's own `parallel` is faster than a loop: measured, `benchmarks.parallel`.

    On a CPU an associative scan over elementwise decays is slower than the loop, which is bound by
    memory as it is; products over chunks of matrix states are faster, and such cores say so by an
    attribute `prefers_parallel`. Elsewhere each step of a loop is a launch of its own.
    """
    if length < FEWEST_PARALLEL_STEPS or not hasattr(core, PARALLEL):
        return False
    return jax.default_backend() != "cpu" or getattr(core, "prefers_parallel", False)


def _parallel(core: Callable, return_all_states: bool) -> Callable:
    """The core's own way to compute all time steps at once, as a strategy."""
    at_once = getattr(core, PARALLEL, None)
    if at_once is None:
        raise UserError(
            "unroll: the core has no method `parallel(inputs, state)`: use another strategy"
        )
    if return_all_states:
        raise UserError("unroll: 'parallel' has the last state only: use 'deferred' for all states")

    def run(step, inputs, state, reverse):
        del step
        if not reverse:
            return at_once(inputs, state)
        outputs, state = at_once(_flip(inputs), state)
        return _flip(outputs), state

    return run


def _flip(tree):
    return jax.tree.map(lambda a: jnp.flip(a, 0), tree)


def _swap_batch_and_time(tree):
    return jax.tree.map(lambda a: jnp.swapaxes(a, 0, 1), tree)


def _length(inputs) -> int:
    """T, the length of the inputs' leading axis."""
    shapes = [a.shape for a in jax.tree.leaves(inputs)]
    if not shapes or () in shapes:
        raise UserError("unroll: the inputs need a time axis: give arrays of shape [T, ...]")
    if len({shape[0] for shape in shapes}) > 1:
        raise UserError(f"unroll: the inputs differ in their number of time steps: shapes {shapes}")
    return shapes[0][0]


def _checked(core: Callable) -> Callable:
    """The core, refused where its next state is not of the kind of its state."""

    def step(inputs, state):
        result = core(inputs, state)
        if not isinstance(result, tuple | list) or len(result) != 2:
            raise UserError(
                f"unroll: the core returns {_kind(result)}: a step returns the pair (output, next state)"
            )
        output, next_state = result
        next_state = jax.tree.map(jnp.asarray, next_state)
        before, after = jax.tree.structure(state), jax.tree.structure(next_state)
        if before != after:
            raise UserError(
                f"unroll: the core's next state has the structure {after}, its state has {before}: "
                "return the state in the form in which initial_state makes it"
            )
        for (path, old), new in zip(
            jax.tree.leaves_with_path(state), jax.tree.leaves(next_state), strict=True
        ):
            if (old.shape, old.dtype) != (new.shape, new.dtype):
                name = jax.tree_util.keystr(path) or "the state"
                raise UserError(
                    f"unroll: {name} is {old.dtype}{list(old.shape)} before a step and "
                    f"{new.dtype}{list(new.shape)} after it: make initial_state and the core agree"
                )
        return output, next_state

    return step


def _kind(value) -> str:
    return f"{len(value)} values" if isinstance(value, tuple | list) else type(value).__name__


def _emitting_states(step: Callable) -> Callable:
    """The step with its next state as part of its output."""

    def emitting(inputs, state):
        output, next_state = step(inputs, state)
        return (output, next_state), next_state

    return emitting


def _inside_transform() -> bool:
    try:
        hk.running_init()
    except ValueError:
        return False
    return True


def _with_keys(step: Callable, inputs, length: int):
    """The step with a random key of its own at every time step, where there are keys."""
    key = hk.maybe_next_rng_key()
    if key is None:
        return step, inputs

    def with_key(key_and_inputs, state):
        key, inputs = key_and_inputs
        with hk.with_rng(key):
            return step(inputs, state)

    return with_key, (jax.random.split(key, length), inputs)


def _refusing_haiku_state(strategy: str):
    """A context in which a core that sets Haiku state is refused, by all strategies but 'plain'."""

    def refuse(next_setter, value, context):
        raise CannotTrace(f"keeps Haiku state ({context.full_name!r})")

    if strategy == "plain" or not _inside_transform():
        return contextlib.nullcontext()
    return hk.custom_setter(refuse)
