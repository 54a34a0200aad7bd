import subprocess
import sys

import jax
import pytest

from rnnzoo.devices import FEWEST_ROWS, ROWS, cores, make_cpu_devices, rows_mesh


@pytest.mark.parametrize(
    ("rows", "limit", "count"),
    [
        (1, 0, 1),
        (FEWEST_ROWS, 0, 1),
        (2 * FEWEST_ROWS, 0, 2),
        (2 * FEWEST_ROWS + 1, 0, 1),
        (2, 2, 2),
        (3, 2, 1),
        (2, 1, 1),
        (2, 9, 2),
    ],
)
def test_rows_are_shared_out_evenly(rows, limit, count):
    mesh = rows_mesh(rows, limit)
    assert (mesh.size, mesh.axis_names) == (count, (ROWS,))


def test_devices_are_made_before_jax_computes():
    code = "from rnnzoo.devices import *; make_cpu_devices(3); print(len(jax.devices()))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["3"]


def test_and_not_after():
    before = jax.devices()
    make_cpu_devices(len(before) + 1)
    assert jax.devices() == before
    assert cores() >= 1
