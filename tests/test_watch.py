"""Following a run that another process trains."""

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from rich.console import Console

from rnnzoo import config as configs
from rnnzoo import main, metrics, watch
from rnnzoo.errors import UserError
from rnnzoo.view import View, sparkline
from rnnzoo.watch import Follower


def row(epoch, loss=1.0, **more):
    return {"epoch": epoch, "loss": loss, "bpc": loss * 1.44, "chars_per_second": 1e5, **more}


def write(folder, *rows, file="metrics.jsonl", mode="a"):
    with (folder / file).open(mode) as f:
        f.writelines(json.dumps(r) + "\n" for r in rows)


@pytest.fixture
def run(tmp_path):
    """A run of four epochs that has just begun."""
    folder = tmp_path / "run"
    folder.mkdir()
    configs.save(configs.complete({"train": {"epochs": 4}}), folder / "config.json")
    return folder


def test_what_is_new_comes_once(run):
    follower = Follower(run)
    assert follower.poll() == [] and follower.view.note == "no epoch yet"
    write(run, row(1), row(2))
    assert follower.poll() == [row(1), row(2)]
    assert follower.poll() == []
    write(run, {"epoch": 2, "warning": "dead"}, file="warnings.jsonl")
    write(run, row(3))
    assert follower.poll() == [{"epoch": 2, "warning": "dead"}, row(3)]
    write(run, {"epoch": 2, "warning": "saturated"}, file="warnings.jsonl")
    assert follower.poll() == [{"epoch": 2, "warning": "saturated"}]
    assert not follower.complete
    write(run, row(4))
    assert follower.poll() == [row(4)] and follower.complete


def test_half_a_line_waits_until_it_is_whole(run):
    follower, text = Follower(run), json.dumps(row(1)) + "\n"
    for cut in (1, 20, len(text) - 1):
        (run / "metrics.jsonl").write_text(text[:cut])
        assert follower.poll() == []
    (run / "metrics.jsonl").write_text(text + '{"epoch')
    assert follower.poll() == [row(1)]


def test_a_run_that_goes_on_from_a_checkpoint_says_nothing_twice(run):
    follower = Follower(run)
    write(run, row(1), row(2), row(3))
    assert len(follower.poll()) == 3
    write(run, row(1), mode="w")
    assert follower.poll() == [] and follower.view.losses == [1.0]
    write(run, row(2), row(3), row(4))
    assert follower.poll() == [row(4)] and len(follower.view.losses) == 4


def test_the_view_has_the_latest_sample_and_says_if_nothing_moves(run):
    write(run, row(1))
    (run / "samples.txt").write_text("--- epoch 1\nold\n--- epoch 2\nab\ncd\n--- epoch 2\nother\n")
    follower = Follower(run)
    follower.poll()
    assert follower.view.sample == "ab\ncd"
    os.utime(run / "metrics.jsonl", (time.time() - 90,) * 2)
    follower.poll()
    assert follower.view.note.startswith("the last epoch was 9")


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("metrics.jsonl", "{'epoch': 1}\n", r"metrics\.jsonl' is damaged \(JSONDecodeError"),
        ("metrics.jsonl", "1\n", r"metrics\.jsonl' is damaged, a line is no epoch's"),
        ("metrics.jsonl", '{"epoch": 1}\n', "a line is no epoch's"),
        ("warnings.jsonl", '{"warning": 1}\n', r"warnings\.jsonl' is damaged"),
        ("config.json", "{", "is not a config saved by rnnzoo"),
    ],
)
def test_damage_is_one_line(run, file, content, message):
    write(run, row(1))
    (run / file).write_text(content)
    with pytest.raises(UserError, match=message):
        watch.watch(run)


def test_a_folder_without_a_run(tmp_path):
    with pytest.raises(UserError, match=r"holds no run, there is no config\.json"):
        watch.watch(tmp_path)


def writing(run):
    """Another thread, which writes the run's four epochs."""

    def write_all():
        for epoch in range(1, 5):
            time.sleep(0.05)
            write(run, row(epoch, 5 - epoch))
            if epoch == 2:
                write(run, {"epoch": 2, "warning": "dead"}, file="warnings.jsonl")

    thread = threading.Thread(target=write_all)
    thread.start()
    return thread


LINES = """\
epoch 1/4  loss 4.000 nats = 5.760 bpc  100,000 characters/s
epoch 2/4  loss 3.000 nats = 4.320 bpc  100,000 characters/s
warning: epoch 2: dead
epoch 3/4  loss 2.000 nats = 2.880 bpc  100,000 characters/s
epoch 4/4  loss 1.000 nats = 1.440 bpc  100,000 characters/s
"""


