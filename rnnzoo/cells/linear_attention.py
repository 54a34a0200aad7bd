"""Linear attention: heads with a matrix as state, all with or without a decay."""

import math
from collections.abc import Callable
from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp

from rnnzoo.cells import shifted_attention  # noqa: F401  (registers cells)
from rnnzoo.cells.base import Pair, State
from rnnzoo.cells.chunks import HeadNorm, MatrixCell, flat
from rnnzoo.errors import UserError
from rnnzoo.registry import register


@register(
    "linear_attention",
    family="linear_attention",
    cites="katharopoulos2020transformers",
    linear=True,
)
class LinearAttention(MatrixCell):
    r"""Causal linear attention, 'transformers are RNNs'; without a decay. Each head has

    .. math::
        q_t = \phi(W_q x_t) \quad k_t = \phi(W_k x_t) \quad v_t = W_v x_t
            \qquad \phi(a) = \mathrm{elu}(a) + 1 \\
        S_t = S_{t-1} + k_t v_t^\top \\
        z_t = z_{t-1} + k_t \\
        o_t = S_t^\top q_t / \max(z_t \cdot q_t, 10^{-6})

    The output is y_t = W_o [o_t of all heads], the state S with z as one more column. The paper has no
    lower bound to the normaliser; its code adds 1e-6 instead. `W_qkv` holds the matrices side by side.
    """

    def __init__(
        self, hidden_size: int, heads: int = 4, key_size: int | None = None, name: str | None = None
    ):
        """Makes the cell.

        Args:
          hidden_size: H, the number of units.
          heads: the number of heads, which divides H.
          key_size: d_k, the features of a head's keys; H / heads by default.
          name: Haiku's module name.

        Raises:
          UserError: `heads` does not divide H.
        """
        super().__init__(hidden_size, heads, key_size, name)
        self.sizes: tuple[int, int, int] = (self.key_size, self.key_size, self.value_size)
        self.W_qkv: hk.Linear = hk.Linear(heads * sum(self.sizes), with_bias=False, name="W_qkv")
        self.W_o: hk.Linear = hk.Linear(hidden_size, with_bias=False, name="W_o")

    def run(self, recur: Callable[..., Any], x: jax.Array, S: jax.Array) -> tuple[jax.Array, State]:
        """As `MatrixCell.run`."""
        q, k, v = self.split(self.W_qkv(x), *self.sizes)
        q, k = jax.nn.elu(q) + 1, jax.nn.elu(k) + 1
        o, S = recur(q, k, _with_one(v), jnp.zeros_like(k[..., :1]), S)
        o = flat(o[..., :-1] / jnp.maximum(o[..., -1:], 1e-6))
        return self.W_o(o.astype(x.dtype)), S

    def initial_state(self, batch_size: int | None) -> jax.Array:
        """Zeros, of shape [batch_size, heads, d_k, d_v + 1]."""
        return self.zeros(batch_size, self.heads, self.key_size, self.value_size + 1)


def _with_one(v):
    """The values and a 1, whose part of the state is the normaliser."""
    return jnp.concatenate([v, jnp.ones_like(v[..., :1])], axis=-1)


