"""Each benchmark in its smallest form, and the check that its contenders compute one function."""

import math
import pathlib
import subprocess
import sys

import jax
import numpy as np
import pytest
from absl import flags
from absl.testing import flagsaver

import rnnzoo
from benchmarks import (
    exercise,
    memory,
    report,
    settings,
    steps_per_second,
    timing,
    training_step,
    workloads,
)
from benchmarks.peers import haiku
from rnnzoo.errors import UserError
from rnnzoo.model import language_model

ROOT = pathlib.Path(__file__).parents[1]
TINY = {"hidden_size": 4, "truncation": 3, "rounds": 2}

pytestmark = pytest.mark.usefixtures("tiny_benchmarks")


def check_result(result, benchmark, **asked):
    assert result["benchmark"] == benchmark
    assert asked.items() <= result["settings"].items()
    assert {"date", "commit"} <= result.keys()
    machine = result["machine"]
    assert machine["cpu"] and machine["cores"] >= 1 and machine["platform"] == "cpu"
    assert machine["versions"].keys() >= {"jax", "jaxlib", "dm-haiku", "torch"}
    assert machine["versions"]["jax"] and "XLA_FLAGS" in machine["environment"]


def check_times(row):
    low, high = row["quartiles_seconds"]
    assert 0 < low <= row["median_seconds"] <= high
    assert row["first_call_seconds"] > 0


def test_contenders_take_turns():
    order = []
    work = {name: lambda name=name: order.append(name) for name in "ABC"}
    timings = timing.interleave(work, rounds=4)
    assert "".join(order) == "ABC" * 5  # one round to see how long a call takes
    assert all(len(t.samples) == 4 for t in timings.values())


def test_short_calls_fill_a_sample(monkeypatch):
    monkeypatch.setattr(timing, "SAMPLE_SECONDS", 0.01)
    calls = []
    timings = timing.interleave({"short": lambda: calls.append(0)}, rounds=2)
    assert len(calls) > 21
    assert timings["short"].median < 0.001  # a call's time, not the sample's


def test_median_and_quartiles():
    figures = timing.Timing((5.0, 1.0, 2.0, 100.0, 3.0)).as_json()
    assert figures == {"median_seconds": 3.0, "quartiles_seconds": [2.0, 5.0]}
    assert report.spread(figures) == "±50%"


def test_steps_per_second(run_benchmark):
    sizes = {**TINY, "vocabulary_size": 5}
    table, result = run_benchmark(steps_per_second, cells="elman", batch_size="2", **sizes)
    check_result(result, "steps_per_second", cells=["elman"], batch_size=[2], **sizes)
    assert [(row["cell"], row["work"]) for row in result["rows"]] == [
        ("elman", work) for work in ("forward", "training", "sampling")
    ]
    for row in result["rows"]:
        check_times(row)
        T = steps_per_second.DRAWN if row["work"] == "sampling" else 3
        assert math.isclose(row["steps_per_second"], T / row["median_seconds"])
        assert math.isclose(row["characters_per_second"], 2 * row["steps_per_second"])
        assert f"{row['steps_per_second']:,.0f}" in table
        assert row["parameters"] == 5 * 4 + 4 * 4 + 4 + 4 * 5 + 5
    assert "elman" in table


def test_steps_per_second_tells_compilation_memory_and_limit(run_benchmark):
    sizes = {**TINY, "vocabulary_size": 5}
    table, result = run_benchmark(steps_per_second, cells="elman", batch_size="2", **sizes)
    forward, training, sampling = result["rows"]
    for row in (forward, training):
        parts = row["compile_seconds"] + row["first_execution_seconds"]
        assert math.isclose(row["first_call_seconds"], parts)
        assert math.isclose(row["limit_fraction"], row["limit_seconds"] / row["median_seconds"])
    assert f"{training['limit_fraction']:.0%}" in table
    assert training["counted_bytes"] == 2 * forward["counted_bytes"] == 2 * 3 * (4 * 4) * 8
    # The parameters, Adam's two moments, in double precision: at least that much.
    assert training["peak_bytes"] > 3 * 8 * training["parameters"]
    assert forward["peak_bytes"] < training["peak_bytes"]
    assert "limit_fraction" not in sampling and sampling["compile_seconds"] is None


def test_all_cells_are_those_registered(monkeypatch):
    """A plugin's cell too, since the registry is asked."""
    measured = []
    monkeypatch.setattr(
        steps_per_second, "works", lambda model, *sizes: measured.append(model) or {}
    )
    monkeypatch.setattr(rnnzoo, "names", lambda: ["elman", "gru"])
    assert steps_per_second.measure(["all"], 2, 2, 3, [1], 1) == []
    assert len(measured) == 2


