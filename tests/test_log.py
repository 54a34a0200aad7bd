import io
import json
import math

import pytest
from rich.console import Console

from rnnzoo.log import Log, draw_curves


def log_on(folder, terminal):
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=100, highlight=False, markup=False)
    with Log(folder, epochs=20, pieces=4, console=console) as log:
        log.progress(1, 4)
        row = log.record(1, [math.log(2)], 1234.5, validation=[2 * math.log(2)])
        log.show(row, ["[b]one\ntwo", "three"])
        log.progress(2, 2)
        log.record(2, [0.5], 1000.0)
        during = (folder / "metrics.jsonl").read_text()  # rows are there before the end
    return out.getvalue(), during


def test_lines_for_a_person_and_rows_for_a_program(tmp_path):
    out, metrics = log_on(tmp_path, terminal=False)
    assert out == (
        "epoch  1/20  loss 0.693 nats = 1.000 bpc  validation 2.000 bpc  1,234 characters/s\n"
        "  | [b]one\n  | two\n  | three\n"
    )
    first, second = map(json.loads, metrics.splitlines())
    assert first == {
        "epoch": 1,
        "loss": math.log(2),
        "bpc": 1.0,
        "chars_per_second": 1234.5,
        "validation_loss": 2 * math.log(2),
        "validation_bpc": 2.0,
    }
    assert second.keys() == {"epoch", "loss", "bpc", "chars_per_second"}
    assert (
        tmp_path / "samples.txt"
    ).read_text() == "--- epoch 1\n[b]one\ntwo\n--- epoch 1\nthree\n"
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_several_seeds_have_a_mean_and_a_spread(tmp_path):
    out = io.StringIO()
    with Log(tmp_path, 2, 1, Console(file=out, highlight=False, width=120)) as log:
        log.show(log.record(1, [1.0, 2.0, 3.0], 10.0), [])
        log.show(log.record(2, [1.0, 1.0, 1.0], 10.0, validation=[2.0, 3.0, 2.5]), [])
    assert "loss 2.000 ± 1.000 nats = 2.885 bpc" in out.getvalue()
    assert "validation 2.500 ± 0.500 nats = 3.607 bpc" in out.getvalue()
    row = json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[1])
    assert (row["validation_loss_spread"], row["validation_losses"]) == (0.5, [2.0, 3.0, 2.5])
    assert (row["loss_spread"], row["losses"]) == (0, [1.0, 1.0, 1.0])


def test_a_terminal_has_a_progress_bar_too(tmp_path):
    out, _ = log_on(tmp_path, terminal=True)
    assert "2/20" in out and "%" in out and "loss 0.693" in out


@pytest.mark.parametrize("count", [1, 49, 120])
def test_curves_of_any_length(tmp_path, count):
    rows = [{"epoch": e, "loss": 1 / e} for e in range(1, count + 1)]
    rows[-1]["validation_loss"] = 1.0
    draw_curves(rows, tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 5000


def test_a_long_training_has_a_bounded_number_of_rows(tmp_path, monkeypatch):
    monkeypatch.setattr("rnnzoo.log.MOST_ROWS", 10)
    with Log(tmp_path, epochs=25, pieces=1) as log:
        for epoch in range(1, 26):
            assert log.record(epoch, [1.0], 1.0)["epoch"] == epoch
    rows = map(json.loads, (tmp_path / "metrics.jsonl").read_text().splitlines())
    assert [row["epoch"] for row in rows] == [3, 6, 9, 12, 15, 18, 21, 24, 25]
