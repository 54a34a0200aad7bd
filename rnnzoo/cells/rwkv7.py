"""RWKV-7, whose delta rule has a decay and a rate for each channel."""

import math

import haiku as hk
import jax
import jax.numpy as jnp

from rnnzoo.cells.base import Pair, find_initializer
from rnnzoo.cells.delta_rule import (
    DeltaCell,
    in_chunks,
    inverse_of_unit_lower,
    normalised,
    out_of_chunks,
)
from rnnzoo.registry import register


@register("rwkv7", family="delta_rule", cites="peng2025rwkv", linear=True)
class RWKV7(DeltaCell):
    r"""RWKV-7's time mixing: a delta rule that forgets, removes and adds channel by channel.

    .. math::
        x^{\square}_t = x_t + \mu_{\square} \odot (x_{t-1} - x_t),
            \quad \square \in \{r, k, v, d, a, g\} \\
        r_t = W_r x^r_t, \quad k_t = W_k x^k_t, \quad v_t = W_v x^v_t \\
        w_t = \exp\left(-e^{-1/2}\, \sigma(D_2 \tanh(D_1 x^d_t) + d_0)\right) \\
        a_t = \sigma(A_2 A_1 x^a_t + a_0), \quad g_t = G_2\, \sigma(G_1 x^g_t) \\
        \hat\kappa_t = \frac{\xi \odot k_t}{\|\xi \odot k_t\|}, \quad
        \tilde k_t = k_t \odot (1 + \alpha \odot (a_t - 1)) \\
        S_t = \mathrm{diag}(w_t)\, S_{t-1} - (a_t \odot \hat\kappa_t)\, \hat\kappa_t^T S_{t-1}
            + \tilde k_t v_t^T \\
        o_t = W_o\left(g_t \odot \left(\mathrm{LN}(S_t^T r_t)
            + (r_t^T (\rho \odot \tilde k_t))\, v_t\right)\right)

    with a matrix S, a norm of kappa and a layer norm LN for each head. This is the transpose of the
    paper's S, which stands on the left of its rows. The output is o_t, the state the pair (S, the part
    of the next step's mixtures that x_t makes): mu * x_t after W_r, W_k, W_v, D_1, A_1 and G_1, which
    unlike x_t itself is of the same size whatever D is. The residual of v between layers is left out.
    The initial mu, d_0 and a_0 are those of the authors' first layer; the matrices that their code
    starts from zero start small. `parallel` computes chunks: since w_t is above 0.54, the decay within
    one can be divided by.
    """

    prefers_parallel = True

    def __init__(self, hidden_size: int, heads: int = 4, name: str | None = None):
        """Makes the cell.

        Args:
          hidden_size: H, the size of the output.
          heads: how many matrices there are.
          name: Haiku's module name.

        Raises:
          UserError: `heads` does not divide H.
        """
        super().__init__(hidden_size, heads, None, name)
        H, wide, wider = hidden_size, self._rank(2.5), self._rank(5)
        self.sizes: dict[str, int] = {"r": H, "k": H, "v": H, "d": wide, "a": wide, "g": wider}
        small = hk.initializers.VarianceScaling(0.01, "fan_in", "truncated_normal")
        self.D_2 = hk.Linear(H, w_init=small, b_init=self._initial_decay, name="D_2")
        self.A_2 = hk.Linear(H, w_init=small, b_init=self._initial_rate, name="A_2")
        self.G_2 = hk.Linear(H, with_bias=False, name="G_2")
        self.norm: hk.LayerNorm = hk.LayerNorm(-1, False, False, eps=1e-5 * self.d_v, name="norm")
        self.W_o: hk.Linear = hk.Linear(H, with_bias=False, name="W_o")

    def _rank(self, factor: float) -> int:
        return max(32, 32 * round(factor * self.hidden_size**0.5 / 32))

    def __call__(self, x: jax.Array, state: Pair) -> tuple[jax.Array, Pair]:
        """One step: x of shape [..., D] and the state to the output, [..., H], and the new state."""
        S, before = state
        now, later = self._projected(x)
        coefficients = self._coefficients(now + before)
        o, S = generalised_delta_rule(*coefficients[:-1], S)
        return self._readout(o, *coefficients), (S, later)

    def parallel(self, xs: jax.Array, state: Pair) -> tuple[jax.Array, Pair]:
        """All time steps at once: xs of shape [T, ..., D] to the outputs and the last state."""
        S, before = state
        now, later = self._projected(xs)
        coefficients = self._coefficients(now + jnp.concatenate([before[None], later[:-1]]))
        o, S = chunked_generalised_delta_rule(*coefficients[:-1], S)
        return self._readout(o, *coefficients), (S, later[-1])

    def _projected(self, x):
        """W ((1 - mu) x) and W (mu x), for r, k, v, d, a and g side by side."""
        D, sizes = x.shape[-1], self.sizes
        W = hk.get_parameter("W", (D, sum(sizes.values())), x.dtype, find_initializer("lecun"))
        mu = hk.get_parameter("mu", (D, len(sizes)), x.dtype, _initial_mixture)
        mu = jnp.repeat(mu, jnp.array([*sizes.values()]), axis=1, total_repeat_length=W.shape[1])
        return x @ (W - mu * W), x @ (mu * W)

    def _coefficients(self, mixed):
        """r, log w, kappa, a, k and v of shape [..., heads, d], and g of [..., H]."""
        H, constant = self.hidden_size, hk.initializers.Constant
        ends = [sum([*self.sizes.values()][: i + 1]) for i in range(len(self.sizes) - 1)]
        r, k, v, d, a, g = jnp.split(mixed, ends, axis=-1)
        xi = hk.get_parameter("xi", (H,), mixed.dtype, constant(0.71))
        alpha = hk.get_parameter("alpha", (H,), mixed.dtype, constant(1.02))
        log_w = -math.exp(-0.5) * jax.nn.sigmoid(self.D_2(jnp.tanh(d)))
        a = jax.nn.sigmoid(self.A_2(a))
        g = self.G_2(jax.nn.sigmoid(g))
        kappa = normalised(self._split(xi * k))
        k = k * (1 + alpha * (a - 1))
        r, log_w, a, k, v = map(self._split, (r, log_w, a, k, v))
        return r, log_w, kappa, a, k, v, g

    def _readout(self, o, r, log_w, kappa, a, k, v, g):
        H, dtype = self.hidden_size, g.dtype
        rho = hk.get_parameter(
            "rho", (self.heads, self.d_k), dtype, hk.initializers.Constant(-0.04)
        )
        gain = hk.get_parameter("gain", (H,), dtype, jnp.ones)
        b = hk.get_parameter("b", (H,), dtype, jnp.zeros)
        bonus = jnp.sum(r * rho * k, axis=-1, keepdims=True) * v
        merge = lambda a: a.reshape(*a.shape[:-2], H)  # noqa: E731
        return self.W_o(g * (gain * merge(self.norm(o)) + b + merge(bonus)))

    def _initial_decay(self, shape, dtype):
        position, zigzag = self._positions()
        return (6 * position - 5.5 + 2.5 * zigzag).astype(dtype)

    def _initial_rate(self, shape, dtype):
        position, zigzag = self._positions()
        return (0.4 * position - 0.39 + 0.3 * zigzag).astype(dtype)

    def _positions(self):
        """A channel's place among all, from 0 to 1, and in its head, from -1 to 1, squared."""
        place = jnp.linspace(-1, 1, self.d_k) if self.d_k > 1 else jnp.zeros(1)
        return jnp.linspace(0, 1, self.hidden_size), jnp.tile(place * jnp.abs(place), self.heads)

    def initial_state(self, batch_size: int | None) -> Pair:
        """Zeros, with a leading axis of `batch_size` or without."""
        S = super().initial_state(batch_size)
        return S, jnp.zeros((*S.shape[:-3], sum(self.sizes.values())))


