"""The leaderboard: its rows, its arithmetic, and its page."""

import math

import numpy as np
import pytest

from benchmarks import jobs, report
from benchmarks.leaderboard import __main__ as leaderboard
from benchmarks.leaderboard import board, budget, document, page, work
from rnnzoo import tasks
from rnnzoo.errors import UserError
from rnnzoo.report import interactive, static
from rnnzoo.tasks import learn

CONFIG = """
from benchmarks.leaderboard import budget

def get_config():
    config = budget.get_config("small")
    config.updates, config.seeds, config.batch_size, config.parameters = 20, 2, 2, 2000
    config.embedding_size = 0
    return config
"""


def test_rows_are_measured_once(run_benchmark, tmp_path, monkeypatch):
    monkeypatch.setattr(jobs, "side_by_side", lambda f, todo, most: (f(*job) for job in todo))
    monkeypatch.setattr(work, "VALIDATED", 200)
    monkeypatch.setattr(work, "LONGER", (64,))
    monkeypatch.setattr(learn, "MEASURED", 8)
    (tmp_path / "tiny.py").write_text(CONFIG)

    def run(**more):
        tiny = {"config": tmp_path / "tiny.py", "page": tmp_path / "board.html"}
        return run_benchmark(leaderboard, cells="elman", tasks="parity,text", **tiny, **more)

    _, result = run()
    rows = result["rows"]
    assert [(r["cell"], r["task"]) for r in rows] == [("elman", "parity"), ("elman", "text:pydoc")]
    parity = rows[0]
    assert len(parity["results"]) == len(parity["scores"]) == 2
    assert list(parity["results"][0]) == ["40", "64"]
    chance = tasks.make("parity").chance(64)
    accuracy = parity["results"][1]["64"]["accuracy"]
    assert parity["scores"][1]["64"] == pytest.approx((accuracy - chance) / (1 - chance))
    assert np.shape(parity["curve"]) == (20, 2)
    assert abs(parity["parameters"] - 2000) < 600
    assert parity["losses_by_rate"][str(parity["learning_rate"])] == min(
        parity["losses_by_rate"].values()
    )
    text = rows[1]["results"][0]["0"]["bpc"]
    assert 3 < text < math.log2(100)
    html = (tmp_path / "board.html").read_text()
    assert "elman" in html and "curve-text-pydoc" in html

    def again(*args):
        raise AssertionError("a row was measured twice")

    monkeypatch.setattr(work, "measure", again)
    out, _ = run()
    assert "Score: 0 is chance" in out
    _, timed = run(speed="True")
    for old, new in zip(rows, timed["rows"], strict=True):
        assert new["steps_per_second"] != old["steps_per_second"] > 0
        assert new | {"steps_per_second": 0, "timed_on": 0} == old | {
            "steps_per_second": 0,
            "timed_on": 0,
        }
    (tmp_path / "tiny.py").write_text(CONFIG.replace("= 20,", "= 40,"))
    with pytest.raises(UserError, match="was made with updates=20, not 40"):
        run()
    (tmp_path / "results" / "out.json").write_text("{")
    with pytest.raises(UserError, match="is no result file"):
        run()
    with pytest.raises(UserError, match="there is no config file"):
        budget.load("none.py")


def row(cell, task, scores, **more):
    defaults = {
        "steps_per_second": 10.0,
        "parameters": 100,
        "hidden_size": 8,
        "curve": [[1.0, 2.0]],
    }
    return {"cell": cell, "task": task, "scores": scores, **defaults, **more}


ROWS = [
    row("a", "t", [{"40": 1.0, "128": 0.5}, {"40": 0.5, "128": -0.3}], steps_per_second=1000.0),
    row("a", "u", [{"0": 0.2}, {"0": 0.4}]),
    row("b", "t", [{"40": float("nan"), "128": 1.0}, {"40": 1.0, "128": 1.0}]),
    row("b", "u", [{"0": 1.0}, {"0": 1.0}]),
    row("c", "t", [{"40": 1.0, "128": 1.0}, {"40": 1.0, "128": 1.0}]),
]


def test_places():
    b, a, c = board.places(ROWS)
    assert (a.cell, b.cell, c.cell) == ("a", "b", "c")  # c did not run all
    assert a.score == pytest.approx(np.mean([[1.0, 0.5], [0.2, 0.4]]))
    assert a.spread == pytest.approx(np.std([0.6, 0.45], ddof=1))
    assert a.longer == pytest.approx(0.25)
    assert a.speed == pytest.approx(100.0)
    assert a.scores["u"] == (pytest.approx(0.3), pytest.approx(np.std([0.2, 0.4], ddof=1)))
    assert b.score == pytest.approx(0.75)  # a score that is no number is 0
    assert (c.missing, a.missing) == (["u"], [])


def test_pareto():
    assert page.pareto([(1, 5), (2, 4), (2, 3), (3, 4), (0, 5)]) == [0, 3]


def test_figures_and_table():
    found = {f.key: f for f in page.figures(ROWS)}
    assert set(found) == {"matrix", "speed", "parameters", "length-t", "curve-t", "curve-u"}
    np.testing.assert_allclose(found["matrix"].values, [[0.5, 1.0], [0.75, 0.3], [1.0, math.nan]])
    assert interactive.spec(found["matrix"])["data"][0]["z"][2] == [1.0, None]
    assert "–" in [text.get_text() for text in static.draw(found["matrix"]).axes[0].texts]
    assert found["length-t"].lines[0].name == "b"
    for key in ("speed", "parameters"):  # c's mean is one of other tasks
        names = {line.name for line in found[key].lines}
        assert {"a", "b"} <= names and "c" not in names
    lines = page.table(ROWS).splitlines()
    assert lines[2].startswith("| 1 | `b` | 0.750") and lines[4].endswith("| 1.00 ± 0.00 | – |")


def test_scores_of_reals_and_of_texts(tmp_path):
    adding = work.of_task("adding", {})
    assert adding.score({"loss": 1 / 6}, 200) == pytest.approx(0)
    assert adding.score({"loss": 0.0}, 200) == 1
    (tmp_path / "text.txt").write_text("abab" * 100)
    text = work.of_text(str(tmp_path / "text.txt"), 8)
    assert text.score({"bpc": 1.0}, 0) == pytest.approx(0, abs=0.02)  # a and b are as likely


def test_budgets():
    with pytest.raises(UserError, match="no budget 'smal': did you mean 'small'"):
        budget.get_config("smal")
    for name, options in budget.TASKS:
        tasks.make(name, **options)
    assert board.default_path("small").parent == report.FOLDER / "results"


def test_the_document_shows_the_results():
    assert document.DOCUMENT.read_text("utf-8").endswith(document.text())
