"""Several real processes on this machine, which find each other on loopback."""

import json
import math
import os
import re
import signal
import socket
import subprocess
import sys
import time

import jax
import pytest

from rnnzoo import distributed
from rnnzoo.errors import UserError

CONFIG = """
def get_config():
    return {
        "cell": {"name": "gru", "hidden_size": 8},
        "corpus": {"path": "text.txt", "split": (0.8, 0.2, 0)},
        "train": {"epochs": 20, "batch_size": 8, "truncation": 8, "max_subsequence_length": 40,
                  "log_every": 10, "evaluate_every": 10, "save_every": 1},
        "sample": {"length": 5},
    }
"""
SECONDS = 240  # until a process is given up on a busy machine
# What JAX's transport prints; its threads write it in pieces, which mix.
GLOO = re.compile(
    r"\[Gloo\] Rank|is connected to|peer ranks\.|Expected number of connected peer ranks is :|\d|\s"
)


def start(folder, *words, workdir="run", **environment):
    """A training in the folder."""
    line = [sys.executable, "-m", "rnnzoo.main", "--config=tiny.py", f"--workdir={workdir}", *words]
    environment = {"PYTHONPATH": os.pathsep.join(sys.path), "XLA_FLAGS": ""} | environment
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(line, cwd=folder, env=os.environ | environment, **pipes)


def workdir(process):
    """The folder that a process is told of: all but the first are not to touch theirs."""
    return "run" if process == 0 else f"other{process}"


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def start_together(folder, count, *words):
    """So many processes, which are told where they find each other."""
    address = [f"--coordinator=127.0.0.1:{free_port()}", f"--processes={count}"]
    return [
        start(folder, *address, f"--process={i}", *words, workdir=workdir(i)) for i in range(count)
    ]


def ended(process, code=0):
    """What it printed; checks the code it ended with."""
    out, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == code, errors
    return out, errors


def said(errors):
    """Our own lines; JAX's runtime prints more, also after them."""
    return "\n".join(line for line in errors.splitlines() if line.startswith("rnnzoo: "))


def new(folder):
    folder.mkdir(exist_ok=True)
    (folder / "text.txt").write_text("the cat sat on the mat. " * 40)
    (folder / "tiny.py").write_text(CONFIG)
    return folder


def losses(folder):
    rows = [json.loads(line) for line in (folder / "run/metrics.jsonl").read_text().splitlines()]
    return [[row["loss"], row.get("validation_loss", 0)] for row in rows]


