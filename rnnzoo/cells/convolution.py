r"""A diagonal state-space model that is the same at all times, as a convolution.

.. math::
    h_t = a \odot h_{t-1} + b \odot u_t \\
    y_t = \mathrm{Re} \sum_n C_n \odot h_{t, n}
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from rnnzoo.cells.base import Pair

BLOCK = 32  # time steps
# A complex number as its two parts: real products are those of matrices, and XLA vectorises them.
Parts = tuple[jax.Array, jax.Array]


def convolved(
    a: jax.Array, b: jax.Array, C: jax.Array, u: jax.Array, h: jax.Array, size: int = BLOCK
) -> Pair:
    r"""The equations above for all t, block by block, without the states between the blocks' ends.

    In a block of L steps after the state h_0, counted from 0:

    .. math::
        y_i = \mathrm{Re} \sum_n C_n a_n^{i+1} h_{0, n} + \sum_{j \le i} K_{i-j} u_j,
            \qquad K_d = \mathrm{Re} \sum_n C_n a_n^d b_n \\
        h_L = a^L h_0 + \sum_j a^{L-1-j} b\, u_j

    These are products of matrices, one for each channel, for all blocks at once; only the states at
    the blocks' ends follow one another.

    Args:
      a: the decays, complex, [H, N].
      b: what writes, [H, N].
      C: what reads, [H, N].
      u: the inputs, real, [T, ..., H].
      h: the states before the first step, [..., H, N].
      size: L; the first block has what is left of T.

    Returns:
      y, of shape [T, ..., H], and the states after the last step.
    """
    T, H = len(u), u.shape[-1]
    rows = u.reshape(T, -1, H)
    state = _parts(jnp.moveaxis(h.reshape(-1, *h.shape[-2:]), 1, 0))  # [H, rows, N]
    system = _parts(a), _parts(b), _parts(C)
    first, y = T % size, []
    for part, L in ((rows[:first], first), (rows[first:], size)):
        if len(part):
            out, state = _blocks(system, part.reshape(-1, L, *part.shape[1:]), state)
            y.append(out.reshape(part.shape))
    last = jnp.moveaxis(jax.lax.complex(*state), 0, 1)
    return jnp.concatenate(y).reshape(u.shape), last.reshape(h.shape)


def _blocks(system: tuple[Parts, Parts, Parts], u: jax.Array, h: Parts) -> tuple[jax.Array, Parts]:
    """`convolved` for u of shape [blocks, L, rows, H] and h of [H, rows, N]."""
    L = u.shape[1]
    powers = _powers(system[0], L)
    u = jnp.transpose(u, (3, 0, 2, 1))
    a, b, C = ((re[:, None], im[:, None]) for re, im in system)  # the same for all rows

    written = _times(b, [_dot("hcrj,hjn->chrn", u[..., ::-1], p) for p in powers])
    a_L = _times(a, [p[:, -1:] for p in powers])

    def over_blocks(h, written):
        kept = _times(a_L, h)
        return (kept[0] + written[0], kept[1] + written[1]), h

    h, starts = jax.lax.scan(over_blocks, h, written)

    def read(z):
        """Re sum_n C_n a_n^i z_n for each i of a block, [..., H, rows, N] to [H, ..., rows, L]."""
        re, im = _times(C, z)
        return _dot("...hrn,hin->h...ri", re, powers[0]) - _dot("...hrn,hin->h...ri", im, powers[1])

    K = read(b)[:, 0]
    i = np.arange(L)
    delays = i == (i - i[:, None])[..., None]  # of the output i by the input j: [j, i, delay]
    lower = _dot("hd,jid->hji", K, delays.astype(K.dtype))
    y = read(_times(a, starts)) + _dot("hcrj,hji->hcri", u, lower)
    return jnp.transpose(y, (1, 3, 2, 0)), h


def _powers(a: Parts, count: int) -> Parts:
    """a^0, a^1, ..., of shape [H, count, N]."""
    one = jnp.ones_like(a[0]), jnp.zeros_like(a[0])
    _, powers = jax.lax.scan(lambda p, _: (_times(p, a), p), one, length=count)
    return jnp.moveaxis(powers[0], 0, 1), jnp.moveaxis(powers[1], 0, 1)


def _parts(z: jax.Array) -> Parts:
    return z.real, z.imag


def _times(x: Sequence[jax.Array], y: Sequence[jax.Array]) -> Parts:
    return x[0] * y[0] - x[1] * y[1], x[0] * y[1] + x[1] * y[0]


def _dot(axes: str, x: jax.Array, y: jax.typing.ArrayLike) -> jax.Array:
    return jnp.einsum(axes, x, y, precision=jax.lax.Precision.HIGHEST)  # these are states
