"""The devices that share out the rows of a batch, of this process and of others.

Of a CPU, each core is one. Within one XLA device, the small products of a recurrent step do not scale
over the cores, which would have to wait for each other at every step. As devices of their own, each
with its share of the rows, they meet once in a piece of text, when the gradients are summed.
"""

import os
from collections.abc import Callable

import jax
import numpy as np
from jax import lax
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from rnnzoo.errors import UserError

ROWS = "rows"  # the mesh axis along which a batch is shared out
FEWEST_ROWS = 16  # with fewer, a core waits for the weights, of which each has to read all


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def make_cpu_devices(count: int = 0) -> None:
    """Lets JAX see a CPU as several devices, which is possible only before its first computation.

    Where XLA_FLAGS says how many, such as more than there are cores for a test, it stays so.

    Args:
      count: how many; 0 for one per core.
    """
    if "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", ""):
        return
    try:
        jax.config.update("jax_num_cpu_devices", count or cores())
    except RuntimeError:  # JAX is at work already, with the devices that it found
        pass


def rows_mesh(rows: int, limit: int = 0) -> Mesh:
    """The devices that share out the rows evenly: as many of each process as pay, at least one.

    Args:
      rows: B, the rows of a batch.
      limit: the largest number of a process's CPU devices; 0 for as many as have `FEWEST_ROWS`
        each. Other platforms' devices always follow that rule: the fewer rows one has, the more of
        its time goes by in waiting.

    Raises:
      UserError: the processes cannot have equally many rows.
    """
    processes = jax.process_count()
    own, rest = divmod(rows, processes)
    if rest:
        raise UserError(
            f"train.batch_size {rows} cannot be shared out evenly over {processes} processes: "
            f"make it a multiple of {processes}"
        )
    devices = [[d for d in jax.devices() if d.process_index == i] for i in range(processes)]
    if jax.default_backend() != "cpu":
        limit = 0
    most = min(limit or own // FEWEST_ROWS, *map(len, devices))
    count = next((n for n in range(most, 1, -1) if own % n == 0), 1)
    return Mesh(np.array([d for of_one in devices for d in of_one[:count]]), (ROWS,))


def value_and_grad_by_rows(loss: Callable, mesh: Mesh) -> Callable:
    """`jax.value_and_grad(loss, (0, 1))`, with the rows shared out over the mesh's devices.

        mesh = rows_mesh(xs.shape[1])
        loss, (d_params, d_xs) = jax.jit(value_and_grad_by_rows(loss, mesh))(params, xs)

    The devices meet once, when the gradients by the parameters are averaged; the results are those
    of one device, to rounding.

    Args:
      loss: (params, xs) -> the mean over the rows of xs, each of which counts for itself. The leaves
        of xs have the shape [T, B, ...].
      mesh: from `rows_mesh(B)`.
    """

    def share(params, xs):
        value, (d_params, d_xs) = jax.value_and_grad(loss, (0, 1))(params, xs)
        value, d_params = lax.pmean((value, d_params), ROWS)
        return value, (d_params, jax.tree.map(lambda d: d / mesh.size, d_xs))

    rows = P(None, ROWS)
    return jax.shard_map(
        share, mesh=mesh, in_specs=(P(), rows), out_specs=(P(), (P(), rows)), check_vma=False
    )
