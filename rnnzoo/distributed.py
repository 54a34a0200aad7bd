"""Several processes that train one model together, on one machine or many, by JAX's own runtime.

Each process runs the same program on the same text, and its devices hold some of the batch's rows.
What they agree on goes through JAX's collectives; on CPUs these are gloo's. Process 0 is the writer:
it alone touches the run's folder, so that the others need not see its disk.

    with joined("10.0.0.1:1234", processes=2, process=0):
        ...

Without `joined` there is one process, and every function here is for free.
"""

import contextlib
import ctypes
import hashlib
import json
import os
import re
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Sharding

from rnnzoo.errors import UserError, flat, one_line_errors

START_SECONDS = 120  # to wait for all processes to start
SILENCE_SECONDS = 20  # after which a process that is not heard of counts as dead
LOST = 3  # the exit code of a process that has lost another one
_members = {"process": 0, "processes": 1}


def is_writer() -> bool:
    """Whether this process is the one that writes."""
    return _members["process"] == 0


def processes() -> int:
    """How many processes train together."""
    return _members["processes"]


@contextlib.contextmanager
def joined(
    coordinator: str | None = None,
    processes: int | None = None,
    process: int | None = None,
    detect: bool = False,
    seconds: int = START_SECONDS,
) -> Iterator[None]:
    """Joins the other processes before JAX's first computation, and leaves them at the end.

    An error ends the process at once, without JAX's own farewell: it would wait for processes that
    in their turn wait for this one.

    Args:
      coordinator: host:port, where process 0 can be reached. None, as are the next two, for a
        process that trains alone.
      processes: how many there are.
      process: which one this is, from 0.
      detect: whether JAX finds out the three by itself, as on SLURM, Kubernetes and TPU pods.
      seconds: to wait for the others.

    Raises:
      UserError: values that are incomplete or make no sense; no cluster is found; or its port is
        taken.
    """
    given = (coordinator, processes, process)
    _check(*given, detect)
    if not detect and coordinator is None:
        yield
        return
    try:
        _connect(given, seconds)
        yield
        jax.distributed.shutdown()
    except BaseException as error:
        _end(error)


def _check(coordinator, processes, process, detect: bool) -> None:
    given = [x is not None for x in (coordinator, processes, process)]
    if detect and any(given):
        raise UserError(
            "--distributed finds out the coordinator by itself: leave out --coordinator, "
            "--processes and --process, or --distributed"
        )
    if any(given) and not all(given):
        raise UserError(
            "several processes need --coordinator=host:port, --processes and --process together: "
            "give all three, or --distributed alone where JAX detects the cluster"
        )
    if not any(given):
        return
    host, _, port = coordinator.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise UserError(
            f"--coordinator={coordinator} is not host:port: give the address of process 0's machine "
            "and a port that is free there, such as 10.0.0.1:1234"
        )
    if not 0 <= process < processes:
        raise UserError(
            f"--process={process} is not one of {processes} processes: they count from 0 to "
            f"{processes - 1}"
        )


def _connect(given: tuple, seconds: int) -> None:
    where = given[0] or "the coordinator that JAX has detected"
    if given[2] == 0:
        _check_port(where)
    _on_abort(
        f"the processes did not find each other at {where} within {seconds} seconds: start all "
        "of them with the same address, which they can reach"
    )
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.config.update("jax_enable_preemption_service", False)  # `session` hears SIGTERM itself
    try:
        jax.distributed.initialize(
            *given,
            initialization_timeout=seconds,
            heartbeat_timeout_seconds=SILENCE_SECONDS,
        )
    except (ValueError, RuntimeError) as e:
        if given[0]:
            raise  # joined too late, by other code than the command line's
        raise UserError(
            f"no cluster is detected here, {flat(e, most=200)}: give --coordinator=host:port, "
            "--processes and --process"
        ) from e
    _on_abort(_lost("JAX has lost the connection, as it says above"))
    _members.update(process=jax.process_index(), processes=jax.process_count())


def _check_port(where: str) -> None:
    """Tries the port out; JAX's runtime may crash on one that is taken."""
    try:
        socket.create_server(("", int(where.rpartition(":")[2]))).close()
    except OSError as e:
        why = os.strerror(e.errno).lower()
        raise UserError(
            f"process 0 cannot listen at {where}, {why}: give a port that is free"
        ) from e


