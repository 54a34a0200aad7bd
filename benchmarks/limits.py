"""The machine's limits: how fast JAX multiplies and reads here when nothing else is in the way.

    python -m benchmarks.limits

  large product      [N, N] by [N, N]: operations per second; on a GPU of float32 and of bfloat16
  product of a layer [T B, H] by [H, 4H], as a layer's outside of its loop
  product in a loop  [B, H] by [H, 4H], each step on the result of the one before, as in a
                     recurrent network: operations per second
  matrix by vector   the same with one row and a square matrix, from one that sits in a core's
                     cache to one that sits in none: bytes of the matrix per second
  memory             a = b + s a on arrays that sit in no cache: bytes per second

On a CPU, PyTorch's products stand beside JAX's where it is installed; they are no limit of ours, and
tell what its layers have to work with.

Other benchmarks measure them in turn with their own contenders, and set their times against what
the limits allow: `probes` are the calls to be timed, `Limits` is what they found.
"""

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from benchmarks import report, settings
from benchmarks.timing import Timing, first_call, interleave
from rnnzoo.devices import cores

USED = (settings.BATCH_SIZE, settings.ROUNDS)
LARGE = 2048  # N of the large product
LARGE_ON_GPU = 8192
LAYER = 128  # T of a layer's product
IN_LOOP = 256  # H of the product in a loop
MATRICES = (256, 512, 1024, 2048, 4096)  # rows of a square matrix: from 256 KiB to 64 MiB
MEMORY = 2**24  # numbers in an array: 64 MiB
CALL_FLOPS, CALL_BYTES = 2**28, 2**27  # of a loop in one call, so that its start does not count


class Probe(NamedTuple):
    """Work that meets one limit of the machine, and nothing else.

    Attributes:
      limit: which one.
      shape: what is computed, for a person.
      call: does it.
      flops: the floating-point operations of a call, where they are the limit.
      traffic: the bytes that a call reads and writes, where they are the limit.
      matrix_bytes: the size of the matrix of a matrix-vector product.
    """

    limit: str
    shape: str
    call: Callable[[], Any]
    flops: int | None = None
    traffic: int | None = None
    matrix_bytes: int | None = None


def probes(batch_size: Sequence[int]) -> list[Probe]:
    """Everything that is measured, products in a loop with each B; all have had their first call."""
    sizes = sorted(set(batch_size))
    found = [
        _product("large product", *_large()),
        *(_product("product of a layer", LAYER * B, IN_LOOP, 4 * IN_LOOP) for B in sizes),
        *(_product_in_a_loop(B, IN_LOOP) for B in sizes),
        *map(_matrix_by_vector, MATRICES),
        _memory(MEMORY),
    ]
    for probe in found:
        first_call(probe.call)
    return found


def _large() -> tuple[int, int, int]:
    N = LARGE_ON_GPU if jax.default_backend() == "gpu" else LARGE
    return N, N, N


def _product(limit: str, N: int, K: int, M: int, dtype: jnp.dtype = jnp.float32) -> Probe:
    a, b, multiply = jnp.ones((N, K), dtype), jnp.ones((K, M), dtype), jax.jit(jnp.matmul)
    shape = f"[{N}, {K}] × [{K}, {M}]{', bfloat16' * (dtype == jnp.bfloat16)}"
    return Probe(limit, shape, lambda: multiply(a, b), 2 * N * K * M)


def _in_torch(sizes: Sequence[int]) -> list[Probe]:
    """PyTorch's products of the same shapes, each by itself, on all cores."""
    import torch

    torch.set_num_threads(cores())

    def product(limit: str, N: int, K: int, M: int) -> Probe:
        a, b = torch.ones(N, K), torch.ones(K, M)
        shape = f"[{N}, {K}] × [{K}, {M}]"
        return Probe(f"{limit}, PyTorch", shape, lambda: torch.mm(a, b), 2 * N * K * M)

    return [
        product("large product", *_large()),
        *(product("product of a layer", LAYER * B, IN_LOOP, 4 * IN_LOOP) for B in sizes),
        *(product("product in a loop", B, IN_LOOP, 4 * IN_LOOP) for B in sizes),
    ]


def _product_in_a_loop(B: int, H: int) -> Probe:
    call, steps, W = _loop(B, jnp.tile(jnp.eye(H), 4))
    flops = steps * 2 * B * W.size
    return Probe("product in a loop", f"[{B}, {H}] × [{H}, {4 * H}]", call, flops)


def _matrix_by_vector(N: int) -> Probe:
    call, steps, W = _loop(1, jnp.eye(N))
    traffic, shape = steps * W.nbytes, f"[1, {N}] × [{N}, {N}]"
    return Probe("matrix by vector", shape, call, traffic=traffic, matrix_bytes=W.nbytes)


