"""README and docs/ say what the results say; the parts with a test of their own are tested there."""

import json
import re
import statistics

import pytest

from benchmarks import documents, markdown
from benchmarks.published import number, rows


@pytest.mark.parametrize("path", documents.SHOWN_IN, ids=lambda path: path.name)
def test_the_training_step_is_as_measured(path):
    text = path.read_text("utf-8")
    assert "| `gru`, rnnzoo's trainer |" in text
    assert text == documents.with_training_step(text)


@pytest.mark.parametrize(
    "name", ["shakespeare", "shakespeare_hour", "shakespeare_gpu", "war_and_peace"]
)
def test_the_readme_s_losses_are_as_measured(name):
    config = number.load(name)
    model, *_ = config.models  # the config as it is
    found = rows.find(json.loads(rows.PATH.read_text("utf-8"))["rows"], name, config, model)
    assert found is not None
    line = re.search(rf"^\| `{name}\.py` \|.*$", documents.SHOWN_IN[0].read_text(), re.MULTILINE)[0]
    said = [float(n) for n in re.findall(r"\b1\.\d\d+\b", line)]
    assert len(said) >= len(found["results"])
    for measured, says in zip(found["results"], said, strict=False):
        assert abs(measured - says) <= 0.005, f"{measured} is said to be {says}"


def test_war_and_peace_is_as_near_to_the_paper_as_the_readme_says():
    config, text = number.load("war_and_peace"), documents.SHOWN_IN[0].read_text("utf-8")
    assert len(config.models) == 10
    (percent,) = re.findall(r"\[ten networks\].*, all within (\d+) % of the paper", text)
    found = json.loads(rows.PATH.read_text("utf-8"))["rows"]
    for model in config.models:
        mean = statistics.fmean(rows.find(found, "war_and_peace", config, model)["results"])
        assert mean == pytest.approx(model.expected.value, rel=int(percent) / 100), model.label


def test_a_part_of_a_document_is_filled():
    text = "a\n<!-- x: made by y -->\nold\n<!-- /x -->\nb\n"
    table = markdown.table(["p", "q"], [("1", "2")])
    filled = markdown.filled(text, "x", table)
    assert filled == (
        "a\n<!-- x: made by y -->\n\n| p | q |\n| --- | --- |\n| 1 | 2 |\n\n<!-- /x -->\nb\n"
    )
    assert markdown.filled(filled, "x", table) == filled
    with pytest.raises(ValueError, match="no part named 'z'"):
        markdown.filled(text, "z", table)
