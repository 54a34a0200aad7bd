r"""Matrix states: one step, all steps in chunks, and what the cells that have one share.

A head's state is a matrix S of shape [d_k, d_v] that is written with keys and read with queries:

.. math::
    S_t = \mathrm{diag}(\alpha_t) S_{t-1} + k_t v_t^\top \\
    o_t = S_t^\top q_t

`step` is this equation; `looped` and `chunked` are the same for a whole sequence, and `at_once` is the
faster of the two. All take the same arguments.
"""

import functools
import itertools
import math
from collections.abc import Callable
from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp

from rnnzoo.cells.base import Pair, State, check_heads, wide
from rnnzoo.errors import UserError

CACHE = 2**24  # bytes of states that `looped` may keep for its derivative


def step(
    q: jax.Array,
    k: jax.Array,
    v: jax.Array,
    log_decay: jax.Array,
    S: jax.Array,
    *,
    previous: bool = False,
) -> Pair:
    """One time step of the heads' matrix states.

    Args:
      q: the queries, [..., heads, d_k]; a single head's queries may serve all heads, and so its keys.
      k: the keys, of the same shape.
      v: the values, [..., heads, d_v].
      log_decay: log(alpha), at most 0, [..., heads, d_k], or [..., heads, 1] where a head has one.
      S: the states, [..., heads, d_k, d_v].
      previous: read S_{t-1} instead of S_t.

    Returns:
      The outputs o, [..., heads, d_v], and the new states. What is computed is float32 at least, the
      outputs stay so, for the norm that follows; the states come in their own dtype.
    """
    q, k, v, log_decay = map(wide, (q, k, v, log_decay))
    new_S = jnp.exp(log_decay)[..., None] * S + k[..., :, None] * v[..., None, :]
    o = jnp.sum(q[..., None] * (S if previous else new_S), axis=-2)
    return o, new_S.astype(S.dtype)


def at_once(
    q: jax.Array,
    k: jax.Array,
    v: jax.Array,
    log_decay: jax.Array,
    S: jax.Array,
    *,
    previous: bool = False,
) -> Pair:
    """All time steps of `step`, by `looped` or `chunked`, whichever is faster; their arguments.

    One decay per key feature makes the chunks' quotients more arithmetic than the states of a single
    row are, so that a CPU had better loop, while its cache holds the states.
    """
    single, features = math.prod(S.shape[:-3]) == 1, log_decay.shape[-1] > 1
    in_cache = len(v) * S.size * S.dtype.itemsize <= CACHE
    loops = jax.default_backend() == "cpu" and single and features and in_cache
    return (looped if loops else chunked)(q, k, v, log_decay, S, previous=previous)


def looped(
    q: jax.Array,
    k: jax.Array,
    v: jax.Array,
    log_decay: jax.Array,
    S: jax.Array,
    *,
    previous: bool = False,
) -> Pair:
    """All time steps of `step`, one by one, as products of matrices and vectors.

    The derivative of a product is again one, where that of a broadcast is a sum, which XLA does not
    vectorise on a CPU. Only the states are kept for it. The arguments are those of `chunked`.
    """
    q, k, v, log_decay = map(wide, (q, k, v, log_decay))
    q, k = (jnp.broadcast_to(a, (*v.shape[:-1], a.shape[-1])) for a in (q, k))
    alpha, ones = jnp.exp(log_decay), jnp.ones(v.shape[-1], v.dtype)

    @functools.partial(jax.checkpoint, prevent_cse=False)
    def one(S, now):
        q, k, v, alpha = now
        new_S = jnp.einsum("...k,v->...kv", alpha, ones) * S + jnp.einsum("...k,...v->...kv", k, v)
        o = jnp.einsum("...k,...kv->...v", q, S if previous else new_S)
        return new_S.astype(S.dtype), o

    S, o = jax.lax.scan(one, S, (q, k, v, alpha))
    return o, S


