import copy
import json
import pathlib
import subprocess
import sys

import pytest

from benchmarks import compare

ROOT = pathlib.Path(__file__).parents[1]


def row(cell, median, low, high, **more):
    figures = {"median_seconds": median, "quartiles_seconds": [low, high]}
    return {"cell": cell, "batch_size": 1, "peak_bytes": 7, "speedup": 1.5, **figures, **more}


OLD = {
    "benchmark": "training_step",
    "date": "2026-01-02T03:04:05+00:00",
    "commit": "0123456789abcdef-dirty",
    "machine": {"cpu": "A", "versions": {"jax": "1", "torch": None}, "load_average_before": 0.1},
    "settings": {"rounds": 5},
    "rows": [row("gru", 0.010, 0.009, 0.011), row("lstm", 0.020, 0.019, 0.021)],
}


@pytest.fixture
def run(tmp_path):
    """The comparison of results that are first written to files, or are text to be written."""

    def run(*results):
        paths = [tmp_path / f"{name}.json" for name in ("old", "new")[: len(results)]]
        for path, result in zip(paths, results, strict=True):
            text = result if isinstance(result, str) else json.dumps(result)
            path.write_text(text, encoding="utf-8")
        compare.main(["compare", *map(str, paths)])

    return run


def changed(**entries):
    return copy.deepcopy(OLD) | entries


def test_rows_side_by_side(run, capsys):
    rows = [
        row("lstm", 0.005, 0.004, 0.006, peak_bytes=9, parameters=3, compile_seconds=None),
        row("gru", 0.0105, 0.010, 0.012),
        row("elman", 1.0, 1.0, 1.0),
    ]
    run(OLD, changed(rows=rows))
    shown = capsys.readouterr()
    assert shown.err == ""
    lines = shown.out.splitlines()
    gru, lstm = (next(line for line in lines if cell in line) for cell in ("gru", "lstm"))
    assert "10.000" in gru and "10.500" in gru and "1.05" in gru and "slower" not in gru
    assert "20.000" in lstm and "5.000" in lstm and "0.25" in lstm and "faster" in lstm
    assert "one of the files only: 1" in lines[-1]
    assert "0123456789-dirty of 2026-01-02" in lines[0]


def test_a_difference_counts_only_outside_of_both_spreads():
    old = row("gru", 1.0, 0.9, 1.1)
    assert compare.verdict(old, row("gru", 1.2, 1.15, 1.3)) == "slower"
    assert compare.verdict(old, row("gru", 1.2, 0.95, 1.3)) == "–"  # the new spread holds the old
    assert compare.verdict(old, row("gru", 1.05, 1.04, 1.06)) == "–"  # the old one holds the new


def test_what_differs_is_said_in_one_line(run, capsys):
    machine = {"cpu": "B", "versions": {"jax": "2", "torch": None}, "load_average_before": 3.0}
    run(OLD, changed(machine=machine, settings={"rounds": 5, "cells": ["all"]}))
    expected = "warning: not measured alike: cpu, versions.jax, settings.cells\n"
    assert capsys.readouterr().err == expected


@pytest.mark.parametrize(
    "results, message",
    [
        ((OLD, "no JSON"), "new.json is no JSON"),
        ((OLD, [1]), "new.json is no result of a benchmark"),
        ((OLD, {"rows": []}), "new.json is no result of a benchmark"),
        ((OLD, changed(rows=[{"cell": "gru"}])), "new.json holds no times"),
        ((OLD, changed(benchmark="exercise")), "different benchmarks, training_step and exercise"),
        ((OLD, changed(rows=[row("elman", 1.0, 1.0, 1.0)])), "agrees in cell, batch_size"),
        ((OLD, changed(rows=OLD["rows"] + OLD["rows"][:1])), "cannot be matched"),
    ],
)
def test_mistakes_are_one_line(run, results, message):
    with pytest.raises(SystemExit) as error:
        run(*results)
    assert error.value.code.startswith("error: ") and message in error.value.code
    assert "\n" not in error.value.code


@pytest.mark.parametrize(
    "arguments, message",
    [(["absent.json", "absent.json"], "absent.json cannot be read"), ([], "give two result files")],
)
def test_from_the_command_line(arguments, message):
    command = [sys.executable, "-m", "benchmarks.compare", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert message in done.stderr + done.stdout
    assert "Traceback" not in done.stderr