@register("retnet", family="linear_attention", cites="sun2023retentive", linear=True)
class RetNet(MatrixCell):
    r"""Multi-scale retention, of the retentive network. Each head i has

    .. math::
        q_t = W_q x_t / \sqrt{d_k} \quad k_t = W_k x_t \quad v_t = W_v x_t \\
        S_t = \gamma_i R^{-1} S_{t-1} + k_t v_t^\top \qquad \gamma_i = 1 - 2^{-5 - i} \\
        o_t = S_t^\top q_t

    and the output is y_t = W_o (swish(W_g x_t) * GroupNorm(o_t)), the norm one per head and without
    parameters. R turns the pair of key features (j, j + d_k / 2) by the angle 10000^(-2j / (d_k - 2)).
    So the state, S alone, needs no count of the steps; to turn q_t and k_t by t angles each, as the
    paper's code does (with neighbours as the pairs, which is a matter of the features' order), gives
    the same outputs. `rotation=False` leaves R out. The paper's values are twice as wide as its
    output, where here both are H; `W_qkvg` holds the matrices side by side. What the paper divides
    the scores by, without effect before a norm but for its epsilon, is left out. The authors' code
    has come to an RMS norm.
    """

    def __init__(
        self,
        hidden_size: int,
        heads: int = 4,
        key_size: int | None = None,
        rotation: bool = True,
        name: str = "retnet",
    ):
        """Makes the cell.

        Args:
          hidden_size: H, the number of units.
          heads: the number of heads, which divides H.
          key_size: d_k, the features of a head's keys; H / heads by default.
          rotation: whether keys and queries are told their distance by a rotation (xPos).
          name: Haiku's module name.

        Raises:
          UserError: `heads` does not divide H, or d_k is odd and there is a rotation.
        """
        super().__init__(hidden_size, heads, key_size, name)
        if rotation and self.key_size % 2:
            raise UserError(
                f"{self.name}: key_size={self.key_size} is odd, and a rotation needs pairs: "
                "choose an even key_size or rotation=False"
            )
        self.rotation = rotation
        self.sizes: tuple[int, int, int, int] = (
            self.key_size,
            self.key_size,
            self.value_size,
            self.value_size,
        )
        self.W_qkvg: hk.Linear = hk.Linear(heads * sum(self.sizes), with_bias=False, name="W_qkvg")
        self.norm: HeadNorm = HeadNorm(scale=False, offset=False)
        self.W_o: hk.Linear = hk.Linear(hidden_size, with_bias=False, name="W_o")

    def run(self, recur: Callable[..., Any], x: jax.Array, S: jax.Array) -> tuple[jax.Array, State]:
        """As `MatrixCell.run`."""
        q, k, v, g = self.split(self.W_qkvg(x), *self.sizes)
        q = q / math.sqrt(self.key_size)
        decays = [math.log1p(-(2.0 ** (-5 - i))) for i in range(self.heads)]
        log_decay = jnp.broadcast_to(jnp.array(decays, q.dtype)[:, None], (*q.shape[:-1], 1))
        if not self.rotation:
            o, S = recur(q, k, v, log_decay, S)
        else:  # seen from axes that have turned along, t angles since the first step, S only decays
            t = jnp.arange(1.0, 2.0 if q.ndim < S.ndim else len(q) + 1.0)
            angle = t[:, None] * 10000.0 ** -jnp.linspace(0, 1, self.key_size // 2)
            now = angle[-1]
            if q.ndim == S.ndim:
                angle = angle.reshape(len(q), *[1] * (q.ndim - 2), -1)
            o, S = recur(_turned(q, angle), _turned(k, angle), v, log_decay, S)
            S = jnp.swapaxes(_turned(jnp.swapaxes(S, -1, -2), -now), -1, -2)
        return self.W_o(jax.nn.silu(flat(g)) * self.norm(o, x.dtype)), S


def _turned(a, angle):
    """The pairs (j, j + d / 2) of the last axis, turned by their angles, [..., d / 2]."""
    cos, sin = jnp.cos(angle).astype(a.dtype), jnp.sin(angle).astype(a.dtype)
    a_1, a_2 = jnp.split(a, 2, axis=-1)
    return jnp.concatenate([a_1 * cos - a_2 * sin, a_1 * sin + a_2 * cos], axis=-1)


@register("gla", family="linear_attention", cites="yang2024gated", linear=True)
class GLA(MatrixCell):
    r"""Gated linear attention: a decay of every key feature that depends on the input. Each head has

    .. math::
        q_t = W_q x_t / \sqrt{d_k} \quad k_t = W_k x_t \quad v_t = W_v x_t \\
        \alpha_t = \sigma(A_2 A_1 x_t + b_\alpha)^{1 / \tau} \\
        S_t = \mathrm{diag}(\alpha_t) S_{t-1} + k_t v_t^\top \\
        o_t = S_t^\top q_t

    and the output is y_t = W_o (swish(W_r x_t + b_r) * LayerNorm(o_t)), the norm one per head. The
    state is S. The paper omits the root of d_k, which the norm undoes but for its epsilon.
    flash-linear-attention has an RMS norm with one scale for all heads, and no b_r. `W_qkv` holds the
    matrices side by side; `W_r`, `A_2` are with the biases.
    """

    def __init__(
        self,
        hidden_size: int,
        heads: int = 4,
        key_size: int | None = None,
        rank: int = 16,
        temperature: float = 16.0,
        name: str | None = None,
    ):
        """Makes the cell.

        Args:
          hidden_size: H, the number of units.
          heads: the number of heads, which divides H.
          key_size: d_k, the features of a head's keys; by default half of the values', H / heads.
          rank: of the gate's matrix, A_2 A_1.
          temperature: tau; the larger, the slower the decay.
          name: Haiku's module name.

        Raises:
          UserError: `heads` does not divide H.
        """
        super().__init__(hidden_size, heads, key_size or max(hidden_size // heads // 2, 1), name)
        self.temperature = temperature
        self.sizes: tuple[int, int, int] = (self.key_size, self.key_size, self.value_size)
        self.W_qkv: hk.Linear = hk.Linear(heads * sum(self.sizes), with_bias=False, name="W_qkv")
        self.A_1 = hk.Linear(rank, with_bias=False, name="A_1")
        self.A_2 = hk.Linear(heads * self.key_size, name="A_2")
        self.W_r: hk.Linear = hk.Linear(hidden_size, name="W_r")
        self.norm: HeadNorm = HeadNorm()
        self.W_o: hk.Linear = hk.Linear(hidden_size, with_bias=False, name="W_o")

    def run(self, recur: Callable[..., Any], x: jax.Array, S: jax.Array) -> tuple[jax.Array, State]:
        """As `MatrixCell.run`."""
        q, k, v = self.split(self.W_qkv(x), *self.sizes)
        (gate,) = self.split(self.A_2(self.A_1(x)), self.key_size)
        log_alpha = jax.nn.log_sigmoid(gate) / self.temperature
        o, S = recur(q / math.sqrt(self.key_size), k, v, log_alpha, S)
        return self.W_o(jax.nn.silu(self.W_r(x)) * self.norm(o, x.dtype)), S


@register("hgrn2", family="linear_attention", cites="qin2024hgrn2", linear=True)
class HGRN2(MatrixCell):
    r"""The hierarchically gated recurrent network, its state expanded to a matrix. Each head has

    .. math::
        f_t = \ell + (1 - \ell) \sigma(W_f x_t) \quad i_t = W_i x_t
            \quad g_t = \mathrm{swish}(W_g x_t) \\
        S_t = \mathrm{diag}(f_t) S_{t-1} + (1 - f_t) i_t^\top \\
        o_t = S_t^\top g_t

    so that forgetting more is writing more. The output is y_t = W_o RMSNorm(o_t), the norm over the
    heads together, the state S. The lower bound of f_t, here a number, is learned in the paper for
    all layers together, zero for the lowest and larger the higher the layer. Keys are as large as
    values. The activations and the norm are those of flash-linear-attention; the authors' package
    hgru2-pytorch has i = swish, g = sigmoid, a LayerNorm, and biases. `W_gfi` holds the matrices
    side by side.
    """

    def __init__(
        self, hidden_size: int, heads: int = 4, lower_bound: float = 0.0, name: str | None = None
    ):
        """Makes the cell.

        Args:
          hidden_size: H, the number of units.
          heads: the number of heads, which divides H; H / heads is the paper's expansion ratio.
          lower_bound: of the forget gate, at least 0 and less than 1.
          name: Haiku's module name.

        Raises:
          UserError: `heads` does not divide H, or `lower_bound` is no such number.
        """
        super().__init__(hidden_size, heads, None, name)
        if not 0 <= lower_bound < 1:
            raise UserError(
                f"{self.name}: lower_bound={lower_bound} must be at least 0 and below 1"
            )
        self.lower_bound = lower_bound
        self.W_gfi: hk.Linear = hk.Linear(3 * hidden_size, with_bias=False, name="W_gfi")
        self.norm: HeadNorm = HeadNorm(mean=False, offset=False)
        self.W_o: hk.Linear = hk.Linear(hidden_size, with_bias=False, name="W_o")

    def run(self, recur: Callable[..., Any], x: jax.Array, S: jax.Array) -> tuple[jax.Array, State]:
        """As `MatrixCell.run`."""
        g, f, i = self.split(self.W_gfi(x), *[self.value_size] * 3)
        log_f = jax.nn.log_sigmoid(f)
        if self.lower_bound:
            log_f = jnp.logaddexp(math.log(self.lower_bound), math.log1p(-self.lower_bound) + log_f)
        written = (1 - self.lower_bound) * jax.nn.sigmoid(-f)  # 1 - f, without its cancellation
        o, S = recur(jax.nn.silu(g), written, i, log_f, S)
        return self.W_o(self.norm(flat(o)[..., None, :], x.dtype)), S


@register("mlstm", family="linear_attention", cites="beck2024xlstm", linear=True)
class MLSTM(MatrixCell):
    r"""The mLSTM of xLSTM: a matrix memory with an exponential input gate. Each head has

    .. math::
        q_t = W_q x_t + b_q \quad k_t = (W_k x_t + b_k) / \sqrt{d_k} \quad v_t = W_v x_t + b_v \\
        i_t = w_i \cdot x_t + b_i \quad f_t = \log \sigma(w_f \cdot x_t + b_f) \\
        m_t = \max(f_t + m_{t-1}, i_t) \\
        C_t = e^{f_t + m_{t-1} - m_t} C_{t-1} + e^{i_t - m_t} k_t v_t^\top \\
        n_t = e^{f_t + m_{t-1} - m_t} n_{t-1} + e^{i_t - m_t} k_t \\
        h_t = C_t^\top q_t / \max(|n_t \cdot q_t|, e^{-m_t})

    The output is sigmoid(W_o x_t + b_o) * GroupNorm(h_t), the norm one per head; the state is the pair
    of C, with n as one more column, and m. The norm stands in the paper's block and not in its
    equations, which are `norm=False`. The rest of the block is left out: the projections up and down,
    the convolution before q and k, the learned skip and the swish gate. The paper's forget gate may be
    an exp too, and its b_k is not divided by the root. The authors' code adds 1e-6 to the denominator,
    lets i and f see q, k and v instead of x, and has no output gate but the block's. `W_qkvo` and
    `w_if` hold the matrices side by side, with the biases; b_f starts from 3 to 6 over the heads, as
    in the paper.
    """

    def __init__(
        self,
        hidden_size: int,
        heads: int = 4,
        key_size: int | None = None,
        norm: bool = True,
        name: str | None = None,
    ):
        """Makes the cell.

        Args:
          hidden_size: H, the number of units.
          heads: the number of heads, which divides H.
          key_size: d_k, the features of a head's keys; H / heads by default.
          norm: whether h_t is normalised.
          name: Haiku's module name.

        Raises:
          UserError: `heads` does not divide H.
        """
        super().__init__(hidden_size, heads, key_size, name)
        self.sizes: tuple[int, int, int, int] = (
            self.key_size,
            self.key_size,
            self.value_size,
            self.value_size,
        )
        self.W_qkvo: hk.Linear = hk.Linear(heads * sum(self.sizes), name="W_qkvo")
        self.w_if: hk.Linear = hk.Linear(2 * heads, b_init=self._bias, name="w_if")
        self.norm: HeadNorm | None = HeadNorm(offset=False) if norm else None

    def _bias(self, shape, dtype):
        b_f = jnp.linspace(3, 6, self.heads, dtype=dtype)
        return jnp.zeros(shape, dtype).at[self.heads :].set(b_f)

    def run(self, recur: Callable[..., Any], x: jax.Array, state: Pair) -> tuple[jax.Array, State]:
        """As `MatrixCell.run`."""
        C, m = state
        q, k, v, o = self.split(self.W_qkvo(x), *self.sizes)
        gates = self.w_if(x)
        i, f = self.split(gates.astype(jnp.promote_types(gates.dtype, jnp.float32)), 1, 1)
        f = jax.nn.log_sigmoid(f)
        m, before = _maxima(f, i, m[..., None])
        k = k / math.sqrt(self.key_size) * jnp.exp(i - m)
        h, C = recur(q, k, _with_one(v), f + before - m, C)
        # Both sides times exp(m) where m < 0, so that no exponential is of more than 0. Where m > 30
        # the paper's bound would let pass denominators that are smaller than their own rounding.
        scale = jnp.exp(jnp.minimum(m, 0))
        bound = jnp.exp(-jnp.clip(m, 0, 30))
        h = h[..., :-1] * scale / jnp.maximum(jnp.abs(h[..., -1:]) * scale, bound)
        last_m = m if m.ndim < C.ndim else m[-1]
        h = self.norm(h, x.dtype) if self.norm else flat(h).astype(x.dtype)
        return jax.nn.sigmoid(flat(o)) * h, (C, last_m[..., 0].astype(state[1].dtype))

    def initial_state(self, batch_size: int | None) -> Pair:
        """Zeros: C with n, [batch_size, heads, d_k, d_v + 1], and m, [batch_size, heads]."""
        C = self.zeros(batch_size, self.heads, self.key_size, self.value_size + 1)
        return C, self.zeros(batch_size, self.heads)


def _maxima(f, i, m):
    """The m_t = max(f_t + m_{t-1}, i_t), and the m_{t-1}, for one step or for all."""
    if f.ndim == m.ndim:
        return jnp.maximum(f + m, i).astype(m.dtype), m

    def then(first, second):
        (f_1, m_1), (f_2, m_2) = first, second
        return f_1 + f_2, jnp.maximum(f_2 + m_1, m_2)

    _, ms = jax.lax.associative_scan(then, (f, i.at[0].max(f[0] + m)))
    return ms, jnp.concatenate([m[None], ms[:-1]])
