"""Cells with the delta rule: their state is a matrix that is corrected towards each new value."""

from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp

from rnnzoo.cells.base import Pair, State, check_heads
from rnnzoo.cells.selective import ShortConvolution, inverse_softplus_of_time_steps
from rnnzoo.registry import register

CHUNK = 32  # steps that are computed at once


class DeltaCell(hk.RNNCore):
    """What the cells of this file share: heads, and a state matrix S of [d_k, d_v] for each of them."""

    hidden_size: int
    heads: int

    def __init__(self, hidden_size: int, heads: int, key_size: int | None, name: str | None):
        """Makes a cell; a `key_size` d_k of None is d_v, the units of a head."""
        super().__init__(name=name)
        check_heads(self.name, hidden_size, heads)
        self.hidden_size, self.heads = hidden_size, heads
        self.d_v: int = hidden_size // heads
        self.d_k: int = self.d_v if key_size is None else key_size

    def initial_state(self, batch_size: int | None) -> State:
        """Zeros of shape [batch_size, heads, d_k, d_v], or without the first axis for None."""
        batch = () if batch_size is None else (batch_size,)
        return jnp.zeros((*batch, self.heads, self.d_k, self.d_v))

    def _split(self, a):
        """[..., heads * d] to [..., heads, d]."""
        return a.reshape(*a.shape[:-1], self.heads, -1)


@register("deltanet", family="delta_rule", cites="yang2024parallelizing", linear=True)
class DeltaNet(DeltaCell):
    r"""DeltaNet: a linear attention that replaces what it has stored under a key.

    .. math::
        q_t = \frac{\mathrm{silu}(W_q x_t)}{\|\mathrm{silu}(W_q x_t)\|}, \quad
        k_t = \frac{\mathrm{silu}(W_k x_t)}{\|\mathrm{silu}(W_k x_t)\|}, \quad
        v_t = \mathrm{silu}(W_v x_t), \quad
        \beta_t = \sigma(W_\beta x_t) \\
        S_t = S_{t-1} + \beta_t k_t (v_t - S_{t-1}^T k_t)^T \\
        o_t = W_o\,\mathrm{RMSNorm}(S_t^T q_t)

    for each head, whose normalised outputs W_o reads side by side. The output is o_t, the state S, of
    shape [batch, heads, d_k, d_v]. The rule is that of Schlag et al. (2021), whose keys were normalised
    by their sum; norm, SiLU and the output's RMSNorm are those of Yang et al. (2024).
    `allow_negative_eigenvalues` is 2 sigma(W_beta x_t), after Grazzi et al. (2025). `convolution=4` puts
    a causal convolution of that width before each SiLU, as Yang et al. do in most experiments; the state
    is then the pair (S, its last inputs). The flash-linear-attention library stores the same matrix and
    scales q by d_k^{-1/2}, which the RMSNorm undoes. `parallel` is the paper's chunked form, with the UT
    transform.
    """

    prefers_parallel = True

    def __init__(
        self,
        hidden_size: int,
        heads: int = 4,
        key_size: int | None = None,
        convolution: int = 0,
        allow_negative_eigenvalues: bool = False,
        name: str = "deltanet",
    ):
        """Makes the cell.

        Args:
          hidden_size: H = heads * d_v, the size of the output.
          heads: how many matrices there are.
          key_size: d_k of each head; d_v if not given.
          convolution: the width of the causal convolutions of q, k and v; 0 for none.
          allow_negative_eigenvalues: beta lies in (0, 2) instead of (0, 1).
          name: Haiku's module name.

        Raises:
          UserError: `heads` does not divide H.
        """
        super().__init__(hidden_size, heads, key_size, name)
        self.largest_beta = 2 if allow_negative_eigenvalues else 1
        self.W_qkv: hk.Linear = hk.Linear(
            heads * (2 * self.d_k + self.d_v), with_bias=False, name="W_qkv"
        )
        self.conv: ShortConvolution | None = (
            ShortConvolution(convolution, name="conv") if convolution else None
        )
        self.W_beta: hk.Linear = hk.Linear(heads, with_bias=False, name="W_beta")
        self.norm: hk.RMSNorm = hk.RMSNorm(-1, name="norm")
        self.W_o: hk.Linear = hk.Linear(hidden_size, with_bias=False, name="W_o")

    def __call__(self, x: jax.Array, state: State) -> tuple[jax.Array, State]:
        """One step: x of shape [..., D] and the state to the output, [..., H], and the new state."""
        return self._run(x, state, self.conv, delta_rule)

    def parallel(self, xs: jax.Array, state: State) -> tuple[jax.Array, State]:
        """All time steps at once: xs of shape [T, ..., D] to the outputs and the last state."""
        return self._run(xs, state, self.conv and self.conv.parallel, chunked_delta_rule)

    def _run(self, x, state, convolve, rule):
        qkv = self.W_qkv(x)
        if convolve is None:
            o, S = rule(*self._coefficients(x, qkv), state)
            return self._readout(o, x), S
        S, last = state
        qkv, last = convolve(qkv, last)
        o, S = rule(*self._coefficients(x, qkv), S)
        return self._readout(o, x), (S, last)

    def _coefficients(self, x, qkv):
        """q, k, v of shape [..., heads, d], beta and log alpha of [..., heads, 1]."""
        K = self.heads * self.d_k
        q, k, v = map(self._split, jnp.split(jax.nn.silu(qkv), [K, 2 * K], axis=-1))
        beta = self.largest_beta * jax.nn.sigmoid(self._split(self.W_beta(x)))
        return normalised(q), normalised(k), v, beta, self._log_decay(x)

    def _log_decay(self, x):
        return None

    def _readout(self, o, x):
        return self.W_o(self._gated(self.norm(o), x).reshape(*x.shape[:-1], self.hidden_size))

    def _gated(self, o, x):
        return o

    def initial_state(self, batch_size: int | None) -> State:
        """Zeros, with a leading axis of `batch_size` or without."""
        S = super().initial_state(batch_size)
        if not self.conv:
            return S
        channels = self.heads * (2 * self.d_k + self.d_v)
        return S, self.conv.initial_state((*S.shape[:-3], channels))