def _loop(B: int, W: jax.Array) -> tuple[Callable[[], jax.Array], int, jax.Array]:
    """A call that multiplies B rows by W again and again, how often it does so, and W.

    W is made of identities, so that the rows stay what they are: numbers that vanish are slow.
    """
    steps = max(1, min(CALL_FLOPS // (2 * B * W.size), CALL_BYTES // W.nbytes))
    x = jnp.ones((B, len(W)))
    run = jax.jit(lambda x, W: jax.lax.fori_loop(0, steps, lambda _, x: (x @ W)[:, : len(W)], x))
    return lambda: run(x, W), steps, W


def _memory(size: int) -> Probe:
    step = jax.jit(lambda a, b: b + 0.5 * a, donate_argnums=0)  # in place: no new pages
    a, b = jnp.ones(size), jnp.ones(size)

    def call():
        nonlocal a
        a = step(a, b)
        return a

    return Probe("memory", f"a = b + s a, {size:,} numbers", call, traffic=3 * b.nbytes)


class Limits(NamedTuple):
    """What the probes found.

    Attributes:
      flops_per_second: of the fastest product.
      bytes_per_second: of matrix-vector products, by the bytes of the matrix.
    """

    flops_per_second: float
    bytes_per_second: dict[int, float]

    @classmethod
    def of(cls, timings: Mapping[Any, Timing]) -> "Limits":
        """The limits from an interleaved run; what is named by no `Probe` is passed over."""
        found = {p: t.median for p, t in timings.items() if isinstance(p, Probe)}
        return cls(
            max(p.flops / seconds for p, seconds in found.items() if p.flops),
            {p.matrix_bytes: p.traffic / s for p, s in found.items() if p.matrix_bytes},
        )

    def reading(self, size: int) -> float:
        """Bytes per second at most for weights of so many bytes, read again and again.

        That of the measured matrices that are not smaller than the next one down: a matrix is read
        no faster than a smaller one.
        """
        least = max((other for other in self.bytes_per_second if other <= size), default=0)
        return max(rate for other, rate in self.bytes_per_second.items() if other >= least)

    def against(
        self, flops: int, loops: Sequence[int], steps: int, seconds: float
    ) -> dict[str, float]:
        """What a call was counted to do, and the least time that the limits leave it.

        Its products and the reading of its weights may overlap: the longer of the two is the limit.

        Args:
          flops: floating-point operations of a time step.
          loops: bytes of weights that each loop reads at a time step, as in `benchmarks.cost.Cost`.
          steps: time steps of the call.
          seconds: what the call took.

        Returns:
          The figures that a result file keeps.
        """
        reading = sum(size / self.reading(size) for size in loops)
        least = steps * max(flops / self.flops_per_second, reading)
        return {
            "counted_flops": steps * flops,
            "counted_bytes": steps * sum(loops),
            "limit_flops_per_second": self.flops_per_second,
            "limit_bytes_per_second": sum(loops) / reading if reading else None,
            "limit_seconds": least,
            "limit_fraction": least / seconds,
        }


def measure(batch_size: list[int], rounds: int) -> list[dict]:
    """Measures all limits in one interleaved run.

    Args:
      batch_size: the sizes of B of the products in a loop.
      rounds: samples of each.

    Returns:
      One row for each probe, with `flops_per_second` or `bytes_per_second`.
    """
    found = probes(batch_size)
    # None of what others set themselves against: the limits are of JAX, and of float32.
    if jax.default_backend() == "gpu":
        found.append(_product("large product", *_large(), jnp.bfloat16))
        first_call(found[-1].call)
    elif importlib.util.find_spec("torch"):
        found += _in_torch(sorted(set(batch_size)))
    timings = interleave({probe: probe.call for probe in found}, rounds)
    return [
        {
            "limit": probe.limit,
            "shape": probe.shape,
            "matrix_bytes": probe.matrix_bytes,
            "flops_per_second": probe.flops and probe.flops / timing.median,
            "bytes_per_second": probe.traffic and probe.traffic / timing.median,
            **timing.as_json(),
        }
        for probe, timing in timings.items()
    ]


def main() -> None:
    """Measures what the flags say, prints the table and writes the file."""
    asked = settings.values(USED)
    rows = measure(**asked)
    path = report.write("limits", asked, rows, settings.OUT.value)

    def figure(number, unit, digits=1):
        return f"{number / unit:,.{digits}f}" if number else "–"

    report.show(
        "The machine's limits",
        ["limit", "of", "matrix, KiB", "GFLOP/s", "GB/s", "spread"],
        [
            (
                row["limit"],
                row["shape"],
                figure(row["matrix_bytes"], 2**10, digits=0),
                figure(row["flops_per_second"], 1e9),
                figure(row["bytes_per_second"], 1e9),
                report.spread(row),
            )
            for row in rows
        ],
        path,
    )


if __name__ == "__main__":
    settings.run(main, USED)
