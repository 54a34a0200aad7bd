"""Linear attention that mixes each input with those just before it, which are in its state."""

import math
from collections.abc import Callable
from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp

from rnnzoo.cells.base import Pair, State, find_initializer
from rnnzoo.cells.chunks import HeadNorm, MatrixCell, flat
from rnnzoo.errors import UserError
from rnnzoo.registry import register


def windows(x: jax.Array, last: jax.Array) -> Pair:
    """Each input with the n before it.

    Args:
      x: the inputs, [..., D] or, of all time steps, [T, ..., D].
      last: the n inputs before them, the oldest first, [..., n, D].

    Returns:
      [..., n + 1, D] or [T, ..., n + 1, D], and the last n inputs now.
    """
    if x.ndim < last.ndim:
        window = jnp.concatenate([last, x[..., None, :]], axis=-2)
        return window, window[..., 1:, :]
    n = last.shape[-2]
    past = jnp.concatenate([jnp.moveaxis(last, -2, 0), x])
    window = jnp.stack([past[i : i + len(x)] for i in range(n + 1)], axis=-2)
    return window, window[-1, ..., 1:, :]


@register("rwkv6", family="linear_attention", cites="peng2024eagle", linear=True)
class RWKV6(MatrixCell):
    r"""The time mixing of RWKV-6, 'Finch'. With a' = a_{t-1} - a_t of the input a_t = U x_t,

    .. math::
        m_t = \tanh((a_t + \mu_x \odot a'_t) A) \quad
        \square_t = (a_t + (\mu_\square + m^\square_t B_\square) \odot a'_t) W_\square
            \quad \square \in \{r, k, v, g\} \\
        d_t = \mu_w + \tanh((a_t + (\mu_d + m^d_t B_d) \odot a'_t) A_w) B_w
            \quad w_t = \exp(-\exp(d_t))

    and in each head

    .. math::
        o_t = (S_{t-1} + \mathrm{diag}(u) k_t v_t^\top)^\top r_t \\
        S_t = \mathrm{diag}(w_t) S_{t-1} + k_t v_t^\top

    The output is y_t = W_o (swish(g_t) * GroupNorm(o_t)), one norm per head with the authors' epsilon
    of 64e-5; the state is the pair (a, S). The paper has no U, since there an input has the layer's H
    features: that is U = I. `A`, `mu` and `B` hold the five mixes in the order (r, k, v, g, d), `B_w`
    is with the bias mu_w. What the authors start from depends on the layer; this is how their lowest
    layer starts, but for A and A_w, which they start from zero.
    """

    def __init__(
        self,
        hidden_size: int,
        heads: int = 4,
        key_size: int | None = None,
        mix_rank: int = 32,
        decay_rank: int = 64,
        name: str | None = None,
    ):
        """Makes the cell.

        Args:
          hidden_size: H, the number of units.
          heads: the number of heads, which divides H.
          key_size: d_k, the features of a head's keys; H / heads by default.
          mix_rank: of the matrices A B that mix an input with the one before it.
          decay_rank: of the decay's matrix A_w B_w.
          name: Haiku's module name.

        Raises:
          UserError: `heads` does not divide H.
        """
        super().__init__(hidden_size, heads, key_size, name)
        K = heads * self.key_size
        self.mix_rank = mix_rank
        self.U = hk.Linear(hidden_size, with_bias=False, name="U")
        self.A = hk.Linear(5 * mix_rank, with_bias=False, name="A")
        sizes = {"r": K, "k": K, "v": hidden_size, "g": hidden_size}
        self.W = [hk.Linear(n, with_bias=False, name=f"W_{a}") for a, n in sizes.items()]
        self.A_w: hk.Linear = hk.Linear(decay_rank, with_bias=False, name="A_w")
        self.B_w: hk.Linear = hk.Linear(K, w_init=_small, b_init=_slow, name="B_w")  # with mu_w
        self.norm: HeadNorm = HeadNorm(eps=64e-5)
        self.W_o: hk.Linear = hk.Linear(hidden_size, with_bias=False, name="W_o")

    def run(self, recur: Callable[..., Any], x: jax.Array, state: Pair) -> tuple[jax.Array, State]:
        """As `MatrixCell.run`."""
        last, S = state
        H = self.hidden_size
        a = self.U(x)
        window, last = windows(a, last[..., None, :])
        shift = window[..., 0, :] - a
        mu_x = hk.get_parameter("mu_x", (H,), a.dtype, _ramp)
        mu = hk.get_parameter("mu", (5, H), a.dtype, _ramp)
        B = hk.get_parameter("B", (5, self.mix_rank, H), a.dtype, _small)
        m = jnp.tanh(self.A(a + shift * mu_x)).reshape(*a.shape[:-1], 5, self.mix_rank)
        mix = mu + jnp.einsum("...nr,nrh->...nh", m, B)
        mixed = a[..., None, :] + shift[..., None, :] * mix
        r, k, v, g = (W(mixed[..., n, :]) for n, W in enumerate(self.W))
        d = self.B_w(jnp.tanh(self.A_w(mixed[..., 4, :])))
        (r,), (k,), (d,) = (self.split(part, self.key_size) for part in (r, k, d))
        (v,) = self.split(v, self.value_size)
        u = hk.get_parameter("u", (self.heads, self.key_size), a.dtype, _zigzag)
        o, S = recur(r, k, v, -jnp.exp(d), S, previous=True)
        o = o + jnp.sum(r * u * k, axis=-1, keepdims=True) * v
        return self.W_o(jax.nn.silu(g) * self.norm(o, x.dtype)), (last[..., 0, :], S)

    def initial_state(self, batch_size: int | None) -> Pair:
        """Zeros: the last input, [batch_size, H], and S, [batch_size, heads, d_k, d_v]."""
        return self.zeros(batch_size, self.hidden_size), super().initial_state(batch_size)


