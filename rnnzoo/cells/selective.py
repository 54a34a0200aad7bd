"""Selective state-space cells."""

import functools
import math
from collections.abc import Sequence
from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp

from rnnzoo.cells.base import Cell, LinearCell, Pair, State, linear_scan, wide
from rnnzoo.registry import register


class ShortConvolution(hk.Module):
    r"""A causal convolution over the last few inputs, each channel by itself.

    .. math:: y_t = \sum_{j=0}^{k-1} w_j \odot x_{t-k+1+j} + b

    What it carries from step to step are the k - 1 inputs before this one, the oldest first, each an
    array of its own: the unroller then sees that they are only passed on.
    """

    width: int
    with_bias: bool

    def __init__(self, width: int, with_bias: bool = False, name: str | None = None):
        """Makes a convolution of k = `width` inputs, with the bias b or without."""
        super().__init__(name=name)
        self.width, self.with_bias = width, with_bias

    def initial_state(self, shape: tuple[int, ...]) -> tuple[jax.Array, ...]:
        """Zeros in place of the k - 1 inputs before the first, each of the given shape."""
        return (jnp.zeros(shape),) * (self.width - 1)

    def __call__(self, x: jax.Array, last: State) -> tuple[jax.Array, State]:
        """One step: x of shape [..., C] and the inputs before it to y and the next step's."""
        window = (*last, x)
        return self._weighted_sum(window), window[1:]

    def parallel(self, xs: jax.Array, last: State) -> tuple[jax.Array, State]:
        """All time steps at once: xs of shape [T, ..., C]."""
        T = len(xs)
        padded = jnp.concatenate([jnp.stack(last), xs]) if last else xs
        return self._weighted_sum([padded[j : j + T] for j in range(self.width)]), tuple(padded[T:])

    def _weighted_sum(self, window: Sequence[jax.Array]) -> Any:
        shape, dtype = window[-1].shape[-1:], window[-1].dtype
        init = hk.initializers.RandomUniform(-(self.width**-0.5), self.width**-0.5)  # torch's
        w = hk.get_parameter("w", (self.width, *shape), dtype, init)
        y = sum(w_j * x for w_j, x in zip(w, window, strict=True))
        return y + hk.get_parameter("b", shape, dtype, init) if self.with_bias else y


def inverse_softplus_of_time_steps(shape: Sequence[int], dtype: Any) -> jax.Array:
    """The initial bias of a softplus that gives time steps between 0.001 and 0.1, log-uniformly."""
    log_dt = hk.initializers.RandomUniform(math.log(1e-3), math.log(1e-1))(shape, jnp.float32)
    dt = jnp.exp(log_dt)
    return (dt + jnp.log(-jnp.expm1(-dt))).astype(dtype)


