import io
import json
import math
import random

import pytest
from rich.console import Console

from rnnzoo import metrics
from rnnzoo.errors import UserError
from rnnzoo.log import Log, draw_curves, plain_console


def log_on(folder, terminal):
    out = io.StringIO()
    options = {"force_terminal": terminal, "force_interactive": terminal}
    console = Console(file=out, width=100, highlight=False, markup=False, **options)
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


def test_a_terminal_has_a_view_too(tmp_path):
    out, _ = log_on(tmp_path, terminal=True)
    assert "loss 0.693 nats = 1.000 bpc" in out and "  | two" in out
    last = out.rpartition("╭")[2]  # it was drawn, and taken away at the end
    assert "2/20" in last and "0.500 nats" in last and last.endswith("\x1b[1A\x1b[2K")


def test_quiet_prints_nothing_and_writes_all(tmp_path, capsys):
    with Log(tmp_path, 2, 1, plain_console(quiet=True)) as log:
        log.show(log.record(1, [1.0], 10.0), ["a"])
        log.warn("dead")
    assert capsys.readouterr().out == ""
    assert len(metrics.read_metrics(tmp_path)) == len(metrics.read_warnings(tmp_path)) == 1


@pytest.mark.parametrize(
    ("name", "before", "last", "is_spike"),
    [
        ("the start", [4.0] * 19, 40.0, False),
        ("enough epochs", [4.0] * 20, 4.5, True),
        ("a tenth is no spike", [4.0] * 50, 4.39, False),
        ("nor is a wobble of what has settled", [0.01, 0.0101] * 25, 0.0108, False),
        ("what spreads may leap further", [1.0, 2.0] * 25, 5.0, False),
        ("but not as far as that", [1.0, 2.0] * 25, 8.0, True),
        ("a fall", [2.0] * 50, 0.1, False),
        ("a descent", [8 * 0.95**i for i in range(50)], 8.0, False),
        ("above a descent", [8 * 0.95**i for i in range(50)], 20.0, True),
        ("older epochs do not count", [9.0] * 30 + [1.0] * 50, 3.0, True),
        ("one spike before changes nothing", [1.0] * 25 + [90.0] + [1.0] * 24, 3.0, True),
    ],
)
def test_a_spike(name, before, last, is_spike):
    assert (metrics.spike([*before, last]) is not None) == is_spike


def test_a_spike_is_told_of_once():
    losses = [1.0] * 30 + [5.0, 5.0, 5.0, 1.0, 1.0, 6.0, 1.0]
    told = [i for i in range(len(losses)) if metrics.new_spike(losses[: i + 1]) is not None]
    assert told == [30, 35]
    assert metrics.new_spike(losses[:31]) == 1.0


def test_no_false_alarm_in_noise():
    rng = random.Random(0)
    for noise in (0.001, 0.01, 0.1):
        losses = [1.5 + 3 * math.exp(-e / 30) + rng.gauss(0, noise) for e in range(2000)]
        assert not any(metrics.new_spike(losses[max(0, i - 51) : i + 1]) for i in range(2000))


LOSSES = [2.0 + 0.01 * (i % 5) for i in range(30)] + [9.0, 8.0, 2.0, 2.1, 7.0, 2.0]


def train_on(folder, epochs, written=None):
    out = io.StringIO()
    with Log(folder, len(LOSSES), 1, Console(file=out, width=200), written) as log:
        for epoch in epochs:
            if epoch % 10 == 0:
                log.warn(f"dead units in {epoch - 1}")  # as instruments may, before or after a row
            log.record(epoch, [LOSSES[epoch - 1]], 1.0)
            saved = log.written()
        log.record(epoch + 1, [50.0], 1.0)  # what was written after the checkpoint
        log.warn("lost")
    return out.getvalue(), saved


def test_warnings_are_printed_and_kept(tmp_path):
    out, _ = train_on(tmp_path, range(1, 36))
    assert "warning: epoch 31: loss spike: 9.000 nats, 2.020 before it; if it stays, lower" in out
    rows = metrics.read_warnings(tmp_path)
    assert [row["epoch"] for row in rows] == [9, 19, 29, 31, 35, 36]
    assert rows[0]["warning"] == "dead units in 9"


@pytest.mark.parametrize("cut", [5, 25, 30, 31, 32, 34])
def test_a_resumed_run_warns_as_a_whole_one(tmp_path, cut):
    whole, cut_off = tmp_path / "whole", tmp_path / "cut"
    whole.mkdir(), cut_off.mkdir()
    train_on(whole, range(1, 36))
    _, saved = train_on(cut_off, range(1, cut + 1))
    train_on(cut_off, range(cut + 1, 36), saved)
    for name in metrics.GROWING:
        paths = [folder / name for folder in (whole, cut_off)]
        assert [p.read_bytes() for p in paths if p.exists()] == [
            paths[0].read_bytes() for p in paths if p.exists()
        ]


def test_damaged_warnings_are_found_before_anything_is_cut_off(tmp_path):
    _, saved = train_on(tmp_path, range(1, 21))
    (tmp_path / "warnings.jsonl").write_bytes(b"?" * saved["warnings.jsonl"])
    before = (tmp_path / "metrics.jsonl").read_bytes()
    with pytest.raises(UserError, match=r"warnings\.jsonl' is damaged"):
        Log(tmp_path, 40, 1, written=saved)
    assert (tmp_path / "metrics.jsonl").read_bytes() == before


def test_a_bounded_number_of_warnings_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr("rnnzoo.log.MOST_WARNINGS", 3)
    with Log(tmp_path, 9, 1) as log:
        log.record(1, [1.0], 1.0)
        for i in range(5):
            log.warn(f"{i}\nof many")
        saved = log.written()
    with Log(tmp_path, 9, 1, written=saved) as log:
        log.warn("more")
    assert [row["warning"] for row in metrics.read_warnings(tmp_path)] == [
        "0 of many", "1 of many", "2 of many",
    ]  # fmt: skip


def test_control_characters_do_not_steer_a_terminal(tmp_path):
    for terminal in (True, False):
        out = io.StringIO()
        console = Console(file=out, force_terminal=terminal, force_interactive=False, width=99)
        with Log(tmp_path, 1, 1, console) as log:
            log.show(log.record(1, [1.0], 1.0), ["a\x1b[2Jb"])
        assert ("\x1b[2J" in out.getvalue()) != terminal


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
