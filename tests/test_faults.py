"""Faults that are real: processes killed at random moments, a full disk, a folder without write access.

    python -m pytest -m fault

runs all, in about a quarter of an hour; the plain run has a few kills only.
"""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from rnnzoo import config as configs
from rnnzoo import session
from rnnzoo.checkpoint import Series

TEXT = "the cat sat on the mat. " * 40
CONFIG = """
def get_config():
    return {
        "cell": {"name": "elman", "hidden_size": 8},
        "corpus": {"path": "text.txt", "split": (0.8, 0.2, 0)},
        "train": {"epochs": 50, "batch_size": 2, "truncation": 8, "max_subsequence_length": 40,
                  "log_every": 20, "evaluate_every": 10, "save_every": 1, "keep": 2},
        "sample": {"length": 5},
    }
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder with a run that nothing disturbed, and how long it took after its start."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "text.txt").write_text(TEXT)
    (folder / "tiny.py").write_text(CONFIG)
    process = start(folder)
    wait_for(folder / "run/checkpoints", process)
    begun = time.monotonic()
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return folder, time.monotonic() - begun


def start(folder, *words, **options):
    line = [sys.executable, "-m", "rnnzoo.main", "--config=tiny.py", "--workdir=run", *words]
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": os.pathsep.join(sys.path)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(line, cwd=folder, env=environment, **{**pipes, **options})


def wait_for(path, process, seconds=120):
    """Waits until the path exists, or the process has ended."""
    until = time.monotonic() + seconds
    while not path.exists() and process.poll() is None:
        assert time.monotonic() < until, "it did not start"
        time.sleep(0.01)


def losses(folder):
    rows = [json.loads(line) for line in (folder / "run/metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if k != "chars_per_second"} for row in rows]


def same_end(one, other):
    assert losses(one) == losses(other)
    ends = []
    for folder in (one, other):
        config = configs.load(folder / "run/config.json")
        config.corpus.path = str(folder / config.corpus.path)
        shapes = session.prepare(config).trainer.saved_shapes()
        with jax.enable_x64(False):
            found = Series(folder / "run/checkpoints", 1).newest()
            ends.append({name: found.restore(name, _float32(shapes[name])) for name in shapes})
    jax.tree.map(np.testing.assert_array_equal, *ends)


def _float32(shapes):
    """The shapes in the types of a process that computes in single precision."""
    types = {np.dtype("float64"): np.float32, np.dtype("int64"): np.int32}
    return jax.tree.map(
        lambda s: jax.ShapeDtypeStruct(s.shape, types.get(np.dtype(s.dtype), s.dtype)), shapes
    )


def survives(whole, folder, moments):
    """Kills a training at these moments, in seconds after its first checkpoint, and lets it end."""
    undisturbed, _ = whole
    for name in ("text.txt", "tiny.py"):
        (folder / name).write_bytes((undisturbed / name).read_bytes())
    for moment in moments:
        process = start(folder)
        wait_for(folder / "run/checkpoints", process)
        time.sleep(moment)
        process.kill()
        process.communicate()
    last = start(folder)
    _, errors = last.communicate(timeout=300)
    assert last.returncode == 0, errors
    same_end(undisturbed, folder)


def test_a_training_killed_twice_ends_the_same(whole, tmp_path):
    survives(whole, tmp_path, [0.3, 1.1])


@pytest.mark.fault
@pytest.mark.parametrize("seed", range(10))
def test_killed_at_fifty_random_moments(whole, tmp_path, seed):
    """Ten trainings, five kills each, at any moment from the start of the process to its end."""
    moments = random.Random(seed)
    survives(whole, tmp_path, [moments.uniform(0, whole[1]) for _ in range(5)])


@pytest.mark.fault
@pytest.mark.parametrize("seed", range(5))
def test_killed_while_it_starts(whole, tmp_path, seed):
    undisturbed, _ = whole
    for name in ("text.txt", "tiny.py"):
        (tmp_path / name).write_bytes((undisturbed / name).read_bytes())
    process = start(tmp_path)
    time.sleep(random.Random(seed).uniform(0.5, 6))
    process.kill()
    process.communicate()
    survives(whole, tmp_path, [])


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.fault)]
)
def test_a_signal_saves_and_says_so(whole, tmp_path, number):
    undisturbed, _ = whole
    for name in ("text.txt", "tiny.py"):
        (tmp_path / name).write_bytes((undisturbed / name).read_bytes())
    process = start(tmp_path)
    wait_for(tmp_path / "run/checkpoints", process)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert errors.startswith("rnnzoo: stopped ") and errors.count("\n") == 1
    survives(whole, tmp_path, [])


@pytest.mark.fault
def test_two_processes_in_one_folder(whole, tmp_path):
    undisturbed, _ = whole
    for name in ("text.txt", "tiny.py"):
        (tmp_path / name).write_bytes((undisturbed / name).read_bytes())
    first = start(tmp_path)
    wait_for(tmp_path / "run/checkpoints", first)
    os.kill(first.pid, signal.SIGSTOP)
    second = start(tmp_path)
    _, errors = second.communicate(timeout=120)
    first.kill()
    first.communicate()
    assert second.returncode == 2 and "another process trains in 'run'" in errors
    survives(whole, tmp_path, [])  # a dead process holds nothing


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small file system needs a privileged user")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk_leaves_the_checkpoint_before(whole, small_disk):
    undisturbed, _ = whole
    for name in ("text.txt", "tiny.py"):
        (small_disk / name).write_bytes((undisturbed / name).read_bytes())
    process = start(small_disk)
    wait_for(small_disk / "run/checkpoints", process)
    time.sleep(0.5)
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file:
        with contextlib.suppress(OSError):
            while True:
                file.write(b"x" * 1024)
    _, errors = process.communicate(timeout=120)
    *_, last = errors.splitlines()  # if orbax was in the middle of it, its threads have printed too
    assert process.returncode == 2 and "No space left" in last and last.startswith("rnnzoo: "), (
        errors
    )
    assert Series(small_disk / "run/checkpoints", 1).newest() is not None
    filler.unlink()
    survives(whole, small_disk, [])


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only to a privileged user")
def test_a_folder_without_write_access(whole, tmp_path):
    (tmp_path / "text.txt").write_text(TEXT)
    (tmp_path / "tiny.py").write_text(CONFIG)
    tmp_path.chmod(0o500)
    process = start(tmp_path)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2 and "cannot be written" in errors
