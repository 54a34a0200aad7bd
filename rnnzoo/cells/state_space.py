"""Linear state-space cells: diagonal recurrences of complex numbers, the same at all times."""

import math
from collections.abc import Callable

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np

from rnnzoo.cells.base import LinearCell, Pair, find_initializer, wide
from rnnzoo.cells.convolution import convolved
from rnnzoo.errors import UserError, did_you_mean
from rnnzoo.registry import register


class _ComplexState(LinearCell):
    """A linear cell whose state is an array of complex numbers, of `state_shape` for each sequence."""

    def __init__(self, hidden_size: int, state_shape: tuple[int, ...], name: str | None):
        super().__init__(name=name)
        self.hidden_size = hidden_size
        self.state_shape = state_shape

    def initial_state(self, batch_size: int | None) -> jax.Array:
        """Complex zeros, [batch_size, ...], or without that axis for a `batch_size` of None."""
        shape = self.state_shape if batch_size is None else (batch_size, *self.state_shape)
        return jnp.zeros(shape, complex)

    def feedthrough(self, x: jax.Array) -> jax.Array:
        """D x: a matrix product, or, for an input as wide as the output, a vector's."""
        H = self.hidden_size
        if x.shape[-1] == H:
            return hk.get_parameter("D", (H,), x.dtype, hk.initializers.RandomNormal()) * x
        D = hk.get_parameter("D", (x.shape[-1], H), x.dtype, find_initializer("lecun"))
        return x @ D