def _initial_mixture(shape, dtype):
    D = shape[0]
    powers = jnp.array([0.2, 0.7, 0.7, 0.9, 0.9, 0.2])  # of r, k, v, d, a, g
    return (1 - (jnp.arange(D)[:, None] / D) ** powers).astype(dtype)


def generalised_delta_rule(
    r: jax.Array,
    log_w: jax.Array,
    kappa: jax.Array,
    a: jax.Array,
    k: jax.Array,
    v: jax.Array,
    S: jax.Array,
) -> Pair:
    """One step of S = diag(w) S - (a kappa) kappa^T S + k v^T; (S^T r, S)."""
    y = -jnp.einsum("...kv,...k->...v", S, kappa)
    write = (a * kappa)[..., :, None] * y[..., None, :] + k[..., :, None] * v[..., None, :]
    S = jnp.exp(log_w)[..., None] * S + write
    return jnp.einsum("...kv,...k->...v", S, r), S


def chunked_generalised_delta_rule(
    r: jax.Array,
    log_w: jax.Array,
    kappa: jax.Array,
    a: jax.Array,
    k: jax.Array,
    v: jax.Array,
    S: jax.Array,
) -> Pair:
    r"""`generalised_delta_rule` for all steps; each argument but S has a leading axis of T.

    With g the sum of log w from the chunk's start, S_0 the state there, and y_t = -S_{t-1}^T kappa_t,
    S_t = diag(e^{g_t}) (S_0 + \sum_{i \le t} e^{-g_i} ((a_i kappa_i) y_i^T + k_i v_i^T)), from which the
    y of a chunk follow as u do in `chunked_delta_rule`. e^{-g} is below e^{20}.
    """
    T, dtype = len(r), S.dtype
    r, log_w, kappa, a, k, v = map(in_chunks, (r, log_w, kappa, a, k, v))
    S = S.astype(r.dtype)
    g = jnp.cumsum(log_w, axis=-2)
    write = jnp.concatenate([a * kappa, k], axis=-2) * jnp.exp(-jnp.concatenate([g, g], axis=-2))
    erase, read = jnp.exp(g - log_w) * kappa, jnp.exp(g) * r
    steps = r.shape[-2]
    earlier = jnp.tri(steps, k=-1)
    by_y, by_v = jnp.split(erase @ write.mT, 2, axis=-1)
    known = jnp.concatenate([(earlier * by_v) @ v, erase], axis=-1)
    known = -inverse_of_unit_lower(by_y) @ known
    y, erase = jnp.split(known, [v.shape[-1]], axis=-1)
    attention = jnp.tile(jnp.tri(steps), 2) * (read @ write.mT)

    def run(S, chunk):
        read, attention, erase, y, v, write, w = chunk
        values = jnp.concatenate([y + erase @ S, v], axis=-2)
        return w.mT * (S + write.mT @ values), read @ S + attention @ values

    S, o = jax.lax.scan(run, S, (read, attention, erase, y, v, write, jnp.exp(g[..., -1:, :])))
    return out_of_chunks(o, T, dtype), S.astype(dtype)
