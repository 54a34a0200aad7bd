"""Memory: how far back gradients reach, and how far back what was read matters."""

import functools
import itertools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.flatten_util import ravel_pytree

from rnnzoo.loss import negative_log_likelihood
from rnnzoo.model import LanguageModel, Params

DIRECTIONS = 8  # random ones in which a gradient's norm is taken
LARGEST_JACOBIAN = 1024  # numbers of a state, beyond which its eigenvalues take minutes
TOLERANCE = 0.01  # nats


def gradient_norms(
    model: LanguageModel, params: Params, ids: np.ndarray, lags: int = 200, warm_up: int = 50
) -> np.ndarray:
    r"""How large the gradient of a later state is with regard to an earlier one.

    .. math:: \left( E_v \| v^T \, \partial s_T / \partial s_{T-k} \|^2 \right)^{1/2}

    over random unit vectors v: the Frobenius norm over the square root of the state's size. It is 1
    for k = 0; where it falls to nothing, gradients vanish (Hochreiter 1991; Bengio et al. 1994).

    Args:
      model: the language model.
      params: its parameters.
      ids: stretches of text, [warm_up + lags, B].
      lags: the largest k.
      warm_up: characters read before, from the initial state.

    Returns:
      Of each stretch, for k = 0 ... lags: [lags + 1, B].
    """
    read = jnp.asarray(ids[: warm_up + lags])
    return np.asarray(_gradient_norms(model, params, read, warm_up))


@functools.partial(jax.jit, static_argnames=("model", "warm_up"))
def _gradient_norms(model, params, ids, warm_up):
    rows = ids.shape[1]
    step = _step(model, params)
    state = model.initial_state(params, rows)
    state, _ = lax.scan(step, state, ids[:warm_up])
    split, join = _real_parts(state)
    real, fixed = split(state)
    lags = len(ids) - warm_up
    taps = [jnp.zeros((lags + 1, *a.shape), a.dtype) for a in real]

    def last(taps):
        """The last state's real parts, with a tap added before each step and after the last one."""
        begin = join([a + tap[0] for a, tap in zip(real, taps, strict=True)], fixed)

        def tapped(state, now):
            id_, tap = now
            parts, rest = split(step(state, id_)[0])
            return join([a + t for a, t in zip(parts, tap, strict=True)], rest), None

        end, _ = lax.scan(tapped, begin, (ids[warm_up:], [tap[1:] for tap in taps]))
        return split(end)[0]

    end, pull = jax.vjp(last, taps)

    def squares(key):
        keys = jax.random.split(key, len(end))
        v = [jax.random.normal(k, a.shape, a.dtype) for k, a in zip(keys, end, strict=True)]
        size = jnp.sqrt(_squares(v, 0))
        v = [a / size.reshape(rows, *[1] * (a.ndim - 1)) for a in v]
        return _squares(pull(v)[0], 1)

    found = lax.map(squares, jax.random.split(jax.random.key(0), DIRECTIONS))
    return jnp.sqrt(found.mean(axis=0))[::-1]


def _squares(parts: list, leading: int) -> jax.Array:
    """The sum of squares over all but the first axes and the rows after these."""
    axes = lambda a: tuple(range(leading + 1, a.ndim))  # noqa: E731
    return functools.reduce(jnp.add, (jnp.sum(jnp.square(a), axis=axes(a)) for a in parts))


def _step(model, params):
    key = jax.random.key(0) if model.needs_key(params) else None

    def step(state, ids):
        _, state = model.apply(params, key, ids[None], state)
        return state, None

    return step


def _real_parts(state):
    """Functions that take a state apart into real arrays and the rest, and put it together again.

    A complex part is taken apart into its real and its imaginary numbers.
    """
    leaves, structure = jax.tree.flatten(state)

    def split(state):
        real, rest = [], []
        for a in jax.tree.leaves(state):
            if jnp.iscomplexobj(a):
                real += [a.real, a.imag]
            else:
                (real if jnp.issubdtype(a.dtype, jnp.floating) else rest).append(a)
        return real, rest

    def join(real, rest):
        real, rest, together = iter(real), iter(rest), []
        for a in leaves:
            if jnp.iscomplexobj(a):
                together.append(lax.complex(next(real), next(real)))
            else:
                together.append(next(real if jnp.issubdtype(a.dtype, jnp.floating) else rest))
        return jax.tree.unflatten(structure, together)

    return split, join


