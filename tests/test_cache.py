import os
import pathlib
import subprocess
import sys

import jax

from rnnzoo import cache

PROGRAM = """
import jax
from rnnzoo import cache
cache.WORTH_KEEPING = 0
cache.MOST_BYTES = {most}
cache.keep_compiled_functions()
hits = []
jax.monitoring.register_event_listener(lambda name, **_: hits.append(name.endswith("/cache_hits")))
print(float(jax.jit(lambda x: x * 2)(1.0)), sum(hits))
"""


def run(folder, most=2**30, **environment):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(most=most)],
        env=os.environ | {"RNNZOO_CACHE": str(folder)} | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert not done.stderr
    result, hits = done.stdout.split()
    assert float(result) == 2
    return int(hits)


def kept(folder):
    return sorted((folder / cache.COMPILED).glob("*/*-cache"))


def test_compiled_functions_are_found_again_and_a_damaged_one_is_compiled(tmp_path):
    assert run(tmp_path) == 0
    assert run(tmp_path) > 0
    for path in kept(tmp_path):
        path.write_bytes(path.read_bytes()[:20])
    assert run(tmp_path) == 0


def test_a_folder_that_has_grown_too_large_is_emptied(tmp_path):
    run(tmp_path)
    assert kept(tmp_path)
    assert run(tmp_path, most=1) == 0


def test_the_users_own_cache_is_left_alone(tmp_path):
    run(tmp_path, JAX_COMPILATION_CACHE_DIR=str(tmp_path / "own"))
    assert not (tmp_path / cache.COMPILED).exists()


def test_the_cache_folder(monkeypatch, tmp_path):
    assert cache.folder(tmp_path) == tmp_path
    monkeypatch.setenv(cache.VARIABLE, "~/somewhere")
    assert cache.folder() == pathlib.Path.home() / "somewhere"
    monkeypatch.delenv(cache.VARIABLE)
    assert "rnnzoo" in str(cache.folder())
    assert jax.config.jax_compilation_cache_dir is None  # importing it has no effect
