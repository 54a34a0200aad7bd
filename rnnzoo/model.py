"""The character-level language model: embed, unroll the cell, read out."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np

from rnnzoo.errors import UserError
from rnnzoo.unroll import unroll

Params = Any
State = Any


class LanguageModel(NamedTuple):
    """A recurrent language model as pure functions.

    Attributes:
      init: key -> params.
      apply: (params, key, ids [T, B], state) -> (logits [T, B, V], next state). The key serves cells
        that draw random numbers; others take None.
      initial_state: (params, batch size, key=None) -> state. A key lets cells draw what is to stay
        the same for a whole sequence, such as a dropout mask.
      needs_key: whether `apply` cannot do without a key, even in evaluation.
    """

    init: Callable[[jax.Array], Params]
    apply: Callable[[Params, jax.Array | None, jax.Array, State], tuple[jax.Array, State]]
    initial_state: Callable[..., State]
    needs_key: Callable[[Params], bool] = lambda params: True


class Reals(NamedTuple):
    """Vectors of `size` real numbers."""

    size: int


def language_model(
    make_core: Callable[[], hk.RNNCore],
    vocabulary_size: int,
    embedding_size: int = 0,
    strategy: str = "auto",
    dtype: jax.typing.DTypeLike | None = None,
) -> LanguageModel:
    """A `sequence_model` that expects, of each character, the next: V inputs and V outputs."""
    V = vocabulary_size
    return sequence_model(make_core, V, V, embedding_size, strategy, dtype)


def sequence_model(
    make_core: Callable[[], hk.RNNCore],
    outputs: int,
    symbols: int | Reals,
    embedding_size: int = 0,
    strategy: str = "auto",
    dtype: jax.typing.DTypeLike | None = None,
) -> LanguageModel:
    """A model around any recurrent core, with an output at every time step.

    o_t = V h_t + c reads K numbers from the core's output h_t, such as the logits of a next character.

    Args:
      make_core: makes the core; called inside `hk.transform`.
      outputs: K.
      symbols: V, how many different inputs there are; or `Reals(D)`, for inputs that are reals,
        [T, B, D].
      embedding_size: the size of a learned vector for each character, or of a linear layer on reals;
        0 for one-hot inputs, or the reals as they are.
      strategy: how the core is unrolled, see `rnnzoo.unroll`.
      dtype: what the model computes in, and keeps its state in, such as bfloat16; the parameters stay
        as they are, as do their gradients and the logits. None for the parameters' own.
    """
    one_input = _one_input(symbols)

    def build():
        core = make_core()
        readout = hk.Linear(outputs, name="readout")

        if isinstance(symbols, Reals):
            linear = hk.Linear(embedding_size, name="embedding") if embedding_size else None
            embed = functools.partial(_features, linear, dtype)
        elif embedding_size:
            vectors = hk.Embed(symbols, embedding_size, name="embedding")
            embed = functools.partial(_looked_up, vectors, dtype)  # Haiku's are of float32 always
        else:
            embed = functools.partial(jax.nn.one_hot, num_classes=symbols, dtype=dtype or float)

        def step(inputs, state):  # so that `unroll` sees that x is one-hot, and looks rows up
            return core(embed(inputs), state)

        if hasattr(core, "parallel"):
            step.parallel = lambda inputs, state: core.parallel(embed(inputs), state)
            step.prefers_parallel = getattr(core, "prefers_parallel", False)

        def apply(inputs, state):
            h, state = unroll(step, inputs, state, strategy=strategy)
            if not isinstance(h, jax.Array) or h.ndim != 3 or h.shape[:2] != inputs.shape[:2]:
                raise UserError(
                    f"the cell's output for {inputs.shape[1]} rows is {jax.tree.map(np.shape, h)} over "
                    "time: a language model needs one array, [rows, features] at each time step"
                )
            o = readout(h.reshape(-1, h.shape[-1]))  # as one matrix: faster to differentiate
            return o.reshape(*inputs.shape[:2], outputs), state

        def init():
            return apply(one_input, core.initial_state(1))

        return init, (apply, core.initial_state)

    init, (apply, initial_state) = hk.multi_transform(build)
    if dtype is not None:  # the parameters are made as without it
        init = sequence_model(make_core, outputs, symbols, embedding_size).init
        apply, initial_state = _computing_in(dtype, apply, initial_state)

    def needs_key(params):
        try:
            jax.eval_shape(lambda: apply(params, None, one_input, initial_state(params, None, 1)))
        except ValueError as e:
            if "PRNG" not in str(e):
                raise
            return True
        return False

    return LanguageModel(
        init,
        apply,
        lambda params, batch_size, key=None: initial_state(params, key, batch_size),
        needs_key,
    )


def uniform(model: LanguageModel, bound: float) -> LanguageModel:
    """The model with initial parameters that are all uniform between -bound and bound, biases too."""

    def init(key):
        shapes, tree = jax.tree.flatten(jax.eval_shape(model.init, key))
        keys = jax.random.split(key, len(shapes))
        drawn = (
            jax.random.uniform(key, shape.shape, shape.dtype, -bound, bound)
            for key, shape in zip(keys, shapes, strict=True)
        )
        return jax.tree.unflatten(tree, drawn)

    return model._replace(init=init)


def _looked_up(vectors: hk.Embed, dtype: Any, ids: jax.Array) -> jax.Array:
    return vectors(ids).astype(dtype or float)


def _features(
    linear: hk.Linear | None, dtype: jax.typing.DTypeLike | None, x: jax.Array
) -> jax.Array:
    """What a core reads of real inputs."""
    x = x if dtype is None else x.astype(dtype)
    return linear(x) if linear else x


def _one_input(symbols: int | Reals) -> np.ndarray:
    """Any input of one row and one time step."""
    if isinstance(symbols, Reals):
        return jnp.zeros((1, 1, symbols.size))
    return np.zeros((1, 1), int)


def _computing_in(dtype, apply: Callable, initial_state: Callable) -> tuple[Callable, Callable]:
    """The functions of a model in another dtype; what they take as parameters, they cast."""

    def cast(tree):
        real = lambda a: jnp.issubdtype(a.dtype, jnp.floating)  # noqa: E731
        return jax.tree.map(lambda a: a.astype(dtype) if real(a) else a, tree)

    def cast_apply(params, key, ids, state):
        logits, state = apply(cast(params), key, ids, state)
        return logits.astype(jnp.result_type(float)), state

    return cast_apply, lambda *arguments: cast(initial_state(*arguments))


def count_parameters(params: Params) -> int:
    """How many numbers the parameters are; they may be shapes only."""
    return sum(leaf.size for leaf in jax.tree.leaves(params))


def check_start(params: Params, state: State) -> None:
    """Checks the numbers that a training begins with.

    Raises:
      UserError: a parameter is NaN or infinite, or a number of the state is NaN; -inf may have its
        sense there.
    """
    for path, leaf in jax.tree.leaves_with_path((params, state)):
        if not jnp.issubdtype(leaf.dtype, jnp.inexact):
            continue
        of_state, numbers = path[0].idx == 1, np.asarray(leaf)
        if (np.isnan(numbers) if of_state else ~np.isfinite(numbers)).any():
            name = jax.tree_util.keystr(path[1:], simple=True, separator=".")
            what = "initial state" if of_state else f"parameter {name}"
            raise UserError(
                f"the cell's {what} is {'NaN' if of_state else 'NaN or infinite'} before the first "
                f"step: mend its {'initial_state' if of_state else 'initialiser'}"
            )
