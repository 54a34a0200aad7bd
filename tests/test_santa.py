"""The board of Santa Claus: its text, rows, order and documents."""

import json
import math
import os

import pytest

from benchmarks import jobs
from benchmarks.santa import __main__ as santa
from benchmarks.santa import board, document, work
from rnnzoo import config as configs
from rnnzoo.errors import UserError

BOOK = "he laughed and the children danced in the snow. " * 60
FILE = f"No one\n\n*** START OF THE BOOK ***\n{BOOK}\n\nEnd of the Project Gutenberg EBook\nLicence"


def test_the_book_is_read_without_its_licence(tmp_path):
    (tmp_path / "book.txt").write_text(FILE)
    text = work.read(str(tmp_path / "book.txt"))
    assert text.found.text == BOOK.strip()
    assert len(text.train) + len(text.validation) == len(BOOK.strip())
    (tmp_path / "other.txt").write_text(BOOK)
    assert work.read(str(tmp_path / "other.txt")).found.text == BOOK


def test_a_character_that_only_the_last_tenth_has_is_unknown(tmp_path):
    (tmp_path / "book.txt").write_text(BOOK + "!")
    text = work.read(str(tmp_path / "book.txt"))
    assert text.validation[-1] == text.size - 1 not in text.train


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """A recipe that takes no time."""
    config = configs.load("santa")
    config.cell.hidden_size = 4
    config.train.truncation, config.train.max_subsequence_length, config.train.epochs = 8, 32, 6
    monkeypatch.setattr(configs, "load", lambda name: config)
    monkeypatch.setattr(jobs, "side_by_side", lambda f, todo, most: [f(*job) for job in todo])
    monkeypatch.setattr(work, "EVERY", 2)
    (tmp_path / "book.txt").write_text(FILE)
    return {"book": tmp_path / "book.txt"}


def test_rows_are_measured_once(run_benchmark, tiny, monkeypatch):
    out, result = run_benchmark(santa, cells="elman,elman", epochs="1,4", **tiny)
    assert "elman" in out and "6-gram" in out
    (row,) = board.models(result["rows"])
    assert set(row["bits"]) == {"1", "4"} and [point[0] for point in row["curve"]] == [1, 2, 4]
    assert row["curve"][-1][2] == pytest.approx(row["bits"]["4"], abs=1e-4)
    assert 2 < row["bits"]["4"] < row["bits"]["1"] < 6
    assert row["finite_epochs"] == 4
    assert result["settings"]["hidden_size"] == 4
    monkeypatch.setattr(work, "measure", lambda *job: pytest.fail("measured twice"))
    run_benchmark(santa, cells="elman", epochs="4", **tiny)


def test_a_recipe_that_changed_is_another_board(run_benchmark, tiny):
    run_benchmark(santa, cells="elman", epochs="1", **tiny)
    configs.load("santa").cell.hidden_size = 5
    with pytest.raises(UserError, match="made with hidden_size=4, not 5: give --out"):
        run_benchmark(santa, cells="elman", epochs="1", **tiny)


def row(cell, seed, bits, **more):
    defaults = {"parameters": 10, "curve": [[50, 2.0, 3.0]]}
    return {"cell": cell, "seed": seed, "bits": bits, **defaults, **more}


ROWS = [
    {"model": "6-gram", "smoothing": "kneser-ney", "bits_per_character": 2.0},
    {"model": "6-gram", "smoothing": "witten-bell", "bits_per_character": 1.0},
    {"model": "4-gram", "smoothing": "kneser-ney", "bits_per_character": 2.3},
    {"model": "xz", "smoothing": "", "bits_per_character": 2.5},
    row("slow", 0, {"250": 2.4, "2000": 1.5}),
    row("slow", 1, {"250": 2.6, "2000": 1.7}),
    row("quick", 0, {"250": 2.2}),
    row("poor", 0, {"250": 5.0}),
    row("lost", 0, {"250": None}, curve=[]),
]


@pytest.fixture
def step_times(monkeypatch):
    times = {"slow": 1000.0, "quick": 10.0, "poor": 500.0, "lost": 1.0}
    monkeypatch.setattr(board, "step_times", lambda: times)


def test_places(step_times):
    found = board.places(ROWS)
    assert [p.name for p in found] == ["slow", "6-gram", "quick", "4-gram", "xz", "poor", "lost"]
    assert found[0].bits == {250: pytest.approx(2.5), 2000: pytest.approx(1.6)}
    assert (found[0].seeds, found[-1].best) == (2, math.inf)


def test_table_and_figure(step_times):
    columns, lines = board.table(ROWS)
    assert columns[2:4] == ["250 epochs", "2,000 epochs"]
    assert [line[:4] for line in lines] == [
        ["1", "slow", "2.500", "1.600"],
        ["–", "6-gram", "2.000", "2.000"],
        ["2", "quick", "2.200", "–"],
        ["–", "4-gram", "2.300", "2.300"],
        ["–", "xz", "2.500", "2.500"],
        ["3", "poor", "5.000", "–"],
        ["4", "lost", "–", "–"],
    ]
    assert [line[1] for line in board.table(ROWS, 1)[1]] == ["slow", "6-gram"]
    figure = board.figure(ROWS)
    assert [line.name for line in figure.lines] == [
        "others",
        "slow",
        "quick",
        "6-gram",
        "4-gram",
        "xz",
    ]
    assert list(figure.lines[0].x) == [2000.0] and list(figure.lines[0].y) == [5.0]


def test_the_documents_show_the_results():
    rows = json.loads(board.PATH.read_text("utf-8"))["rows"]
    for path, most in document.DOCUMENTS.items():
        text = path.read_text("utf-8")
        assert board.table(rows, most)[1][0][1] in text
        assert text == document.filled(text, rows, most)


def _core(number):
    return number, sorted(os.sched_getaffinity(0))


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system pins no process")
def test_jobs_have_a_core_each():
    found = list(jobs.side_by_side(_core, [(1,), (2,)]))
    assert sorted(number for number, _ in found) == [1, 2]
    assert all(len(cores) == 1 for _, cores in found)


def _refuse(number):
    raise UserError(f"no job {number}")


def test_a_job_that_fails_ends_the_others():
    with pytest.raises(UserError, match="no job 1"):
        list(jobs.side_by_side(_refuse, [(1,), (1,), (1,)]))