@register("gated_deltanet", family="delta_rule", cites="yang2025gated", linear=True)
class GatedDeltaNet(DeltaNet):
    r"""Gated DeltaNet: the delta rule on a state that decays, as Mamba2's does.

    .. math::
        \alpha_t = \exp(-\exp(A_{log})\, \mathrm{softplus}(W_\alpha x_t + b_\alpha)) \\
        S_t = \alpha_t S_{t-1} + \beta_t k_t (v_t - \alpha_t S_{t-1}^T k_t)^T \\
        o_t = W_o\left(\mathrm{RMSNorm}(S_t^T q_t) \odot \mathrm{silu}(W_g x_t)\right)

    for each head, with q, k, v and beta as in `DeltaNet`, each of q, k and v after its causal
    convolution. The output is o_t, the state the pair (S, the last inputs of the convolutions), or S
    alone with `convolution=0`. The paper takes d_v = 2 d_k; here `key_size` is d_v by default. As in
    Mamba2, exp(A_log) starts uniform in (1, 16), the softplus of b_alpha log-uniform in (0.001, 0.1).
    `parallel` is the paper's chunked form.
    """

    def __init__(
        self,
        hidden_size: int,
        heads: int = 4,
        key_size: int | None = None,
        convolution: int = 4,
        allow_negative_eigenvalues: bool = False,
        name: str = "gated_deltanet",
    ):
        """Makes the cell; the arguments are those of `DeltaNet`."""
        super().__init__(
            hidden_size, heads, key_size, convolution, allow_negative_eigenvalues, name
        )
        self.W_alpha: hk.Linear = hk.Linear(
            heads, b_init=inverse_softplus_of_time_steps, name="W_alpha"
        )
        self.W_g: hk.Linear = hk.Linear(hidden_size, with_bias=False, name="W_g")

    def _log_decay(self, x):
        A_log = hk.get_parameter("A_log", (self.heads,), x.dtype, _log_of_1_to_16)
        return self._split(-jnp.exp(A_log) * jax.nn.softplus(self.W_alpha(x)))

    def _gated(self, o, x):
        return o * jax.nn.silu(self._split(self.W_g(x)))