@register("lru", family="state_space", cites="orvieto2023resurrecting", linear=True)
class LRU(_ComplexState):
    r"""The linear recurrent unit.

    .. math::
        \lambda = \exp(-e^{\nu} + i e^{\theta}) \\
        h_t = \lambda \odot h_{t-1} + e^{\gamma} \odot B x_t \\
        y_t = \mathrm{Re}(C h_t) + D x_t

    The output is y_t, the state h, N complex numbers. The decays start uniformly on the ring between
    `r_min` and `r_max`, and gamma where sqrt(1 - |lambda|^2) normalises the state. Orvieto et al.
    (2023) have inputs as wide as outputs and a vector for D; for D != H it is a matrix here. Their
    parameters nu, theta and gamma are logarithms, named nu_log, theta_log and gamma_log. B is stored
    as its real part beside its imaginary part, [D, 2N], C as one above the other, [2N, H]. The
    nonlinearity, a GLU in the paper, belongs to the block around it.
    """

    r_min: float
    r_max: float
    max_phase: float

    def __init__(
        self,
        hidden_size: int,
        state_size: int | None = None,
        r_min: float = 0.0,
        r_max: float = 1.0,
        max_phase: float = 2 * math.pi,
        name: str | None = None,
    ):
        """Makes the cell.

        Args:
          hidden_size: H, the width of the output.
          state_size: N, the number of complex units; H unless given.
          r_min: the least modulus of the initial lambda.
          r_max: the largest modulus of the initial lambda, at most 1.
          max_phase: the largest initial angle of lambda.
          name: Haiku's module name.

        Raises:
          UserError: the ring is not within the unit circle.
        """
        N = hidden_size if state_size is None else state_size
        super().__init__(hidden_size, (N,), name)
        if not 0 <= r_min <= r_max <= 1:
            raise UserError(
                f"lru: a ring from r_min={r_min!r} to r_max={r_max!r} is not within the unit circle: "
                "give 0 <= r_min <= r_max <= 1"
            )
        self.r_min, self.r_max, self.max_phase = r_min, r_max, max_phase
        half = hk.initializers.VarianceScaling(0.5, "fan_in", "normal")
        twice = hk.initializers.VarianceScaling(2.0, "fan_in", "normal")  # its fan-in is N, not 2N
        self.B = hk.Linear(2 * N, with_bias=False, w_init=half, name="B")
        self.C = hk.Linear(hidden_size, with_bias=False, w_init=twice, name="C")

    def _nu(self, shape, dtype):
        u = jax.random.uniform(hk.next_rng_key(), shape, minval=self.r_min**2, maxval=self.r_max**2)
        squared = jnp.clip(u, 1e-6, 1 - 1e-6)  # neither end of the disc has a finite nu
        return jnp.log(-0.5 * jnp.log(squared)).astype(dtype)

    def _theta(self, shape, dtype):
        u = jax.random.uniform(hk.next_rng_key(), shape, minval=1e-6)
        return jnp.log(self.max_phase * u).astype(dtype)

    def coefficients(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """(lambda, e^gamma B x), complex, of shapes [N] and [..., N]."""
        nu = wide(hk.get_parameter("nu_log", self.state_shape, x.dtype, self._nu))
        theta = wide(hk.get_parameter("theta_log", self.state_shape, x.dtype, self._theta))

        def normalising(shape, dtype):
            del shape
            return (0.5 * jnp.log(-jnp.expm1(-2 * jnp.exp(nu)))).astype(dtype)

        gamma = wide(hk.get_parameter("gamma_log", self.state_shape, x.dtype, normalising))
        a = jnp.exp(jax.lax.complex(-jnp.exp(nu), jnp.exp(theta)))
        return a, jnp.exp(gamma) * _as_complex(self.B(x))

    def readout(self, h: jax.Array, x: jax.Array) -> jax.Array:
        """The output y, of shape [..., H] and the dtype of x."""
        return self.C(_for_real_part(h).astype(x.dtype)) + self.feedthrough(x)


@register("s5", family="state_space", cites="smith2023simplified", linear=True)
class S5(_ComplexState):
    r"""The simplified state-space layer: one system, diagonalised, for all inputs together.

    .. math::
        \bar\Lambda = e^{\Lambda \Delta} \\
        h_t = \bar\Lambda \odot h_{t-1} + \Lambda^{-1} (\bar\Lambda - 1) \odot B x_t \\
        y_t = 2\, \mathrm{Re}(C h_t) + D x_t

    The output is y_t, the state h: P/2 complex numbers, one of each conjugate pair of the P that the
    system has. Lambda and the eigenvectors V come from `blocks` copies of the normal part of the
    HiPPO-LegS matrix along the diagonal, B and C start as V^{-1} and V times real matrices. Each unit
    has a step size Delta of its own, stored as log_delta. The real part of Lambda is held below
    -1e-4, as by the option `clip_eigs` of the authors' library, so that nothing grows. Smith et al.
    (2023) have inputs as wide as outputs and a vector for D; for D != H it is a matrix here. Their
    library draws C complex before V, where a real one makes the system real. B is stored as its real
    part beside its imaginary part, [D, P], C as one above the other, [P, H]. The nonlinearity after
    y_t belongs to the block around it.
    """

    frequencies: np.ndarray

    def __init__(
        self,
        hidden_size: int,
        state_size: int | None = None,
        blocks: int = 1,
        discretization: str = "zoh",
        delta_min: float = 0.001,
        delta_max: float = 0.1,
        name: str | None = None,
    ):
        """Makes the cell.

        Args:
          hidden_size: H, the width of the output.
          state_size: P, the number of states, of which half are kept; H unless given.
          blocks: how many HiPPO matrices start side by side; P must be a multiple of twice as many.
          discretization: 'zoh', zero-order hold as above, or 'bilinear'.
          delta_min: the least initial step size.
          delta_max: the largest initial step size.
          name: Haiku's module name.

        Raises:
          UserError: `state_size` does not fit `blocks`; an unknown `discretization`.
        """
        P = hidden_size if state_size is None else state_size
        super().__init__(hidden_size, (P // 2,), name)
        if blocks < 1 or P < 2 or P % (2 * blocks):
            raise UserError(
                f"s5: a state of {P} is not made of {blocks} block(s) of conjugate pairs: give a "
                f"state_size that is a multiple of {2 * max(blocks, 1)}"
            )
        self.discretization: Discretize = _known(
            "s5", "discretization", discretization, DISCRETIZATIONS
        )
        self.delta_range: tuple[float, float] = delta_min, delta_max
        frequencies, V = _hippo_spectrum(P // blocks)
        self.frequencies, self.V = np.tile(frequencies, blocks), np.kron(np.eye(blocks), V)
        self.B = hk.Linear(P, with_bias=False, w_init=self._draw_B, name="B")
        self.C = hk.Linear(hidden_size, with_bias=False, w_init=self._draw_C, name="C")

    def _draw_B(self, shape, dtype):
        B = find_initializer("lecun")(shape, dtype) @ self.V.conj()  # (V^-1 B) transposed
        return jnp.concatenate([B.real, B.imag], axis=1).astype(dtype)

    def _draw_C(self, shape, dtype):
        C = self.V.T @ find_initializer("lecun")(shape, dtype)  # (C V) transposed
        return jnp.concatenate([C.real, C.imag]).astype(dtype)

    def coefficients(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The discretised (Lambda, B x), complex, of shapes [P/2] and [..., P/2]."""
        shape, dtype = self.state_shape, x.dtype
        re = hk.get_parameter("Lambda_re", shape, dtype, hk.initializers.Constant(-0.5))
        im = hk.get_parameter("Lambda_im", shape, dtype, _constant(self.frequencies))
        log_delta = hk.get_parameter("log_delta", shape, dtype, _log_uniform(*self.delta_range))
        Lambda = jax.lax.complex(jnp.minimum(wide(re), -1e-4), wide(im))
        a, scale = self.discretization(Lambda, jnp.exp(wide(log_delta)))
        return a, scale * _as_complex(self.B(x))

    def readout(self, h: jax.Array, x: jax.Array) -> jax.Array:
        """The output y, of shape [..., H] and the dtype of x."""
        return 2 * self.C(_for_real_part(h).astype(x.dtype)) + self.feedthrough(x)


@register("s4d", family="state_space", cites="gu2022parameterization", linear=True)
class S4D(_ComplexState):
    r"""The diagonal state-space layer: a system of N states for each of H channels.

    .. math::
        u_t = P x_t \\
        \bar A = e^{A \Delta} \\
        h_t = \bar A \odot h_{t-1} + A^{-1} (\bar A - 1) \odot u_t \\
        y_t = 2\, \mathrm{Re} \sum_n C_n \odot h_{t, n} + D \odot u_t \\
        [p_t, q_t] = O\, \mathrm{GELU}(y_t) + b \\
        o_t = p_t \odot \sigma(q_t)

    The output is o_t, the state h: N/2 complex numbers for each channel, one of each conjugate pair.
    All of A, C and D are the channel's own; O mixes the channels. P is the identity for D = H and a
    matrix with biases otherwise. A = -exp(A_re_log) + i A_im starts by `init` at -1/2 + i w_n: 'lin',
    w_n = pi n; 'inv', w_n = N/pi (N/(2n + 1) - 1); 'legs', the eigenvalues of the normal part of
    HiPPO-LegS. The B of Gu et al. (2022) starts at ones and only ever occurs as the product C B: it is
    part of C here, as in the minimal version of their library.
    """

    prefers_parallel = True

    def __init__(
        self,
        hidden_size: int,
        state_size: int = 64,
        init: str = "legs",
        discretization: str = "zoh",
        delta_min: float = 0.001,
        delta_max: float = 0.1,
        name: str = "s4d",
    ):
        """Makes the cell.

        Args:
          hidden_size: H, the number of channels.
          state_size: N, the number of states of each channel, even; half of them are kept.
          init: 'lin', 'inv' or 'legs', where A starts.
          discretization: 'zoh', zero-order hold as above, or 'bilinear'.
          delta_min: the least initial step size.
          delta_max: the largest initial step size.
          name: Haiku's module name.

        Raises:
          UserError: `state_size` is odd; an unknown `init` or `discretization`.
        """
        super().__init__(hidden_size, (hidden_size, state_size // 2), name)
        if state_size < 2 or state_size % 2:
            raise UserError(
                f"s4d: state_size={state_size!r} is not made of conjugate pairs: give an even number"
            )
        n = np.arange(state_size // 2)
        frequencies = {
            "lin": np.pi * n,
            "inv": state_size / np.pi * (state_size / (2 * n + 1) - 1),
            "legs": _hippo_spectrum(state_size)[0],
        }
        self.frequencies: np.ndarray = _known("s4d", "init", init, frequencies)
        self.discretization: Discretize = _known(
            "s4d", "discretization", discretization, DISCRETIZATIONS
        )
        self.delta_range: tuple[float, float] = delta_min, delta_max
        self.P = hk.Linear(hidden_size, name="P")
        self.O = hk.Linear(2 * hidden_size, name="O")

    def _channels(self, x):
        return x if x.shape[-1] == self.hidden_size else self.P(x)

    def coefficients(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The discretised A and what u adds, complex, of shapes [H, N/2] and [..., H, N/2]."""
        a, scale = self._discretised(x.dtype)
        return a, scale * wide(self._channels(x))[..., None]

    def _discretised(self, dtype):
        """The discretised A and the factor of u, complex, of shape [H, N/2]."""
        shape = self.state_shape
        half = hk.initializers.Constant(math.log(0.5))
        re = wide(hk.get_parameter("A_re_log", shape, dtype, half))
        im = wide(hk.get_parameter("A_im", shape, dtype, _constant(self.frequencies)))
        log_delta = hk.get_parameter("log_delta", shape[:1], dtype, _log_uniform(*self.delta_range))
        A = jax.lax.complex(-jnp.exp(re), im)
        return self.discretization(A, jnp.exp(wide(log_delta))[:, None])

    def readout(self, h: jax.Array, x: jax.Array) -> jax.Array:
        """The output o, of shape [..., H] and the dtype of x."""
        C = self._C(x.dtype)
        return self._output(2 * jnp.sum(C.real * h.real - C.imag * h.imag, axis=-1), x)

    def parallel(self, xs: jax.Array, h: jax.Array) -> Pair:
        """All time steps at once: xs of shape [T, ..., D] to the outputs and the last state."""
        a, scale = self._discretised(xs.dtype)
        y, h = convolved(a, scale, 2 * self._C(xs.dtype), wide(self._channels(xs)), h)
        return self._output(y, xs), h

    def _C(self, dtype):
        normal = hk.initializers.RandomNormal(math.sqrt(0.5))  # |C| has variance 1
        re = hk.get_parameter("C_re", self.state_shape, dtype, normal)
        im = hk.get_parameter("C_im", self.state_shape, dtype, normal)
        return jax.lax.complex(wide(re), wide(im))

    def _output(self, y, x):
        y = y.astype(x.dtype) + self.feedthrough(self._channels(x))
        p, q = jnp.split(self.O(jax.nn.gelu(y, approximate=False)), 2, axis=-1)
        return p * jax.nn.sigmoid(q)


# (A, delta) -> (the decay of a step, the factor of its input)
Discretize = Callable[[jax.Array, jax.Array], Pair]


def _zero_order_hold(A, delta):
    """The decay of a step and the factor of its input, for an input constant over the step."""
    return jnp.exp(A * delta), jnp.expm1(A * delta) / A


def _bilinear(A, delta):
    """The decay of a step and the factor of its input, by the trapezoidal rule."""
    return (1 + A * delta / 2) / (1 - A * delta / 2), delta / (1 - A * delta / 2)


DISCRETIZATIONS: dict[str, Discretize] = {"zoh": _zero_order_hold, "bilinear": _bilinear}


def _hippo_spectrum(size: int):
    """The positive half of the spectrum of HiPPO-LegS's normal part.

    That part, also called HiPPO-N, is -1/2 plus an antisymmetric matrix S.

    Returns:
      The frequencies w, [size / 2], and the eigenvectors to i w, [size, size / 2].
    """
    p = np.sqrt(np.arange(size) + 0.5)
    upper = np.triu(np.outer(p, p), 1)
    w, V = np.linalg.eigh(-1j * (upper - upper.T))
    return w[size // 2 :], V[:, size // 2 :]


def _known(cell: str, option: str, value: str, known: dict):
    if value not in known:
        raise UserError(f"{cell}: {option}={value!r}: {did_you_mean(value, known)}")
    return known[value]


def _constant(values):
    return lambda shape, dtype: jnp.broadcast_to(jnp.asarray(values, dtype), shape)


def _log_uniform(low, high):
    return hk.initializers.RandomUniform(math.log(low), math.log(high))


def _as_complex(parts):
    """[real parts, imaginary parts] as complex numbers."""
    return jax.lax.complex(*jnp.split(wide(parts), 2, axis=-1))


def _for_real_part(h):
    """What the parts of C, one above the other, multiply for the real part of C h."""
    return jnp.concatenate([h.real, -h.imag], axis=-1)