@register("mamba", family="state_space", cites="gu2023mamba", linear=True)
class Mamba(hk.RNNCore):
    r"""Mamba: a diagonal state-space model (S6) whose time step, input and output depend on the input.

    .. math::
        (u_t, z_t) = W_{in} x_t \\
        v_t = \mathrm{silu}\left(\textstyle\sum_{j=0}^{3} w_j \odot u_{t-3+j} + b\right) \\
        (r_t, B_t, C_t) = W_x v_t \\
        \Delta_t = \mathrm{softplus}(W_\Delta r_t + b_\Delta) \\
        h_t = \exp(\Delta_t A) \odot h_{t-1} + (\Delta_t \odot v_t) B_t^T,
            \quad A = -\exp(A_{log}) \\
        y_t = h_t C_t + D \odot v_t \\
        o_t = W_{out} (y_t \odot \mathrm{silu}(z_t))

    The output is o_t, the state the pair (the three u before this one, h), with h of shape
    [batch, E, N] for E = expand * H channels of N numbers each. It is the paper's whole block without
    the norm and the residual around it. The paper's equation 4 discretises A and B by zero-order hold;
    its code, and so this cell, takes the simpler Delta B. The bottleneck r has ceil(H / 16) numbers.
    """

    prefers_parallel = True
    state_size: int
    channels: int

    def __init__(
        self,
        hidden_size: int,
        state_size: int = 16,
        expand: int = 2,
        convolution: int = 4,
        name: str | None = None,
    ):
        """Makes the cell.

        Args:
          hidden_size: H, the size of the output.
          state_size: N, how many numbers each channel keeps.
          expand: how many channels there are for each output.
          convolution: how many inputs the causal convolution sees; 1 is none but a factor.
          name: Haiku's module name.
        """
        super().__init__(name=name)
        self.state_size, self.channels = state_size, expand * hidden_size
        self.rank: int = math.ceil(hidden_size / 16)
        self.W_in: hk.Linear = hk.Linear(2 * self.channels, with_bias=False, name="W_in")
        self.conv: ShortConvolution = ShortConvolution(convolution, with_bias=True, name="conv")
        self.W_x: hk.Linear = hk.Linear(self.rank + 2 * state_size, with_bias=False, name="W_x")
        self.W_dt: hk.Linear = hk.Linear(
            self.channels,
            w_init=hk.initializers.RandomUniform(-(self.rank**-0.5), self.rank**-0.5),
            b_init=inverse_softplus_of_time_steps,
            name="W_dt",
        )
        self.W_out: hk.Linear = hk.Linear(hidden_size, with_bias=False, name="W_out")

    def __call__(self, x: jax.Array, state: State) -> tuple[jax.Array, State]:
        """One step: x of shape [..., D] and the state to the output, [..., H], and the new state."""
        last, h = state
        u, z = jnp.split(self.W_in(x), 2, axis=-1)
        v, last = self.conv(u, last)
        v = jax.nn.silu(v)
        dt, A, B, C = self._coefficients(v)
        a, b = discretised(dt, A, v, B)
        h = a * h + b
        return self._readout(read(h, C), v, z), (last, h)

    def parallel(self, xs: jax.Array, state: State) -> tuple[jax.Array, State]:
        """All time steps at once: xs of shape [T, ..., D] to the outputs and the last state."""
        last, h = state
        u, z = jnp.split(self.W_in(xs), 2, axis=-1)
        v, last = self.conv.parallel(u, last)
        v = jax.nn.silu(v)
        dt, A, B, C = self._coefficients(v)
        scan = looped if jax.default_backend() == "cpu" else associative
        y, h = scan(dt, A, v, B, C, h)
        return self._readout(y, v, z), (last, h)

    def _coefficients(self, v):
        """Delta, of shape [..., E], A, of [E, N], and B and C, of [..., N]."""
        N = self.state_size
        r, B, C = jnp.split(self.W_x(v), [self.rank, self.rank + N], axis=-1)
        A_log = hk.get_parameter("A_log", (self.channels, N), v.dtype, _log_of_1_to_N)
        return jax.nn.softplus(self.W_dt(r)), -jnp.exp(A_log), B, C

    def _readout(self, y, v, z):
        D = hk.get_parameter("D", (self.channels,), v.dtype, jnp.ones)
        return self.W_out((y + D * v) * jax.nn.silu(z))

    def initial_state(self, batch_size: int | None) -> State:
        """Zeros, with a leading axis of `batch_size` or without."""
        batch = () if batch_size is None else (batch_size,)
        h = jnp.zeros((*batch, self.channels, self.state_size))
        return self.conv.initial_state((*batch, self.channels)), h


def _log_of_1_to_N(shape, dtype):
    return jnp.broadcast_to(jnp.log(jnp.arange(1, shape[-1] + 1, dtype=dtype)), shape)


def discretised(dt: jax.Array, A: jax.Array, v: jax.Array, B: jax.Array) -> Pair:
    """exp(Delta A) and Delta v B^T, of shape [..., E, N]; the arguments as for `associative`."""
    return jnp.exp(A * dt[..., None]), (dt * v)[..., None] * B[..., None, :]


def read(h: jax.Array, C: jax.Array) -> jax.Array:
    """The product h C, of shape [..., E], of h of [..., E, N] and C of [..., N]."""
    return jnp.einsum("...en,...n->...e", h, C)