def chunked(
    q: jax.Array,
    k: jax.Array,
    v: jax.Array,
    log_decay: jax.Array,
    S: jax.Array,
    *,
    previous: bool = False,
    size: int | None = None,
) -> Pair:
    r"""All time steps of `step` at once, with a loop over chunks instead of steps.

    With the chunk's cumulative decays b_t = alpha_1 ... alpha_t and the state S_0 before it:

    .. math::
        o_t = S_0^\top (b_t \odot q_t) + \sum_{s \le t} \big(q_t \cdot (b_t / b_s \odot k_s)\big) v_s \\
        S_C = \mathrm{diag}(b_C) S_0 + \sum_s (b_C / b_s \odot k_s) v_s^\top

    Everything but the recurrence of the chunks' states is products of matrices, for all chunks at
    once. The quotients are made as exp(log b_t - log b_s) of what is at most 0, one by one, and never
    as b_t times 1 / b_s, which overflows. (One decay per head needs C * C of them a chunk, one per
    feature C * C * d_k, which are not kept for the backward pass: hence the smaller chunks.)

    Args:
      q: the queries, as all that follows as for `step`, with a leading time axis: [T, ..., heads, d_k].
      k: the keys.
      v: the values.
      log_decay: log(alpha), at most 0.
      S: the states before the first step, [..., heads, d_k, d_v].
      previous: read S_{t-1} instead of S_t.
      size: C, the steps of a chunk; 64 for one decay per head, 16 for one per key feature.

    Returns:
      The outputs o, [T, ..., heads, d_v], and the states after the last step, as of `step`.
    """
    T, dtype = len(v), wide(S).dtype
    C = min(T, size or (64 if log_decay.shape[-1] == 1 else 16))

    def cut(a):
        """[T, ..., heads, d] to [chunks, ..., heads, C, d]; the steps added change no state."""
        a = jnp.pad(a.astype(dtype), [(0, -T % C)] + [(0, 0)] * (a.ndim - 1))
        return jnp.moveaxis(a.reshape(-1, C, *a.shape[1:]), 1, -2)

    q, k, v, log_decay = cut(q), cut(k), cut(v), cut(log_decay)
    # Below this exp is 0 anyway, and without it one huge number would blur the sums that follow it.
    log_decay = jnp.maximum(log_decay, math.log(float(jnp.finfo(dtype).smallest_subnormal)))
    log_b = jnp.cumsum(log_decay, axis=-2)
    log_b_q = log_b  # of the state that is read
    if previous:
        log_b_q = jnp.pad(log_b[..., :-1, :], [(0, 0)] * (log_b.ndim - 2) + [(1, 0), (0, 0)])

    read = jnp.tri(C, k=-1 if previous else 0, dtype=bool)

    log_b_C = log_b[..., -1:, :]
    written = _transpose(k * jnp.exp(log_b_C - log_b)) @ v
    kept = _transpose(jnp.exp(log_b_C))

    def over_chunks(S, chunk):
        kept, written = chunk
        return kept * S + written, S

    last_S, S_0 = jax.lax.scan(over_chunks, S.astype(dtype), (kept, written))
    o = (q * jnp.exp(log_b_q)) @ S_0 + _scores(q, k, log_b_q, log_b, read) @ v
    o = jnp.moveaxis(o, -2, 1).reshape(-1, *o.shape[1:-2], o.shape[-1])[:T]
    return o, last_S.astype(S.dtype)


@jax.checkpoint
def _scores(q, k, log_b_q, log_b, read):
    """How much each step of a chunk, [..., C, d_k], reads of each step of it: [..., C, C]."""
    quotient = log_b_q[..., :, None, :] - log_b[..., None, :, :]
    quotient = jnp.exp(jnp.where(read[..., None], quotient, -jnp.inf))
    if quotient.shape[-1] == 1:
        return (q @ _transpose(k)) * quotient[..., 0]
    return jnp.sum(q[..., :, None, :] * k[..., None, :, :] * quotient, axis=-1)


def _transpose(a):
    return jnp.swapaxes(a, -1, -2)


def flat(o: jax.Array) -> jax.Array:
    """The heads side by side: [..., heads, d] to [..., heads * d]."""
    return o.reshape(*o.shape[:-2], -1)