_small = hk.initializers.RandomUniform(-0.01, 0.01)


def _ramp(shape, dtype):
    """Features that look the less at the input before the later they come."""
    return jnp.broadcast_to(1 - jnp.arange(shape[-1]) / shape[-1], shape).astype(dtype)


def _slow(shape, dtype):
    """Features from one that hardly forgets, exp(-exp(-6)), to one that does, exp(-exp(-1))."""
    return (-6 + 5 * jnp.linspace(0, 1, *shape) ** 0.7).astype(dtype)


def _zigzag(shape, dtype):
    return (((jnp.arange(shape[0] * shape[1]) + 1) % 3 - 1) * 0.1).reshape(shape).astype(dtype)


@register("mamba2", family="linear_attention", cites="dao2024transformers", linear=True)
class Mamba2(MatrixCell):
    r"""Mamba-2, the structured state space duality: one decay per head, keys and queries shared.

    .. math::
        [z_t, u_t, \delta_t] = W_i x_t \\
        [a_t, B_t, C_t] = \mathrm{swish}(\textstyle\sum_{j=0}^{3} w_{3-j} \odot u_{t-j} + b) \\
        \Delta_t = \mathrm{softplus}(\delta_t + b_\Delta)

    and in each head, which has its part of a_t, one Delta, A and D, and the B_t and C_t of all heads,

    .. math::
        S_t = \exp(-\Delta_t e^{A}) S_{t-1} + B_t (\Delta_t a_t)^\top \\
        o_t = S_t^\top C_t + D a_t

    The output is y_t = W_o RMSNorm(o_t * swish(z_t)), the norm over the heads together; the state the
    last three u and S. B, C are the keys and queries, of the paper's state size N. The paper's
    layer has twice as many features inside as outside, where here both are H. `W_i` holds the
    matrices side by side, u as (a, B, C).
    """

    def __init__(
        self,
        hidden_size: int,
        heads: int = 4,
        key_size: int = 64,
        width: int = 4,
        name: str | None = None,
    ):
        """Makes the cell.

        Args:
          hidden_size: H, the number of units.
          heads: the number of heads, which divides H.
          key_size: N, the features of B and C.
          width: of the convolution over time.
          name: Haiku's module name.

        Raises:
          UserError: `heads` does not divide H.
        """
        super().__init__(hidden_size, heads, key_size, name)
        if width < 1:
            raise UserError(f"{self.name}: width={width} must be at least 1")
        self.width = width
        self.channels: int = hidden_size + 2 * key_size
        self.W_i: hk.Linear = hk.Linear(
            hidden_size + self.channels + heads, with_bias=False, name="W_i"
        )
        self.norm: HeadNorm = HeadNorm(mean=False, offset=False)
        self.W_o: hk.Linear = hk.Linear(hidden_size, with_bias=False, name="W_o")

    def run(self, recur: Callable[..., Any], x: jax.Array, state: Pair) -> tuple[jax.Array, State]:
        """As `MatrixCell.run`."""
        last, S = state
        H, N = self.hidden_size, self.key_size
        z, u, dt = jnp.split(self.W_i(x), [H, H + self.channels], axis=-1)
        torch = find_initializer("torch")
        w = hk.get_parameter("w", (self.width, self.channels), u.dtype, torch)
        b = hk.get_parameter("b", (self.channels,), u.dtype, jnp.zeros)
        dt_bias = hk.get_parameter("dt_bias", (self.heads,), u.dtype, _log_uniform_step)
        A = hk.get_parameter("A", (self.heads,), u.dtype, _log_uniform)
        D = hk.get_parameter("D", (self.heads,), u.dtype, jnp.ones)
        window, last = windows(u, last)
        a, B, C = jnp.split(jax.nn.silu(jnp.sum(window * w, axis=-2) + b), [H, H + N], axis=-1)
        (a,) = self.split(a, self.value_size)
        dt = jax.nn.softplus(dt + dt_bias)[..., None]
        log_decay = -dt * jnp.exp(A)[:, None]
        o, S = recur(C[..., None, :], B[..., None, :], dt * a, log_decay, S)
        o = (o + D[:, None] * a) * jax.nn.silu(*self.split(z, self.value_size))
        return self.W_o(self.norm(flat(o)[..., None, :], x.dtype)), (last, S)

    def initial_state(self, batch_size: int | None) -> Pair:
        """Zeros: [batch_size, width - 1, H + 2 N] and S, [batch_size, heads, N, H / heads]."""
        last = self.zeros(batch_size, self.width - 1, self.channels)
        return last, super().initial_state(batch_size)


def _log_uniform_step(shape, dtype):
    """What softplus makes steps of, uniform in their logarithm from 0.001 to 0.1."""
    low, high = math.log(0.001), math.log(0.1)
    dt = jnp.exp(hk.initializers.RandomUniform(low, high)(shape, jnp.float32))
    return (dt + jnp.log(-jnp.expm1(-dt))).astype(dtype)


def _log_uniform(shape, dtype):
    """The logarithm of what is uniform from 1 to 16."""
    return jnp.log(hk.initializers.RandomUniform(1, 16)(shape, jnp.float32)).astype(dtype)
