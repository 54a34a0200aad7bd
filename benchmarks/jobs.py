"""Work for all cores at once: each job in a process of its own, on a core of its own.

A small model with few rows cannot use two cores, and two of them can.
"""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any

from absl import flags

from rnnzoo.devices import cores
from rnnzoo.host_memory import keep_freed_memory

JOBS = flags.DEFINE_integer(
    "jobs", None, "How many jobs run side by side, each on one core; all cores if unset.",
    lower_bound=1,
)  # fmt: skip


def side_by_side(
    function: Callable[..., Any], jobs: Sequence[tuple], most: int | None = None
) -> Iterator[Any]:
    """Calls a function with each of the jobs' arguments, and gives the results as they come.

    Args:
      function: importable, since it is called in processes that begin from nothing.
      jobs: its arguments, job by job; they begin in this order.
      most: how many run at once; None for as many as there are cores.

    Raises:
      Exception: what a job raised; the others are stopped.
    """
    own = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [None] * cores()
    most = min(most or len(own), len(own), max(1, len(jobs)))
    spawn = multiprocessing.get_context("spawn")
    with spawn.Manager() as manager:
        free = manager.Queue()
        for core in own[:most]:
            free.put(core)
        with ProcessPoolExecutor(most, spawn, max_tasks_per_child=1) as pool:
            futures = [pool.submit(_alone, free, function, job) for job in jobs]
            try:
                for future in as_completed(futures):
                    yield future.result()
            except BaseException:  # a job failed, or the whole is stopped: no process stays behind
                for process in multiprocessing.active_children():
                    process.terminate()
                raise


def _alone(free, function, arguments):
    core = free.get()
    try:
        if core is not None:
            os.sched_setaffinity(0, {core})  # before JAX counts the cores
        keep_freed_memory()
        return function(*arguments)
    finally:
        free.put(core)