def jacobian_eigenvalues(
    model: LanguageModel, params: Params, ids: np.ndarray, positions: int = 4
) -> np.ndarray | None:
    """The eigenvalues of the recurrent Jacobian ds_t / ds_{t-1} at some characters of a text.

    Args:
      model: the language model.
      params: its parameters.
      ids: the text, [N].
      positions: how many characters, evenly spread; the state is the one that reading led to.

    Returns:
      Complex numbers, [positions, S], for a state of S numbers; None if S > `LARGEST_JACOBIAN`.
    """
    state = model.initial_state(params, 1)
    if sum(a.size for a in _real_parts(state)[0](state)[0]) > LARGEST_JACOBIAN:
        return None
    at = np.linspace(0, len(ids) - 1, positions + 1).astype(int)[1:]
    return np.linalg.eigvals(np.asarray(_jacobians(model, params, jnp.asarray(ids), at), float))


@functools.partial(jax.jit, static_argnames="model")
def _jacobians(model, params, ids, at):
    step = _step(model, params)
    state = model.initial_state(params, 1)
    _, states = lax.scan(lambda s, id_: (step(s, id_)[0], s), state, ids[:, None])
    split, join = _real_parts(state)

    def at_one(t):
        real, others = split(jax.tree.map(lambda a: a[t], states))
        flat, unravel = ravel_pytree(real)

        def after(flat):
            state, _ = step(join(unravel(flat), others), ids[t][None])
            return ravel_pytree(split(state)[0])[0]

        return jax.jacfwd(after)(flat)

    return lax.map(at_one, at)


class Reset(NamedTuple):
    """The loss after the state was set back, beside that of a state carried on.

    Attributes:
      cold: nats of the k-th next character after a reset, mean over stretches, [L].
      warm: of the same characters with the state carried on from the text's beginning, [L].
    """

    cold: np.ndarray
    warm: np.ndarray

    def by_octave(self) -> list[tuple[int, int, float, float]]:
        """(first, last, cold, warm) means over k = 1, 2, 3-4, 5-8, and so on."""
        edges = [0, *(2**i for i in range(len(self.cold).bit_length()) if 2**i < len(self.cold))]
        edges.append(len(self.cold))
        return [
            (a + 1, b, float(self.cold[a:b].mean()), float(self.warm[a:b].mean()))
            for a, b in itertools.pairwise(edges)
        ]

    def context(self) -> float:
        """How many characters must be read until the loss is within `TOLERANCE` nats of the warm one.

        By octaves, from above: infinite if the last octave is not within it.
        """
        reached = math.inf
        for first, _, cold, warm in reversed(self.by_octave()):
            if cold - warm > TOLERANCE:
                break
            reached = first
        return reached


def loss_after_reset(
    model: LanguageModel, params: Params, ids: np.ndarray, length: int = 256
) -> Reset:
    """Reads a text twice: in stretches that begin from the initial state, and as a whole.

    Args:
      model: the language model.
      params: its parameters.
      ids: the text, [N].
      length: L of a stretch; there are as many as fit into the text.
    """
    length = min(length, len(ids) - 1)
    rows = (len(ids) - 1) // length
    read = jnp.asarray(ids[: rows * length + 1])
    cold, warm = _losses(model, params, read, rows, length)
    return Reset(np.asarray(cold), np.asarray(warm))


@functools.partial(jax.jit, static_argnames=("model", "rows", "length"))
def _losses(model, params, ids, rows, length):
    key = jax.random.key(0) if model.needs_key(params) else None

    def read(inputs, targets):  # [T, B]
        begin = model.initial_state(params, inputs.shape[1])
        logits, _ = model.apply(params, key, inputs, begin)
        return negative_log_likelihood(logits, targets)

    cold = read(*(a.reshape(rows, length).T for a in (ids[:-1], ids[1:])))
    warm = read(ids[:-1, None], ids[1:, None])
    return cold.mean(axis=1), warm.reshape(rows, length).mean(axis=0)


def horizon(norms: np.ndarray, share: float = 0.1) -> float:
    """The lag at which a gradient's norm, the median over stretches, first is below a share of 1.

    Args:
      norms: from `gradient_norms`, [lags + 1, B].
      share: of the norm at lag 0.

    Returns:
      Characters; infinite if it never is.
    """
    below = np.flatnonzero(np.median(norms, axis=1) < share)
    return float(below[0]) if len(below) else math.inf