def test_lines_where_there_is_no_terminal(run, capsys):
    thread = writing(run)
    watch.watch(run, interval=0.2)
    thread.join()
    first, _, rest = capsys.readouterr().out.partition("\n")
    assert first == f"{run}: no epoch yet, waiting for the first"
    assert sorted(rest) == sorted(LINES) and rest.count("\n") == 5


def test_json_is_the_rows_and_warnings(run, capsys):
    thread = writing(run)
    main.main(main.parse(["rnnzoo", "watch", str(run), "--json", "--interval=0.05"]))
    thread.join()
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [r for r in found if "loss" in r] == metrics.read_metrics(run)
    assert [r for r in found if "warning" in r] == [{"epoch": 2, "warning": "dead"}]


def test_quiet_is_the_last_row(run, capsys):
    write(run, *(row(e) for e in range(1, 5)))
    main.main(main.parse(["rnnzoo", "watch", str(run), "--quiet"]))
    out = capsys.readouterr().out
    assert out.startswith(f"{run}: epoch 4/4  loss 1.000") and out.count("\n") == 1


def test_on_a_terminal_the_view_stays(run):
    thread = writing(run)
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, force_interactive=True, width=80, height=30)
    watch.watch(run, interval=0.05, console=console)
    thread.join()
    last = out.getvalue().rpartition("╭")[2]
    for part in ("4/4", "100%", "0:00:00 left", "1.000 nats", "epoch 2: dead", "╰"):
        assert part in last


def test_ctrl_c_ends_it(run):
    line = [sys.executable, "-m", "rnnzoo.main", "watch", str(run), "--interval=0.05"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(line, **pipes) as process:
        try:
            assert "no epoch yet" in process.stdout.readline()
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, errors) == (130, "rnnzoo: stopped\n")


def drawn(view, width=80, height=40, **options):
    out = io.StringIO()
    Console(file=out, width=width, height=height, **options).print(view)
    return out.getvalue().splitlines()


def full_view():
    view = View("runs/a", 200)
    view.show(
        [row(e, 1 + 1 / e, validation_loss=1 + 1 / e) for e in range(1, 101)],
        [{"epoch": 7, "warning": "loss spike: " + "far " * 40}],
    )
    view.at(50)
    view.at(100.5)
    view.sample = "".join(f"line {i}\n" for i in range(20)) + "\x1b[31m"
    return view


@pytest.mark.parametrize("width", [20, 40, 59, 60, 80, 200])
@pytest.mark.parametrize("height", [8, 24])
def test_the_view_fits_a_terminal_of_any_size(width, height):
    lines = drawn(full_view(), width, height)
    assert {len(line) for line in lines} == {width}
    assert len(lines) <= max(height, 8)


def test_the_view_says_all():
    lines = "\n".join(drawn(full_view()))
    for part in (
        "runs/a", "101/200", "50%", " left", "1.010 nats █", "validation 1.457",
        "best 1.457 at 100", "100,000 characters/s", "sample line 0", "line 5", "loss spike",
    ):  # fmt: skip
        assert part in lines, part
    assert "line 6" not in lines


def test_a_terminal_without_unicode_or_colours(monkeypatch):
    class Ascii(io.StringIO):
        encoding = "ascii"

    out = Ascii()
    monkeypatch.setenv("NO_COLOR", "1")
    Console(file=out, width=80, height=40, force_terminal=True, color_system="truecolor").print(
        full_view()
    )
    assert out.getvalue().isascii()
    assert not [c for c in ("\x1b[3", "\x1b[9", "\x1b[4") if c in out.getvalue()]


def test_control_characters_of_a_sample_are_shown_not_obeyed():
    view = View("a", 2)
    view.sample = "a\x1b[31mb\x07"
    assert r"a\x1b[31mb\x07" in "\n".join(drawn(view))


@pytest.mark.parametrize(
    ("values", "bars"),
    [
        ([8, 6, 4, 2, 1], "█▆▄▂▁"),
        ([8, 8, 1, 1, 1, 1, 1, 1, 1, 1], "█▁▁▁▁"),
        ([1.0], "▁"),
        ([2.0, 2.0], "▁▁"),
        ([float("nan"), 2.0, float("inf"), 1.0], "█▁"),
        ([float("nan")], ""),
    ],
)
def test_the_bars_of_a_loss(values, bars):
    assert sparkline(values, 5) == bars


def test_seconds_left(monkeypatch):
    now = iter([100.0, 110.0])
    monkeypatch.setattr("rnnzoo.view.time.monotonic", lambda: next(now))
    view = View("a", 10)
    assert view.seconds_left() is None
    view.at(2)
    view.at(4)
    assert view.seconds_left() == pytest.approx(30)  # 5 seconds an epoch, 6 to go
    view.at(10)
    assert view.seconds_left() == 0
