import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnzoo.devices import (
    FEWEST_ROWS,
    ROWS,
    cores,
    make_cpu_devices,
    rows_mesh,
    value_and_grad_by_rows,
)


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


@pytest.mark.parametrize(
    ("flags", "count"), [("", 3), ("--xla_force_host_platform_device_count=4", 4)]
)
def test_devices_are_made_before_jax_computes(flags, count):
    code = "from rnnzoo.devices import *; make_cpu_devices(3); print(len(jax.devices()))"
    run = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"XLA_FLAGS": flags},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.split() == [str(count)]


def test_and_not_after():
    before = jax.devices()
    make_cpu_devices(len(before) + 1)
    assert jax.devices() == before
    assert cores() >= 1


@pytest.mark.parametrize("limit", [1, 2])
def test_gradients_by_rows_are_those_of_one_device(limit):
    w, xs = (jax.random.normal(jax.random.key(i), s) for i, s in enumerate([(3, 5), (4, 6, 3)]))

    def loss(w, xs):
        return jnp.mean(jnp.tanh(xs @ w) ** 2)

    mesh = rows_mesh(6, limit)
    assert mesh.size == limit
    found = jax.jit(value_and_grad_by_rows(loss, mesh))(w, xs)
    expected = jax.value_and_grad(loss, (0, 1))(w, xs)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
