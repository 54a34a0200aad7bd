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


def test_rows_are_measured_once(run_benchmark, tiny, tmp_path, monkeypatch):
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
    monkeypatch.undo()


def test_a_recipe_that_changed_is_another_board(run_benchmark, tiny):
    run_benchmark(santa, cells="elman", epochs="1", **tiny)
    configs.load("santa").cell.hidden_size = 5
    with pytest.raises(UserError, match="made with hidden_size=4, not 5: give --out"):
        run_benchmark(santa, cells="elman", epochs="1", **tiny)


def row(cell, seed, bits, **more):
    defaults = {"parameters": 10, "characters_per_second": 100.0, "curve": [[50, 2.0, 3.0]]}
    return {"cell": cell, "seed": seed, "bits": bits, **defaults, **more}


ROWS = [
    {"model": "6-gram", "smoothing": "kneser-ney", "bits_per_character": 2.0},
    {"model": "6-gram", "smoothing": "witten-bell", "bits_per_character": 1.0},
    {"model": "xz", "smoothing": "", "bits_per_character": 2.5},
    row("slow", 0, {"250": 2.4, "2000": 1.5}, characters_per_second=10.0),
    row("slow", 1, {"250": 2.6, "2000": 1.7}, characters_per_second=10.0),
    row("quick", 0, {"250": 2.2}),
    row("lost", 0, {"250": None}, characters_per_second=None, curve=[]),
]


def test_places():
    found = board.places(ROWS)
    assert [p.name for p in found] == ["slow", "6-gram", "quick", "xz", "lost"]
    assert found[0].bits == {250: pytest.approx(2.5), 2000: pytest.approx(1.6)}
    assert (found[0].seeds, found[-1].best) == (2, math.inf)


def test_table_and_figure():
    columns, lines = board.table(ROWS)
    assert columns[2:4] == ["250 epochs", "2,000 epochs"]
    assert [line[:4] for line in lines] == [
        ["1", "slow", "2.500", "1.600"],
        ["–", "6-gram", "2.000", "2.000"],
        ["2", "quick", "2.200", "–"],
        ["–", "xz", "2.500", "2.500"],
        ["3", "lost", "–", "–"],
    ]
    assert [line[1] for line in board.table(ROWS, 1)[1]] == ["slow", "6-gram"]
    figure = board.figure(ROWS)
    assert [line.name for line in figure.lines] == ["others", "slow", "quick", "6-gram", "xz"]


def test_the_documents_show_the_results():
    rows = json.loads(document.RESULT.read_text("utf-8"))["rows"]
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
