"""What is counted of a step agrees with counts by hand; what is measured of the machine, with itself."""

import math

import haiku as hk
import jax
import jax.numpy as jnp
import pytest

import rnnzoo
from benchmarks import limits
from benchmarks.timing import Timing
from rnnzoo import cost
from rnnzoo.model import language_model

H, D, B, V = 8, 5, 3, 7
FLOAT = 8  # bytes: the tests run in double precision


@pytest.mark.parametrize("cell, gates", [("elman", 1), ("gru", 3), ("lstm", 4)])
def test_cost_of_a_cell(cell, gates):
    counted = cost.of_cell(lambda: rnnzoo.make(cell, H), D, B)
    recurrent, of_inputs = 2 * B * H * gates * H, 2 * B * D * gates * H
    weight = H * gates * H * FLOAT
    biases = gates * H + (H if cell == "gru" else 0)  # gru: c_n
    assert counted == cost.Cost(
        parameters=(D + H) * gates * H + biases,
        forward_flops=recurrent + of_inputs,
        training_flops=3 * recurrent + 2 * of_inputs,  # the inputs have no derivative
        forward_loops=(weight,),
        training_loops=(weight, weight),
    )


def test_cost_of_a_language_model():
    counted = cost.of_language_model(lambda: rnnzoo.make("lstm", H), V, B)
    recurrent, readout = 2 * B * H * 4 * H, 2 * B * H * V  # one-hot inputs are looked up
    assert counted.forward_flops == recurrent + readout
    assert counted.training_flops == 3 * (recurrent + readout)
    assert counted.forward_loops == (H * 4 * H * FLOAT,)


def test_gru_with_the_reset_before_has_two_products():
    after, before = (
        cost.of_cell(lambda reset=reset: rnnzoo.make("gru", H, reset=reset), D, B)
        for reset in ("after", "before")
    )
    assert before.training_flops == after.training_flops
    assert before.forward_loops == after.forward_loops


def test_each_layer_is_a_loop_and_the_projections_between_are_in_none():
    counted = cost.of_cell(lambda: rnnzoo.make("elman", H, layers=3), H, B)
    assert counted.forward_loops == (H * H * FLOAT,) * 3
    assert counted.forward_flops == 2 * B * H * H * 6


@pytest.mark.parametrize("cell", rnnzoo.names())
def test_every_cell_can_be_counted(cell):
    counted = cost.of_language_model(lambda: rnnzoo.make(cell, H), V, B)
    model = language_model(lambda: rnnzoo.make(cell, H), V)
    params = jax.eval_shape(model.init, jax.random.key(0))
    assert counted.parameters == sum(a.size for a in jax.tree.leaves(params))
    assert counted.training_flops > counted.forward_flops > 0


class Nested(hk.RNNCore):
    """The state three times through a weight, by a scan inside of a checkpoint, and some dead ends."""

    def __call__(self, x, h):
        W = hk.get_parameter("W", (H, H), float, jnp.ones)
        fixed = W @ W.T  # of weights alone: once for all time steps
        x @ jnp.ones((D, 99))  # read by nobody
        scan = jax.checkpoint(lambda h: jax.lax.scan(lambda h, _: (h @ W, None), h, length=3)[0])
        h = jax.nn.relu(scan(h)) @ fixed
        return h, h

    def initial_state(self, batch_size):
        return jnp.zeros((batch_size, H))


def test_nested_equations_are_counted_as_often_as_they_run():
    counted = cost.of_cell(Nested, D, B)
    assert counted.forward_flops == 4 * 2 * B * H * H
    assert counted.training_flops == 3 * counted.forward_flops
    assert counted.forward_loops == (4 * H * H * FLOAT,)