def _lost(why: str) -> str:
    return (
        f"another of the processes that train together has ended ({why}): see its own last line, "
        "and start all of them again to go on from the newest checkpoint"
    )


def _on_abort(line: str) -> None:
    """Has this line printed, and the process end, where JAX's runtime aborts the process.

    It does so, from a thread of its own in C++, when a process has died or never came. Python's own
    signal handlers would not run any more.
    """

    @ctypes.CFUNCTYPE(None, ctypes.c_int)
    def say_so(number):
        os.write(2, f"rnnzoo: {line}\n".encode())
        os._exit(LOST)

    _on_abort.kept = say_so  # for as long as C may call it
    ctypes.CDLL(None).signal(int(signal.SIGABRT), say_so)


def _end(error: BaseException) -> None:
    """Ends the process with the line and code of this error; the others will notice."""
    code = 1
    try:
        with one_line_errors():
            raise error
    except SystemExit as e:
        code = e.code
    except BaseException as e:
        if _is_of_xla(e):
            print(f"rnnzoo: {_lost(flat(e, most=200))}", file=sys.stderr)
            code = LOST
        else:
            traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _is_of_xla(error: BaseException) -> bool:
    """Whether XLA made it: compiled calls raise its status, 'UNKNOWN: Gloo …', as a ValueError too."""
    if isinstance(error, ValueError):
        return re.match(r"[A-Z_]+: ", str(error)) is not None
    return isinstance(error, jax.errors.JaxRuntimeError)


def largest(number: float) -> float:
    """The largest of the processes' numbers, on all of them."""
    if processes() == 1:
        return number
    return multihost_utils.process_allgather(np.float32(number)).max().item()


def share(value: Any) -> Any:
    """Process 0's value, which must be one for JSON, on all processes."""
    if processes() == 1:
        return value
    text = np.frombuffer(json.dumps(value).encode() if is_writer() else b"", np.uint8)
    length = int(multihost_utils.broadcast_one_to_all(np.int32(len(text))))
    padded = np.zeros(length, np.uint8)
    padded[: len(text)] = text
    return json.loads(bytes(multihost_utils.broadcast_one_to_all(padded)))


def share_arrays(read: Callable[[], Any], shapes: Any) -> Any:
    """The tree of arrays that process 0 reads, on all processes.

    Args:
      read: is called by process 0 only.
      shapes: the shapes and dtypes of what it returns.
    """
    if processes() == 1:
        return read()
    tree = read() if is_writer() else jax.tree.map(lambda a: np.zeros(a.shape, a.dtype), shapes)
    return multihost_utils.broadcast_one_to_all(tree)


def check_same(**texts: str) -> None:
    """Checks that all processes have the same; with different ones they would wait for ever.

    Raises:
      UserError: one differs; on all processes.
    """
    if processes() == 1:
        return
    for what, text in texts.items():
        digest = np.frombuffer(hashlib.sha256(text.encode()).digest(), np.uint8)
        found = multihost_utils.process_allgather(digest)
        if others := [i for i in range(processes()) if not np.array_equal(found[i], found[0])]:
            raise UserError(
                f"the {what} of process {others[0]} is not that of process 0: start all processes "
                "with the same flags, files and versions"
            )


def place(tree: Any, shardings: Any) -> Any:
    """Arrays that each process has whole, on the devices; a device gets its own part only.

    Args:
      tree: of arrays.
      shardings: of the same structure, or of its beginning.
    """
    if processes() == 1:
        return jax.device_put(tree, shardings)

    def one(sharding, below):
        arrays = jax.tree.map(np.asarray, below)
        make = lambda a: jax.make_array_from_callback(a.shape, sharding, a.__getitem__)  # noqa: E731
        return jax.tree.map(make, arrays)

    return jax.tree.map(one, shardings, tree, is_leaf=lambda x: isinstance(x, Sharding))


def whole(tree: Any) -> Any:
    """Arrays that may lie scattered over the processes' devices, whole on each process."""
    return tree if processes() == 1 else multihost_utils.process_allgather(tree, tiled=True)
