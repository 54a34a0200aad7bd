"""Optimisers and learning-rate schedules: optax by name, with gradient clipping before."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from rnnzoo.errors import UserError, blaming, did_you_mean

# They take a learning rate first, but no schedule, need more than gradients at a step, are
# deprecated, or are only parts of an optimiser.
_UNFIT = {"rprop", "sm3", "lbfgs", "noisy_sgd", "optimistic_adam"}
_UNFIT |= {"scale_by_learning_rate", "scale_by_rprop"}


def names() -> list[str]:
    """The optimisers of optax that take a learning rate first: 'adam', 'adamw', 'sgd', ..."""
    return sorted(
        name
        for name, f in inspect.getmembers(optax, inspect.isfunction)
        if next(iter(inspect.signature(f).parameters), None) == "learning_rate"
        and not name.startswith("_")
        and name not in _UNFIT
    )


class Steps(NamedTuple):
    """When the schedule 'step' lowers the learning rate, in updates after the warm-up.

    Attributes:
      factor: what each step multiplies the learning rate by.
      first: the update before which the first step is.
      every: updates from one step to the next.
    """

    factor: float = 0.5
    first: int = 1000
    every: int = 1000


def make(
    name: str,
    learning_rate: float,
    updates: int,
    *,
    schedule: str = "constant",
    warmup: int = 0,
    step_factor: float = Steps().factor,
    step_first: int = Steps().first,
    step_every: int = Steps().every,
    clip_norm: float = 1.0,
    options: Mapping[str, Any] | None = None,
) -> optax.GradientTransformation:
    """An optimiser behind gradient clipping.

    Args:
      name: one of `names()`.
      learning_rate: the schedule's highest value.
      updates: how many updates the training makes; schedules that decay end there.
      schedule: a name of `SCHEDULES`: how the learning rate goes on after the warm-up.
      warmup: number of updates in which the learning rate first rises, linearly from 0.
      step_factor: see `Steps`, as the next two.
      step_first: in updates.
      step_every: in updates.
      clip_norm: the gradient's largest global norm; 0 for no clipping.
      options: further arguments of the optax function, such as {'momentum': 0.9}.

    Raises:
      UserError: an unknown name, schedule or option, with the nearest; or a warm-up that leaves no
        update after it; or an option's value that optax cannot compute with.
    """
    if name not in names():
        raise UserError(f"no optimizer is named {name!r}: {did_you_mean(name, names())}")
    steps = Steps(step_factor, step_first, step_every)
    rate = rate_schedule(learning_rate, updates, schedule, warmup, steps)
    factory, options = getattr(optax, name), dict(options or {})
    known = set(inspect.signature(factory).parameters) - {"learning_rate"}
    for option in options:
        if option not in known:
            raise UserError(
                f"optimizer {name!r} has no option {option!r}: {did_you_mean(option, known)}"
            )
    clip = optax.clip_by_global_norm(clip_norm) if clip_norm else optax.identity()
    with blaming(f"optimizer {name!r} with the options {options}"):
        optimizer = optax.chain(clip, factory(rate, **options))
        weights = jax.ShapeDtypeStruct((2, 2), jnp.float32)
        jax.eval_shape(lambda w: optimizer.update(w, optimizer.init(w), w), weights)
    return optimizer


def rate_schedule(
    learning_rate: float,
    updates: int,
    schedule: str = "constant",
    warmup: int = 0,
    steps: Steps | None = None,
) -> optax.Schedule:
    """The learning rate after so many updates; arguments and errors are those of `make`."""
    if schedule not in SCHEDULES:
        raise UserError(f"no schedule is named {schedule!r}: {did_you_mean(schedule, SCHEDULES)}")
    if warmup >= updates:
        raise UserError(
            f"optimizer.warmup of {warmup} updates is not less than the training's {updates}: "
            "lower it, or train for more epochs"
        )
    rate = SCHEDULES[schedule](learning_rate, updates - warmup, steps or Steps())
    if not warmup:
        return rate
    return optax.join_schedules([optax.linear_schedule(0, learning_rate, warmup), rate], [warmup])


def _stepwise(rate: float, updates: int, steps: Steps) -> optax.Schedule:
    del updates
    factor, first, every = steps

    def schedule(update):
        return rate * factor ** jnp.maximum(0, (jnp.asarray(update) - first) // every + 1)

    return schedule


# (learning rate, number of updates, steps) -> schedule
SCHEDULES: dict[str, Callable[[float, int, Steps], optax.Schedule]] = {
    "constant": lambda rate, updates, steps: optax.constant_schedule(rate),
    "linear": lambda rate, updates, steps: optax.linear_schedule(rate, 0, updates),
    "cosine": lambda rate, updates, steps: optax.cosine_decay_schedule(rate, updates),
    "step": _stepwise,
}