def test_training_step(run_benchmark, checked_losses, monkeypatch):
    monkeypatch.setattr(haiku, "TWINS", {"lstm": haiku.TWINS["lstm"]})
    table, result = run_benchmark(training_step, batch_size="2", vocabulary_size=5, **TINY)
    check_result(result, "training_step", batch_size=[2], **TINY)
    contenders = ["rnnzoo", "hk core, rnnzoo.unroll", training_step.PEER]
    assert [row["contender"] for row in result["rows"]] == contenders
    peer = result["rows"][-1]
    assert peer["speedup"] == 1
    for row in result["rows"]:
        check_times(row)
        assert row["cell"] == "lstm" and row["batch_size"] == 2
        assert math.isclose(row["characters_per_second"], 2 * 3 / row["median_seconds"])
        assert math.isclose(row["speedup"], peer["median_seconds"] / row["median_seconds"])
        assert f"{row['speedup']:.2f}" in table
    check_losses_agree(*checked_losses, contenders)


def check_losses_agree(losses, contenders, tolerance=1e-10):
    """In double precision, over all updates, far below the benchmark's own tolerance."""
    assert list(losses) == contenders
    for found in losses.values():
        np.testing.assert_allclose(found, losses[contenders[0]], rtol=tolerance)


@pytest.mark.parametrize("cell", haiku.TWINS)
def test_twins_compute_the_same_function(cell):
    H, T, B, V = 4, 5, 2, 7
    twin = haiku.TWINS[cell]
    ours = language_model(lambda: rnnzoo.make(cell, H, **twin.options), V)
    peer = haiku.language_model(lambda: twin.make_core(H), V)
    params = jax.jit(ours.init)(jax.random.key(0))
    params = jax.tree.map(lambda a: a + 0.1, params)  # biases start from zero
    ids = workloads.random_piece(T, B, V)

    def loss(model, params):
        return workloads.loss(model, params, ids, model.initial_state(params, B))[0]

    found = loss(peer, twin.from_rnnzoo(params))
    np.testing.assert_allclose(found, loss(ours, params), rtol=1e-12)


def test_another_function_is_no_peer(monkeypatch):
    steps = {"ours": lambda: 2.0, training_step.PEER: lambda: 2.001}
    monkeypatch.setattr(training_step, "contenders", lambda *sizes: steps)
    with pytest.raises(ArithmeticError, match=r"hk core.* and ours do not compute the same"):
        training_step.measure(4, 3, 5, [2], 1)


@pytest.mark.slow
def test_exercise(run_benchmark, checked_losses, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("Hohoho, hohoho!\n", encoding="utf-8")
    asked = {**TINY, "max_subsequence_length": 7}  # pieces of 3, 3 and 1
    table, result = run_benchmark(exercise, corpus=text, **asked)
    check_result(result, "exercise", corpus=str(text), **asked)
    contenders = ["rnnzoo", "one jit per piece", "the exercise"]
    assert [row["contender"] for row in result["rows"]] == contenders
    ours = result["rows"][0]
    for row in result["rows"]:
        check_times(row)
        assert row["contender"] in table
        assert math.isclose(row["times_rnnzoo"], row["median_seconds"] / ours["median_seconds"])
        assert math.isclose(row["characters_per_second"], 7 / row["median_seconds"])
    check_losses_agree(*checked_losses, contenders)


def test_exercise_refuses_a_text_that_is_too_short(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("Hoho", encoding="utf-8")
    with pytest.raises(UserError, match="max_subsequence_length 7"):
        exercise.measure(str(text), 4, 3, 7, 1)


def test_memory(run_benchmark, tmp_path):
    lengths = [64, 1024]
    table, result = run_benchmark(
        memory, cell="elman", hidden_size=4, batch_size="2", lengths="1024,64"
    )
    check_result(result, "memory", cell="elman", hidden_size=4, batch_size=[2])
    size = {(row["strategy"], row["length"]): row["temporary_bytes"] for row in result["rows"]}
    assert list(size) == [(strategy, T) for strategy in memory.STRATEGIES for T in lengths]
    assert "T=1,024" in table and "chunked" in table
    assert (tmp_path / "results" / "out.png").read_bytes().startswith(b"\x89PNG")
    # Sixteen times the length takes sixteen times the memory, in chunks four times.
    assert size["auto", 1024] > 12 * size["auto", 64]
    assert size["chunked", 1024] < 8 * size["chunked", 64]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["steps_per_second", "--cells=elmn"], "error: no cell is named 'elmn': did you mean"),
        (["memory", "--out=plot.png"], "error: --out=plot.png: give the path of a .json file"),
        (["layers", "--peers=keraz"], "no peer is named 'keraz': did you mean 'keras'"),
        (["exercise", "--batch_size=2"], "--batch_size has no meaning for this benchmark"),
    ],
)
def test_mistakes_are_one_line(arguments, message):
    name, *rest = arguments
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", *rest],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert message in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


def test_settings_are_read_from_flags(run_benchmark):
    with flagsaver.as_parsed(batch_size="3,5", rounds="7"):
        asked = settings.values((settings.BATCH_SIZE, settings.ROUNDS))
    assert asked == {"batch_size": [3, 5], "rounds": 7}


@pytest.mark.parametrize("batch_size", ["0", "1,x", ""])
def test_batch_sizes_are_whole_numbers(run_benchmark, batch_size):
    with pytest.raises(flags.IllegalFlagValueError, match="whole numbers of at least 1"):
        with flagsaver.as_parsed(batch_size=batch_size):
            pass