def _log_of_1_to_16(shape, dtype):
    return jnp.log(hk.initializers.RandomUniform(1, 16)(shape, dtype))


@register("ttt", family="delta_rule", cites="sun2025learning")
class TTT(DeltaCell):
    r"""TTT-Linear: the state is a linear model that a step of gradient descent trains at each step.

    .. math::
        f(x; W) = x + \gamma \odot \mathrm{LN}(W^T x) + b \\
        q_t = \theta_Q x_t, \quad k_t = \theta_K x_t, \quad v_t = \theta_V x_t, \quad
        \eta_t = \eta\, \sigma(\theta_\eta x_t) \\
        W_t = W_{t-1} - \eta_t \nabla_W \|f(k_t; W_{t-1}) - v_t\|^2 \\
        o_t = f(q_t; W_t)

    for each head. The output is o_t of all heads side by side, the state W_t - W_0, of shape
    [batch, heads, d, d], so that zeros stand for the learned W_0. Without the layer norm LN and its
    residual this would be DeltaNet with unnormalised keys; with them it is not linear in W. Each step
    is a mini-batch of its own, where the paper takes 16 for speed. The authors' code takes half the
    squared error, divides eta by d and adds a bias to W; `learning_rate` = 1 / (2d) gives its step. It
    adds 1e-6 to the variance in LN, this cell 1e-5. Its convolutions, gate, second norm and output
    projection belong to the block around this rule.
    """

    def __init__(
        self, hidden_size: int, heads: int = 2, learning_rate: float = 1.0, name: str | None = None
    ):
        """Makes the cell.

        Args:
          hidden_size: H, the size of the output.
          heads: how many linear models there are, of d = H / heads units each; a layer norm of fewer
            than three units leaves nothing to learn from.
          learning_rate: eta, the largest rate of the inner gradient descent.
          name: Haiku's module name.

        Raises:
          UserError: `heads` does not divide H.
        """
        super().__init__(hidden_size, heads, None, name)
        self.learning_rate = learning_rate

    def __call__(self, x: jax.Array, S: jax.Array) -> tuple[jax.Array, jax.Array]:
        """One step: x of shape [..., D] and W - W_0 to the output, [..., H], and the new W - W_0."""
        heads, d = self.heads, self.d_v
        qkv = hk.Linear(3 * self.hidden_size, with_bias=False, name="theta_qkv")(x)
        q, k, v = map(self._split, jnp.split(qkv, 3, axis=-1))
        rate = hk.Linear(heads, with_bias=False, name="theta_eta")(x)
        eta = self.learning_rate * jax.nn.sigmoid(rate)[..., None]
        init = hk.initializers.RandomNormal(0.02)
        W_0 = hk.get_parameter("W_0", (heads, d, d), x.dtype, init)
        gamma = hk.get_parameter("gamma", (heads, d), x.dtype, jnp.ones)
        b = hk.get_parameter("b", (heads, d), x.dtype, jnp.zeros)
        norm = hk.LayerNorm(-1, create_scale=False, create_offset=False)

        def product(x, S):
            return jnp.einsum("...hk,hkv->...hv", x, W_0) + jnp.einsum("...k,...kv->...v", x, S)

        def f(x, z):
            return x + gamma * norm(z) + b

        # With z = W^T k, the gradient by W is k times that by z.
        delta = jax.grad(lambda z: jnp.sum((f(k, z) - v) ** 2))(product(k, S))
        S = S - jnp.einsum("...k,...v->...kv", eta * k, delta)
        return f(q, product(q, S)).reshape(*x.shape[:-1], self.hidden_size), S


def normalised(a: jax.Array) -> jax.Array:
    """Vectors of length 1: a / max(|a|, 1e-6) along the last axis, which has a gradient at 0."""
    return a * jax.lax.rsqrt(jnp.maximum(jnp.sum(a * a, axis=-1, keepdims=True), 1e-12))


def delta_rule(
    q: jax.Array,
    k: jax.Array,
    v: jax.Array,
    beta: jax.Array,
    log_alpha: jax.Array | None,
    S: jax.Array,
) -> Pair:
    """One step of S = alpha S + beta k (v - alpha S^T k)^T; (S^T q, S). No alpha is an alpha of 1."""
    if log_alpha is not None:
        S = jnp.exp(log_alpha)[..., None] * S
    u = beta * (v - jnp.einsum("...kv,...k->...v", S, k))
    S = S + k[..., :, None] * u[..., None, :]
    return jnp.einsum("...kv,...k->...v", S, q), S