def same_losses(folder, expected):
    found = losses(folder)
    assert len(found) == len(expected) == 20
    for one, other in zip(found, expected, strict=True):
        assert one == pytest.approx(other, rel=0, abs=1e-5)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The losses of one process with one device."""
    folder = new(tmp_path_factory.mktemp("alone"))
    ended(start(folder, "--config.cpu_devices=1"))
    return losses(folder)


SLICES = "--config.train.shard_optimizer"


@pytest.mark.parametrize("words", [(), (SLICES,)], ids=["whole", "slices"])
def test_one_process_with_four_devices(alone, tmp_path, words):
    four = "--xla_force_host_platform_device_count=4"
    out, _ = ended(start(new(tmp_path), "--config.cpu_devices=4", *words, XLA_FLAGS=four))
    assert "for 4 devices" in out
    same_losses(tmp_path, alone)


def test_two_processes_with_two_devices_each(alone, tmp_path):
    first, second = start_together(new(tmp_path), 2, "--config.cpu_devices=2", SLICES)
    (out, _), (silence, _) = ended(first), ended(second)
    assert "for 4 devices of 2 processes" in out and "epoch 20/20" in out
    assert not GLOO.sub("", silence)
    assert {p.name for p in tmp_path.iterdir()} == {"run", "text.txt", "tiny.py"}
    same_losses(tmp_path, alone)


def wait_for_checkpoint(folder, process):
    until = time.monotonic() + SECONDS
    while not any((folder / "run/checkpoints").glob("*[0-9]")) and process.poll() is None:
        assert time.monotonic() < until, "it did not start"
        time.sleep(0.01)


@pytest.mark.parametrize("victim", [1, pytest.param(0, marks=pytest.mark.fault)])
def test_a_killed_process_ends_the_other_and_one_alone_goes_on(alone, tmp_path, victim):
    processes = start_together(new(tmp_path), 2)
    wait_for_checkpoint(tmp_path, processes[0])
    processes[victim].kill()
    begun = time.monotonic()
    _, errors = ended(processes[1 - victim], distributed.LOST)
    assert time.monotonic() - begun < 60
    assert said(errors).startswith("rnnzoo: another of the processes that train together has ended")
    ended(processes[victim], -signal.SIGKILL)
    out, _ = ended(start(tmp_path))  # now a single one
    assert "resumed from run/checkpoints/" in out
    same_losses(tmp_path, alone)


@pytest.mark.parametrize(
    "error, code, line",
    [
        (jax.errors.JaxRuntimeError("INTERNAL: x"), distributed.LOST, "rnnzoo: another of the"),
        (ValueError("UNKNOWN: Gloo AllGather failed"), distributed.LOST, "rnnzoo: another of the"),
        (ValueError("a mistake of ours"), 1, "Traceback"),
        (UserError("a mistake of yours"), 2, "rnnzoo: a mistake of yours"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_code_says_whether_another_process_was_lost(monkeypatch, capsys, error, code, line):
    codes = []
    monkeypatch.setattr(os, "_exit", codes.append)
    distributed._end(error)
    assert codes == [code]
    assert capsys.readouterr().err.startswith(line)


@pytest.mark.fault
def test_a_signal_to_one_stops_all_and_more_go_on(alone, tmp_path):
    process = start(new(tmp_path))
    wait_for_checkpoint(tmp_path, process)
    process.kill()
    process.communicate()
    first, second = start_together(tmp_path, 2)
    length = len((tmp_path / "run/metrics.jsonl").read_text())
    until = time.monotonic() + SECONDS
    while len((tmp_path / "run/metrics.jsonl").read_text()) <= length and first.poll() is None:
        assert time.monotonic() < until
        time.sleep(0.01)
    second.terminate()
    for process in (first, second):
        _, errors = ended(process, 143)
        assert "rnnzoo: stopped " in said(errors) and "saved in run/checkpoints" in said(errors)
    for process in start_together(tmp_path, 2):
        ended(process)
    same_losses(tmp_path, alone)


def test_processes_that_slurm_started_find_each_other_and_their_difference(tmp_path):
    """JAX takes the port from the job's number: 61440 and its last 12 bits."""
    environment = {
        "SLURM_JOB_ID": str(free_job()),
        "SLURM_STEP_NODELIST": "localhost",
        "SLURM_NTASKS": "2",
    }
    new(tmp_path)
    processes = [
        start(
            tmp_path,
            "--distributed",
            f"--config.train.seed={i}",
            workdir=workdir(i),
            SLURM_PROCID=str(i),
            SLURM_LOCALID=str(i),
            **environment,
        )
        for i in range(2)
    ]
    for process in processes:
        _, errors = ended(process, 2)
        assert "the config of process 1 is not that of process 0" in said(errors)


def free_job():
    """A job's number whose port is free."""
    for job in range(os.getpid(), os.getpid() + 4096):
        with socket.socket() as free:
            if free.connect_ex(("127.0.0.1", 61440 + job % 4096)):
                return job
    raise OSError("no port is free")


def test_a_process_that_nobody_joins_says_so():
    code = (
        "from rnnzoo.distributed import joined\nwith joined('127.0.0.1:9', 2, 1, seconds=2): pass"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == distributed.LOST
    assert said(run.stderr).startswith("rnnzoo: the processes did not find each other at")


def test_no_cluster_and_a_port_that_is_taken_are_told():
    code = "from rnnzoo.distributed import joined\nwith joined({}): pass"
    run = [sys.executable, "-c", code.format("detect=True")]
    errors = subprocess.run(run, capture_output=True, text=True).stderr
    assert errors.startswith("rnnzoo: no cluster is detected here") and errors.count("\n") == 1
    with socket.socket(socket.AF_INET6) as taken:
        taken.bind(("::", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        run = [sys.executable, "-c", code.format(f"{address!r}, 2, 0")]
        errors = subprocess.run(run, capture_output=True, text=True).stderr
    assert said(errors).startswith(f"rnnzoo: process 0 cannot listen at {address}")


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (("a:1", 2, None), "need --coordinator=host:port, --processes and --process together"),
        ((None, None, 0), "need --coordinator=host:port, --processes and --process together"),
        (("a", 2, 0), "--coordinator=a is not host:port"),
        (("a:x", 2, 0), "--coordinator=a:x is not host:port"),
        (("a:70000", 2, 0), "--coordinator=a:70000 is not host:port"),
        (("a:1", 2, 2), "--process=2 is not one of 2 processes: they count from 0 to 1"),
        (("a:1", 2, 0, True), "--distributed finds out the coordinator by itself"),
    ],
)
def test_values_that_make_no_sense(given, line):
    with pytest.raises(UserError, match=line), distributed.joined(*given):
        pass


def test_a_process_alone_is_the_writer_and_agrees_with_itself():
    with distributed.joined():
        assert distributed.is_writer() and distributed.processes() == 1
    assert distributed.largest(2) == 2 and distributed.share({"a": [1]}) == {"a": [1]}
    assert math.isinf(distributed.largest(math.inf))