class MatrixCell(hk.RNNCore):
    """A cell of several heads with a matrix state each, [heads, d_k, d_v], where H = heads * d_v.

    A subclass writes its equations once, as `run`, around the recurrence that it is given: `step`, or
    `at_once` with a leading time axis on everything but the state. It makes its layers in `__init__`,
    so that their parameters have the same names in both.
    """

    prefers_parallel = True

    def __init__(self, hidden_size: int, heads: int, key_size: int | None, name: str | None):
        """Makes a cell of `hidden_size` units in `heads` heads; `key_size` is d_k, d_v for None."""
        super().__init__(name=name)
        check_heads(self.name, hidden_size, heads)
        if key_size is not None and key_size < 1:
            raise UserError(f"{self.name}: key_size={key_size} must be at least 1")
        self.hidden_size = hidden_size
        self.heads = heads
        self.value_size: int = hidden_size // heads
        self.key_size: int = key_size or self.value_size

    def run(self, recur: Callable[..., Any], x: jax.Array, state: State) -> tuple[jax.Array, State]:
        """The output and the next state from x of shape [..., D], with `recur` for the recurrence."""
        raise NotImplementedError

    def __call__(self, x: jax.Array, state: State) -> tuple[jax.Array, State]:
        """One step: x of shape [..., D] and the state to the output [..., H] and the new state."""
        return self.run(step, x, state)

    def parallel(self, xs: jax.Array, state: State) -> tuple[jax.Array, State]:
        """All time steps at once: xs of shape [T, ..., D] to the outputs and the last state."""
        return self.run(at_once, xs, state)

    def initial_state(self, batch_size: int | None) -> State:
        """Zeros, of shape [batch_size, heads, d_k, d_v], or [heads, d_k, d_v] for None."""
        return self.zeros(batch_size, self.heads, self.key_size, self.value_size)

    def zeros(self, batch_size: int | None, *shape: int) -> jax.Array:
        """Zeros of that shape, behind a batch axis unless `batch_size` is None."""
        return jnp.zeros(shape if batch_size is None else (batch_size, *shape))

    def split(self, a: jax.Array, *sizes: int) -> list[jax.Array]:
        """The blocks that lie side by side in [..., heads * sum(sizes)], each [..., heads, size]."""
        ends = list(itertools.accumulate(self.heads * size for size in sizes))
        parts = jnp.split(a, ends[:-1], axis=-1)
        return [p.reshape(*p.shape[:-1], self.heads, -1) for p in parts]


class HeadNorm(hk.Module):
    r"""Normalises each head by itself, [..., heads, d] to [..., heads * d].

    .. math:: y = \gamma \odot (o - \bar o) / \sqrt{\mathrm{mean}((o - \bar o)^2) + \epsilon} + \beta

    That is a group norm; without the mean, an RMS norm. Safe for numbers whose squares overflow.
    """

    mean: bool
    scale: bool
    offset: bool
    eps: float

    def __init__(
        self,
        mean: bool = True,
        scale: bool = True,
        offset: bool = True,
        eps: float = 1e-5,
        name: str | None = "norm",
    ):
        """Makes the norm.

        Args:
          mean: subtract the mean.
          scale: multiply by gamma, the parameter `scale`.
          offset: add beta, the parameter `offset`.
          eps: the addend under the root.
          name: Haiku's module name.
        """
        super().__init__(name=name)
        self.mean, self.scale, self.offset, self.eps = mean, scale, offset, eps

    def __call__(self, o: jax.Array, dtype: Any) -> jax.Array:
        """The normalised heads side by side, [..., heads, d] to [..., heads * d], in that dtype."""
        if self.mean:
            o = o - jnp.mean(o, axis=-1, keepdims=True)
        size = jax.lax.stop_gradient(jnp.maximum(jnp.max(jnp.abs(o), -1, keepdims=True), 1))
        o = o / size  # the size cancels out
        o = o * jax.lax.rsqrt(jnp.mean(jnp.square(o), -1, keepdims=True) + self.eps / size / size)
        o = flat(o).astype(dtype)
        if self.scale:
            o = o * hk.get_parameter("scale", o.shape[-1:], o.dtype, jnp.ones)
        if self.offset:
            o = o + hk.get_parameter("offset", o.shape[-1:], o.dtype, jnp.zeros)
        return o