def chunked_delta_rule(
    q: jax.Array,
    k: jax.Array,
    v: jax.Array,
    beta: jax.Array,
    log_alpha: jax.Array | None,
    S: jax.Array,
) -> Pair:
    r"""`delta_rule` for all steps; each argument but S has a leading axis of T.

    With g the sum of log alpha from the chunk's start, S_0 the state there, and u_t beta_t times the
    error at t, S_t = e^{g_t} S_0 + \sum_{i \le t} e^{g_t - g_i} k_i u_i^T. So the u of a chunk solve

    .. math:: u_t + \beta_t \sum_{i<t} e^{g_t-g_i} (k_t^T k_i) u_i = \beta_t (v_t - e^{g_t} S_0^T k_t)
    """
    T, dtype = len(q), S.dtype
    log_alpha = jnp.zeros_like(beta) if log_alpha is None else log_alpha
    q, k, v, beta, log_alpha = map(in_chunks, (q, k, v, beta, log_alpha))
    S = S.astype(q.dtype)
    g = jnp.cumsum(log_alpha, axis=-2)
    before = jnp.tri(q.shape[-2], dtype=bool)  # i <= t
    decay = jnp.exp(jnp.where(before, g - g.mT, -jnp.inf))
    system = beta * decay * (k @ k.mT)  # below the diagonal, which stands for ones
    known = beta * jnp.concatenate([v, jnp.exp(g) * k], axis=-1)
    known = inverse_of_unit_lower(system) @ known
    u, w = jnp.split(known, [v.shape[-1]], axis=-1)
    to_end = g[..., -1:, :] - g

    def run(S, chunk):
        q, attention, u, w, k, alpha = chunk
        u = u - w @ S
        return alpha * S + k.mT @ u, q @ S + attention @ u

    of_chunk = (
        jnp.exp(g) * q,
        decay * (q @ k.mT),
        u,
        w,
        jnp.exp(to_end) * k,
        jnp.exp(g[..., -1:, :]),
    )
    S, o = jax.lax.scan(run, S, of_chunk)
    return out_of_chunks(o, T, dtype), S.astype(dtype)


@jax.custom_jvp
def inverse_of_unit_lower(L: jax.Array) -> jax.Array:
    """(1 + L)^-1 for what of L [..., n, n] is below its diagonal, by forward substitution.

    All matrices at once, and on every platform: on CPUs, batches of `solve_triangular` are calls of
    LAPACK that were seen to wait for each other for ever.
    """
    L = jnp.tril(L, -1)

    def substitute(i, A):
        return A.at[..., i, :].add(-(L[..., i, None, :] @ A)[..., 0, :])

    identity = jnp.broadcast_to(jnp.eye(L.shape[-1], dtype=L.dtype), L.shape)
    return jax.lax.fori_loop(1, L.shape[-1], substitute, identity)


@inverse_of_unit_lower.defjvp
def _inverse_of_unit_lower_jvp(primals, tangents):
    A = inverse_of_unit_lower(*primals)
    return A, -A @ jnp.tril(tangents[0], -1) @ A


def in_chunks(a: jax.Array) -> jax.Array:
    """[T, ..., d] to [chunks, ..., steps, d], filled up with zeros: steps that leave S alone.

    In float32 at least, which sums over a chunk need.
    """
    a = a.astype(jnp.promote_types(a.dtype, jnp.float32))
    steps = min(len(a), CHUNK)
    a = jnp.pad(a, [(0, -len(a) % steps)] + [(0, 0)] * (a.ndim - 1))
    return jnp.moveaxis(a.reshape(-1, steps, *a.shape[1:]), 1, -2)


def out_of_chunks(a: jax.Array, T: int, dtype: Any) -> jax.Array:
    """[chunks, ..., steps, d] to [T, ..., d], without what `in_chunks` filled up."""
    a = jnp.moveaxis(a, -2, 1)
    return a.reshape(-1, *a.shape[2:])[:T].astype(dtype)