class Convolved(hk.RNNCore):
    """A state of two channels under a convolution of width three, and a state without a circle."""

    def __call__(self, x, state):
        h, last_x = state
        h = hk.Conv1D(2, 3, with_bias=False)(h)
        return hk.Linear(4)(last_x), (h, x)

    def initial_state(self, batch_size):
        return jnp.zeros((batch_size, H, 2)), jnp.zeros((batch_size, D))


def test_convolutions_are_products_and_state_without_a_circle_is_no_loop():
    counted = cost.of_cell(Convolved, D, B)
    assert counted.forward_flops == 2 * B * H * 2 * (3 * 2) + 2 * B * D * 4
    assert counted.forward_loops == (3 * 2 * 2 * FLOAT,)


@pytest.mark.usefixtures("tiny_benchmarks")
def test_limits(run_benchmark):
    table, result = run_benchmark(limits, batch_size="2,3", rounds=2)
    assert result["benchmark"] == "limits"
    rows = [row for row in result["rows"] if "PyTorch" not in row["limit"]]
    assert [row["shape"] for row in rows] == [
        "[8, 8] × [8, 8]",
        "[4, 4] × [4, 16]",
        "[6, 4] × [4, 16]",
        "[2, 4] × [4, 16]",
        "[3, 4] × [4, 16]",
        "[1, 4] × [4, 4]",
        "[1, 8] × [8, 8]",
        "a = b + s a, 16 numbers",
    ]
    for row in rows:
        assert (row["flops_per_second"] is None) != (row["bytes_per_second"] is None)
    large, *_, memory = rows
    assert math.isclose(large["flops_per_second"], 2 * 8**3 / large["median_seconds"])
    assert math.isclose(memory["bytes_per_second"], 3 * 16 * FLOAT / memory["median_seconds"])
    assert f"{memory['bytes_per_second'] / 1e9:,.1f}" in table


@pytest.mark.usefixtures("tiny_benchmarks")
def test_products_of_pytorch_stand_beside_the_limits(run_benchmark):
    pytest.importorskip("torch")
    _, result = run_benchmark(limits, batch_size="3", rounds=2)
    peers = [row for row in result["rows"] if "PyTorch" in row["limit"]]
    ours = [row for row in result["rows"] if "product" in row["limit"] and row not in peers]
    assert [row["shape"] for row in peers] == [row["shape"] for row in ours]
    assert all(row["flops_per_second"] > 0 for row in peers)


@pytest.mark.usefixtures("tiny_benchmarks")
def test_the_loops_of_the_probes_keep_their_rows():
    """Else they would end in numbers that are slow, or are none."""
    for probe in limits.probes([3]):
        if "loop" in probe.limit or "vector" in probe.limit:
            assert (probe.call() == 1).all()


def test_limits_of_timings():
    def probe(**what):
        return limits.Probe("", str(what), lambda: None, **what)

    timings = {
        probe(flops=100): Timing((2.0,)),
        probe(flops=30): Timing((0.5,)),
        probe(traffic=80, matrix_bytes=10): Timing((1.0,)),
        probe(traffic=90, matrix_bytes=20): Timing((1.0,)),  # noise: no faster than a smaller one
        probe(traffic=40, matrix_bytes=40): Timing((1.0,)),
        probe(traffic=10**6): Timing((1.0,)),
        "another contender": Timing((1e-9,)),
    }
    machine = limits.Limits.of(timings)
    assert machine.flops_per_second == 60
    assert [machine.reading(size) for size in (5, 10, 30, 40, 99)] == [90, 90, 90, 40, 40]
    row = machine.against(flops=60, loops=(40, 45), steps=2, seconds=10.0)
    assert row["limit_seconds"] == 2 * (40 / 40 + 45 / 40)
    assert row["limit_fraction"] == row["limit_seconds"] / 10
    assert row["counted_flops"] == 120 and row["counted_bytes"] == 170
    assert machine.against(600, (40,), 1, 10.0)["limit_seconds"] == 10
    assert machine.against(600, (), 1, 10.0)["limit_bytes_per_second"] is None
