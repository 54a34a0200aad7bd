"""Published numbers: their files, what a row is, and the document."""

import dataclasses
import json
import math

import pytest

from benchmarks.gallery import bibliography
from benchmarks.published import __main__ as published
from benchmarks.published import document, number, work
from benchmarks.published.number import Expected, OfTask, OfText, TaskModel, TextModel
from rnnzoo.errors import UserError
from rnnzoo.tasks import learn

SOLVES = Expected("at least", 0.9)


def of_task(**changed):
    tiny = {
        "title": "Tiny",
        "source": "collins2017capacity",
        "task": "parity",
        "measured": "scaled_accuracy",
        "models": [TaskModel("elman", SOLVES)],
        "hidden_size": 4,
        "batch_size": 2,
        "updates": 20,
        "learning_rate": 0.0,
        "train_lengths": (3, 5),
        "test_lengths": (3, 6),
        "seeds": 2,
    }
    return OfTask(**(tiny | changed))


@pytest.fixture
def measure(run_benchmark, monkeypatch):
    """Runs the command on a number that no file has."""
    monkeypatch.setattr(learn, "MEASURED", 8)

    def run(config, **values):
        monkeypatch.setattr(number, "names", lambda: ["tiny"])
        monkeypatch.setattr(number, "load", lambda name: config.check() or config)
        return run_benchmark(published, numbers="tiny", **values)

    return run


def test_a_task_is_measured_once_in_a_setting(measure, monkeypatch):
    config = of_task()
    out, result = measure(config)
    (row,) = result["rows"]
    assert (row["number"], row["model"]) == ("tiny", "elman")
    assert row["parameters"] == 2 * 4 + 4 * 4 + 4 + 2 * (4 + 1)
    assert len(row["results"]) == 2 and [len(c) for c in row["curves"]] == 2 * [learn.POINTS]
    assert row["curves"][0] != row["curves"][1]
    assert all(-1 <= x < 0.9 for x in row["results"])  # nothing is learned at a rate of 0
    assert row["device"] and "commit" in row
    assert "Tiny" in out and " no " in out
    monkeypatch.setattr(work, "of_task", None)
    assert measure(config)[1]["rows"] == result["rows"]
    lower = of_task(models=[TaskModel("elman", Expected("at least", -1))])
    assert " yes " in measure(lower)[0]  # the expectation is no part of the setting
    new = {"parameters": 1, "results": [0.5], "seconds": 0.0}
    monkeypatch.setattr(work, "of_task", lambda *arguments: new)
    (again,) = measure(of_task(learning_rate=0.1))[1]["rows"]
    assert again["setting"]["learning_rate"] == 0.1 and again["results"] == [0.5]


def test_bits_per_parameter(measure):
    config = of_task(
        task="capacity",
        options={"examples": 3},
        measured="bits_per_parameter",
        learning_rate=0.1,
        updates=400,
        train_lengths=None,
        test_lengths=None,
    )
    (row,) = measure(config)[1]["rows"]
    assert row["results"] == 2 * [pytest.approx(3 / row["parameters"])]  # all three are learned


def test_a_text_is_trained_from_each_seed(measure, tmp_path, compiled_once):
    (tmp_path / "text.txt").write_text("to be or not to be " * 40)
    keys = {
        "cpu_devices": 1,
        "cell.name": "elman",
        "cell.hidden_size": 8,
        "train.epochs": 2,
        "train.batch_size": 2,
        "train.truncation": 8,
        "train.max_subsequence_length": 20,
        "train.evaluate_every": 1,
        "log.inside": False,
    }
    nine = Expected("at most", 9)
    models = [
        TextModel("quickstart", nine, keys),
        TextModel("quickstart", nine, keys | {"seeds": 2}),
    ]
    config = OfText(title="Tiny", source="elman1990finding", models=models[:1], seeds=2)
    given = {"path": tmp_path / "text.txt", "runs": tmp_path / "runs"}
    out, result = measure(config, **given)
    (row,) = result["rows"]
    assert len(set(row["results"])) == 2 and " yes " in out
    folder = tmp_path / "runs" / "tiny" / "elman__1_layer_of_8_units"
    logged = [
        json.loads(line)["validation_loss"]
        for line in (folder / "seed_1" / "metrics.jsonl").read_text().splitlines()
    ]
    assert row["results"][1] == pytest.approx(min(logged), rel=1e-6)
    assert str(tmp_path) not in json.dumps(row)
    at_once = dataclasses.replace(config, models=models[1:])
    (other,) = measure(at_once, path=tmp_path / "text.txt", runs=tmp_path / "more")[1]["rows"]
    runs = (tmp_path / "more" / "tiny" / folder.name).iterdir()
    assert [run.name for run in runs] == ["seed_0"]
    assert other["results"] == pytest.approx(row["results"], rel=1e-3)
    with pytest.raises(UserError, match=r"--path=.* is for one number of a text"):
        measure(of_task(), **given)


@pytest.mark.parametrize("name", number.names())
def test_every_number_is_valid(name):
    config = number.load(name)
    assert config.source in bibliography()
    labels = [model.label for model in config.models]
    assert len(labels) == len(set(labels))
    docstring = __import__(f"benchmarks.published.numbers.{name}", fromlist=["x"]).__doc__
    assert f"python -m benchmarks.published --numbers={name}\n" in docstring


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"task": "parety"}, "no task is named 'parety': did you mean 'parity'"),
        ({"options": {"grup": 1}}, "has no option 'grup'"),
        ({"measured": "los"}, "measured 'los': did you mean 'loss'"),
        ({"measured": "bits_per_parameter"}, "parity does not go with bits_per_parameter"),
        ({"updates": 30}, "30 updates are no multiple of 20"),
        ({"models": [TaskModel("elmann", SOLVES)]}, "no cell is named 'elmann'"),
        ({"models": [TaskModel("elman", SOLVES, {"head": 1})]}, "has no option 'head'"),
    ],
)
def test_mistakes_are_found_before_the_work(changed, message):
    with pytest.raises(UserError, match=message):
        of_task(**changed).check()


def test_mistakes_of_names(run_benchmark):
    with pytest.raises(UserError, match="no number is named 'parety': did you mean 'parity'"):
        run_benchmark(published, numbers="parety")
    with pytest.raises(UserError, match="expected 'nearly'"):
        Expected("nearly", 1)
    for changed, message in (
        (("quickstar", SOLVES), "no config is named 'quickstar'"),
        (("quickstart", SOLVES, {"train.epoch": 1}), "has no key 'epoch'"),
        (("quickstart", SOLVES, {"cell.name": "elmann"}), "no cell is named 'elmann'"),
        (
            ("quickstart", SOLVES, {"seeds": 2}),
            r"config\.seeds 2: give 1 or, on the validation text, 3",
        ),
    ):
        with pytest.raises(UserError, match=message):
            OfText(title="", source="", models=[TextModel(*changed)]).check()


def test_expectations():
    assert SOLVES.met(0.9) and not SOLVES.met(0.89) and str(SOLVES) == "≥ 0.9"
    assert Expected("at most", 5e-5).met(5e-5) and not Expected("at most", 5e-5).met(6e-5)
    about = Expected("about", 5, 0.1)
    assert about.met(4.5) and not about.met(4.4) and not about.met(5.6)
    assert str(about) == "5 ± 10 %"
    assert not about.met(math.nan) and not SOLVES.met(math.inf)


def test_the_document_shows_the_results():
    assert document.DOCUMENT.read_text("utf-8").endswith(document.text())
