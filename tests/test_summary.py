"""The table of speeds: what it takes from the results, and that the document shows it."""

import subprocess
from types import SimpleNamespace

import pytest

from benchmarks import summary
from rnnzoo.errors import UserError


def test_the_document_shows_the_results():
    text = summary.PAGE.read_text("utf-8")
    assert "| one layer, batch 1 | torch.nn |" in text
    assert text == summary.filled(text, summary.results(summary.COMMITTED))


def test_each_side_is_at_its_best_and_is_the_same_function():
    seconds = {"rnnzoo": 4.0, "rnnzoo, 2 devices": 2.0, "rnnzoo, reset=before": 0.1}
    seconds |= {"torch.nn.GRU, 1 thread": 6.0, "torch.nn.GRU, 2 threads": 5.0, "flax": 1.0}
    rows = [{"contender": c, "median_seconds": s, "cell": "gru"} for c, s in seconds.items()]
    assert summary.times(rows, "torch", summary.BEST, cell="gru") == 2.5
    assert summary.times(rows, "torch", summary.ONE, cell="gru") == 1.25
    assert summary.times(rows, "keras", summary.BEST, cell="gru") is None
    assert summary.times(rows, "torch", summary.BEST, cell="lstm") is None


def test_the_least_of_all_cells_is_named():
    seconds = {("elman", "rnnzoo"): 1, ("elman", "plain lax.scan"): 4, ("gru", "rnnzoo"): 2}
    seconds |= {("gru", "plain lax.scan"): 3, ("lstm", "rnnzoo"): 1, ("lstm", "plain lax.scan"): 2}
    zoo = [
        {"cell": cell, "contender": who, "batch_size": 32, "median_seconds": s}
        for (cell, who), s in seconds.items()
    ]
    assert summary.of_all(zoo) == [
        ("plain `lax.scan`, one device", "32", "3", "1.50", "`gru`", "2.0")
    ]


def test_results_that_are_not_there_are_named(tmp_path):
    with pytest.raises(UserError, match=r"job_cpu\.json is no result file .*: give --measure"):
        summary.results(tmp_path)


def test_all_is_measured_into_one_folder(tmp_path, monkeypatch):
    commands = []

    def run(command, **_):
        commands.append(command)
        return SimpleNamespace(returncode=int("benchmarks.sampling" in command))

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(UserError, match=r"benchmarks\.sampling failed"):
        summary.measure(tmp_path)
    assert [command[-1] for command in commands] == [
        f"--out={tmp_path}/{name}_cpu.json" for name in ("job", "layers", "sampling")
    ]