def associative(
    dt: jax.Array, A: jax.Array, v: jax.Array, B: jax.Array, C: jax.Array, h: jax.Array
) -> Pair:
    """h_t = exp(Delta_t A) h_{t-1} + Delta_t v_t B_t^T and y_t = h_t C_t for all t, by `linear_scan`.

    Args:
      dt: Delta, [T, ..., E].
      A: [E, N].
      v: the inputs, [T, ..., E].
      B: what writes, [T, ..., N].
      C: what reads, [T, ..., N].
      h: the state before the first step, [..., E, N].

    Returns:
      y, of shape [T, ..., E], and the state after the last step.
    """
    a, b = discretised(dt, A, v, B)
    hs = linear_scan(a, b, h)
    return read(hs, C), hs[-1]


def looped(
    dt: jax.Array, A: jax.Array, v: jax.Array, B: jax.Array, C: jax.Array, h: jax.Array
) -> Pair:
    """As `associative`, step by step, and with a derivative that is fast on a CPU.

    Nothing as large as h but itself is kept for the derivative. What broadcasts is written as a product
    of matrices, and E is the last axis: the derivative of a broadcast is a sum, which XLA does not
    vectorise on a CPU. docs/performance.md has the effect.
    """
    A, ones = A.T, jnp.ones(A.shape[1], A.dtype)

    @functools.partial(jax.checkpoint, prevent_cse=False)
    def step(h, now):
        dt, x, B, C = now
        a = jnp.exp(A * jnp.einsum("...e,n->...ne", dt, ones))
        new_h = a * h + jnp.einsum("...e,...n->...ne", x, B)
        return new_h.astype(h.dtype), jnp.einsum("...ne,...n->...e", new_h, C)

    h, y = jax.lax.scan(step, h.mT, (dt, dt * v, B, C))
    return y, h.mT


@register("rg_lru", family="state_space", cites="de2024griffin", linear=True)
class RGLRU(LinearCell, Cell):
    r"""The real-gated linear recurrent unit of Griffin.

    .. math::
        u_t = P x_t \\
        r_t = \sigma(W_a u_t + b_a) \\
        i_t = \sigma(W_x u_t + b_x) \\
        a_t = \exp(-c\, \mathrm{softplus}(\Lambda) \odot r_t) \\
        h_t = a_t \odot h_{t-1} + \sqrt{1 - a_t^2} \odot (i_t \odot u_t)

    The output is the new state h_t. P is the identity for D = H and a matrix with biases otherwise, as
    Griffin's block has one in front; its convolution is not part of this. No W reads the state. Lambda
    has the sign that it has in the recurrentgemma library: a = sigma(-Lambda). a_t at r_t = 1 starts
    uniform on (0.9, 0.999), as De et al. (2024) say, who write a = sigma(Lambda); the library draws
    a_t^(1/c) from a ring of these radii instead, its W are block-diagonal and it takes the first input
    of a sequence without the factor sqrt(1 - a_t^2). W is stored as (a, x).
    """

    def __init__(self, hidden_size: int, c: float = 8.0, name: str = "rg_lru"):
        """Makes the cell.

        Args:
          hidden_size: H, the number of units.
          c: how far r_t moves the logarithm of the decay.
          name: Haiku's module name.
        """
        super().__init__(hidden_size, name)
        self.c = c
        self.P = hk.Linear(hidden_size, name="P")
        self.W = hk.Linear(2 * hidden_size, name="W")  # with the biases b

    def _rates(self, shape, dtype):
        decay = jax.random.uniform(hk.next_rng_key(), shape, minval=0.9, maxval=0.999)
        return jnp.log(jnp.expm1(-jnp.log(decay) / self.c)).astype(dtype)

    def coefficients(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """(a, sqrt(1 - a^2) i u), each of shape [..., H]."""
        u = x if x.shape[-1] == self.hidden_size else self.P(x)
        Lambda = wide(hk.get_parameter("Lambda", (self.hidden_size,), x.dtype, self._rates))
        r, i = jnp.split(jax.nn.sigmoid(wide(self.W(u))), 2, axis=-1)
        log_a = -self.c * jax.nn.softplus(Lambda) * r
        rest = -jnp.expm1(2 * log_a)  # 1 - a^2, exact where a is near 1
        positive = rest > 1e-30  # sqrt has no gradient at 0
        scale = jnp.where(positive, jnp.sqrt(jnp.where(positive, rest, 1.0)), 0.0)
        return jnp.exp(log_a), scale * i * u
