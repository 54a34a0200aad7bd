import json
import os
import re
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest

from rnnzoo import config as configs
from rnnzoo import main, registry, runs
from rnnzoo.errors import UserError

TEXT = "the cat sat on the mat. " * 40
TINY = """
def get_config():
    return {
        "cell": {"name": "elman", "hidden_size": 8},
        "corpus": {"path": "text.txt", "split": (0.8, 0.1, 0.1)},
        "train": {"epochs": 3, "batch_size": 2, "truncation": 8, "max_subsequence_length": 20,
                  "log_every": 2, "evaluate_every": 2},
        "sample": {"prompt": "the", "length": 9},
    }
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a text, a config and a run, made by the real command."""
    folder = tmp_path_factory.mktemp("work")
    (folder / "text.txt").write_text(TEXT)
    (folder / "tiny.py").write_text(TINY)
    trained = command(folder, "--config=tiny.py", "--workdir=runs/a")
    assert (trained.returncode, trained.stderr) == (0, "")
    (folder / "out.txt").write_text(trained.stdout)
    return folder


def command(folder, *words):
    """`python -m rnnzoo.main` in a process of its own."""
    line = [sys.executable, "-m", "rnnzoo.main", *words]
    return subprocess.run(line, cwd=folder, capture_output=True, text=True, timeout=120)


@pytest.fixture
def work(tmp_path, monkeypatch):
    """A fresh working folder with the text and the config."""
    (tmp_path / "text.txt").write_text(TEXT)
    (tmp_path / "tiny.py").write_text(TINY)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def in_process(*words):
    main.main(main.parse(["rnnzoo", *words]))


def rejected(capsys, *words):
    """The error line of a command that must fail."""
    with pytest.raises(SystemExit) as e:
        in_process(*words)
    captured = capsys.readouterr()
    assert e.value.code == 2
    assert captured.err.startswith("rnnzoo: ") and captured.err.count("\n") == 1
    return captured.err


def test_train_leaves_a_whole_run(trained):
    run = trained / "runs/a"
    names = {path.name for path in run.iterdir()}
    assert names == {
        "config.json", "vocabulary.json", "provenance.json", "best", "checkpoints", "lock",
        "inside.jsonl",
        "metrics.jsonl", "samples.txt", "curves.png",
    }  # fmt: skip
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert all(0 < row["loss"] < 4 and row["chars_per_second"] > 0 for row in rows)
    assert ["validation_loss" in row for row in rows] == [False, True, True]
    assert configs.load(run / "config.json").cell.hidden_size == 8


def test_train_says_what_it_does_and_how_to_go_on(trained):
    out = (trained / "out.txt").read_text()
    assert re.search(r"epoch 2/3  loss [\d.]+ nats = [\d.]+ bpc  validation [\d.]+ bpc", out)
    assert re.search(r"  \| the.{9}\n", out)
    assert "python -m rnnzoo.main --mode=sample --workdir=runs/a" in out
    assert "\x1b" not in out  # not on a terminal


def test_sample_is_a_command_that_reads_the_run(trained):
    done = command(trained, "--mode=sample", "--workdir=runs/a", "--config.sample.length=20")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("the") and len(done.stdout) == 3 + 20 + 1


def test_evaluate_gives_what_the_training_measured(trained, monkeypatch, capsys):
    done = command(trained, "--mode=evaluate", "--workdir=runs/a")
    assert (done.returncode, done.stderr) == (0, "")
    validation, test = done.stdout.splitlines()
    rows = (trained / "runs/a/metrics.jsonl").read_text().splitlines()
    best = min(json.loads(row).get("validation_loss", np.inf) for row in rows)
    assert validation.split()[:3] == ["validation", f"{best:.4f}", "nats"]
    assert test.split()[0] == "test"
    monkeypatch.chdir(trained)
    in_process("--mode=evaluate", "--workdir=runs/a", "--split=train")
    assert capsys.readouterr().out.split()[0] == "train"


def test_sampling_options_come_from_the_command_line_the_file_or_the_run(
    trained, monkeypatch, capsys
):
    monkeypatch.chdir(trained)
    sample = ("--mode=sample", "--workdir=runs/a")
    in_process(*sample, "--config.sample.count=2", "--config.sample.prompt=a")
    assert re.fullmatch(r"--- 1\na.{9}\n--- 2\na.{9}\n", capsys.readouterr().out)
    text = TINY.replace('"prompt": "the", "length": 9', '"prompt": "mat", "length": 4')
    (trained / "other.py").write_text(text)
    in_process(*sample, "--config=other.py")
    assert re.fullmatch(r"mat.{4}\n", capsys.readouterr().out)


def test_on_a_terminal_the_text_streams_the_same(trained, monkeypatch, capsys):
    monkeypatch.chdir(trained)
    words = ("--mode=sample", "--workdir=runs/a", "--config.sample.length=80")
    in_process(*words)
    plain = capsys.readouterr().out
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    in_process(*words)
    assert capsys.readouterr().out == plain


def test_without_validation_the_last_parameters_are_the_best(work, capsys):
    (work / "text.txt").write_text(TEXT + "Q")
    words = ("--config=tiny.py", "--config.corpus.split=(0.8,0,0.2)", "--workdir=a")
    assert "the test text: character 'Q'" in rejected(capsys, *words)
    in_process(*words, "--config.corpus.unknown=True")
    assert not (work / "a/best").exists()
    capsys.readouterr()
    evaluate = ("--mode=evaluate", "--workdir=a")
    in_process(*evaluate)
    assert re.fullmatch(r"test +[\d.]+ nats  [\d.]+ bpc\n", capsys.readouterr().out)
    assert "has no validation part" in rejected(capsys, *evaluate, "--split=validation")


def test_a_batch_is_shared_out_over_devices(work, capsys):
    in_process("--config=tiny.py", "--config.cpu_devices=2", "--workdir=run")
    assert "for 2 devices" in capsys.readouterr().out


def test_cell_modules_belong_to_a_run_that_finds_its_own_name(work, monkeypatch, capsys):
    (work / "mycells.py").write_text(
        "from rnnzoo import register\nfrom rnnzoo.cells.classic import Elman\n"
        "@register('mine')\nclass Mine(Elman):\n  pass\n"
    )
    (work / "runs/text.txt-mine+elman").mkdir(parents=True)
    monkeypatch.setattr(registry, "_entries", dict(registry._entries))
    monkeypatch.setattr(sys, "path", list(sys.path))
    in_process("--config=tiny.py", "--cell_module=mycells", "--config.cell.name=mine,elman")
    run = runs.open_run("runs/text.txt-mine+elman-2")
    assert run.config.cell.modules == ("mycells",)
    assert {"mine/W", "elman/W"} < run.params.keys()
    assert "cannot be imported" in rejected(capsys, "--config=tiny.py", "--cell_module=mycell")


def test_a_run_whose_parts_do_not_fit_is_told(trained, work):
    shutil.copytree(trained / "runs/a", work / "a")
    (work / "a/vocabulary.json").write_text(
        '{"unit": "characters", "unknown": false, "symbols": "ab"}'
    )
    with pytest.raises(UserError, match=r"elman/U\.w is \(\d+, 8\) instead of \(2, 8\)"):
        runs.open_run("a")


@pytest.mark.parametrize(
    "words, message",
    [
        ("--config.cell.nmae=x", "did you mean 'name'"),
        ("--config.cell.name=elmann", "did you mean 'elman'"),
        ("--config.cell.options.activtion=relu", "did you mean 'activation'"),
        ("--config.optimizer.options.b11=1", "did you mean 'b1'"),
        ("--config.train.truncation=21", "truncation"),
        ("--config.train.max_subsequence_length=9999", "needs a text of at least"),
        ("--config.train.sampling=stream --config.train.batch_size=500", "batch_size"),
        ("--config.corpus.path=none.txt", "there is no file"),
        ("--config.corpus.split=(0.9,0.2,0)", "sum to 1.1"),
        ("--config.sample.prompt=Z", "config.sample.prompt: character 'Z'"),
        ("--config.sample.temperature=-1", "config.sample: temperature"),
        ("--config.sample.temperature=nan", "config.sample: temperature"),
        ("--config.optimizer.warmup=99", "optimizer.warmup"),
        ("--workdir=text.txt", "cannot be written"),
    ],
)
def test_mistakes_are_found_before_anything_is_made(work, capsys, words, message):
    before = sorted(work.rglob("*"))
    assert message in rejected(capsys, "--config=tiny.py", *words.split())
    assert sorted(work.rglob("*")) == before


def test_a_run_is_neither_overwritten_nor_changed(trained, monkeypatch, capsys):
    monkeypatch.chdir(trained)
    before = (trained / "runs/a/metrics.jsonl").read_bytes()
    in_process("--config=tiny.py", "--workdir=runs/a")
    assert "the run is complete" in capsys.readouterr().out
    other = rejected(capsys, "--config=tiny.py", "--workdir=runs/a", "--config.train.epochs=9")
    assert "another config: train.epochs is 9, was 3" in other
    assert (trained / "runs/a/metrics.jsonl").read_bytes() == before
    fixed = rejected(capsys, "--mode=sample", "--workdir=runs/a", "--config.cell.hidden_size=3")
    assert "only config.sample.* can be changed" in fixed


def test_a_mode_that_reads_a_run_names_the_newest(trained, work, monkeypatch, capsys):
    assert "there is none in runs/" in rejected(capsys, "--mode=sample")
    assert "holds no run" in rejected(capsys, "--mode=evaluate", "--workdir=runs/none")
    monkeypatch.chdir(trained)
    assert "the newest run is runs/a" in rejected(capsys, "--mode=sample")


def test_a_loss_that_is_not_finite_ends_in_one_line(work, capsys):
    words = ("--config.optimizer.name=sgd", "--config.optimizer.learning_rate=1e308")
    free = ("--config.optimizer.clip_norm=0", "--config.cell.options.activation=relu")
    error = rejected(capsys, "--config=tiny.py", "--workdir=a", *words, *free)
    assert "in epoch 1 after" in error and "lower optimizer.learning_rate" in error
    assert list((work / "a/checkpoints").iterdir())


def test_ctrl_c_saves_the_parameters(work, monkeypatch, capsys):
    def press(self, epoch, pieces):
        if epoch == 2:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("rnnzoo.log.Log.progress", press)
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(SystemExit) as e:
        in_process("--config=tiny.py", "--workdir=a", "--config.train.epochs=1000")
    assert e.value.code == 130
    line = r"rnnzoo: stopped after epoch 2; saved in a/checkpoints: run .* --workdir=a to go on\n"
    assert re.fullmatch(line, capsys.readouterr().err)
    assert signal.getsignal(signal.SIGINT) is handler
    assert len((work / "a/metrics.jsonl").read_text().splitlines()) == 2
    assert runs.open_run("a").params


@pytest.mark.parametrize(
    ("words", "begins", "has"),
    [
        (["--help"], "Trains a recurrent network", "rnnzoo watch"),
        (["train", "-h"], "rnnzoo train [FLAGS]", "--config.cell.name='gru'"),
        (["--mode=watch", "--help"], "rnnzoo watch [RUN] [FLAGS]", "--interval"),
    ],
)
def test_help_reads_well(capsys, words, begins, has):
    with pytest.raises(SystemExit) as e:
        main.parse(["rnnzoo", *words])
    out = capsys.readouterr().out
    assert e.value.code == 0
    assert out.startswith(begins) and has in out


def test_cells_lists_every_cell(capsys):
    in_process("cells")
    out = capsys.readouterr().out
    lines = [line.split()[0] for line in out.splitlines() if line.startswith("  ")]
    assert set(registry.names()) <= set(lines)
    assert f"{len(registry.names())} cells" in out
    in_process("--mode=cells")
    assert capsys.readouterr().out == out


def printed(capsys, *words):
    """The JSON document that a command prints."""
    in_process(*words, "--json")
    captured = capsys.readouterr()
    assert captured.err == ""
    return json.loads(captured.out)


def test_listings_as_json(trained, monkeypatch, capsys):
    monkeypatch.chdir(trained)
    in_process("evaluate", "runs/a")
    shown = re.findall(r"(\w+) +([\d.]+) nats +([\d.]+) bpc", capsys.readouterr().out)
    found = printed(capsys, "evaluate", "runs/a")
    parts = found.pop("parts")
    assert found == {"run": "runs/a"}
    assert [(p, f"{v['nats']:.4f}", f"{v['bpc']:.4f}") for p, v in parts.items()] == shown

    words = ("sample", "runs/a", "--config.sample.count=2", "--config.sample.prompt=the")
    in_process(*words)
    shown = re.findall(r"--- \d\n(the.{9})\n", capsys.readouterr().out)
    assert printed(capsys, *words) == {"run": "runs/a", "prompt": "the", "samples": shown}

    found = {cell["name"]: cell for cell in printed(capsys, "cells")}
    assert list(found) == registry.names()
    gru = found["gru"]
    assert (gru["family"], gru["cites"], gru["linear"]) == ("gru", "cho2014learning", False)
    assert gru["options"]["initializer"] == "'orthogonal'" and gru["summary"].startswith(
        "The gated"
    )
    assert found["lru"]["linear"] is True


def test_reproduce_as_json_prints_nothing_of_the_training(monkeypatch, capsys):
    def reproduce(folder, console):
        console.print("compiled in 3 s")
        return 6

    monkeypatch.setattr("rnnzoo.main.reproduction.reproduce", reproduce)
    found = {"run": "runs/a", "reproduced": True, "epochs": 6}
    assert printed(capsys, "reproduce", "runs/a") == found


def test_quiet_is_the_result_alone(trained, monkeypatch, capsys):
    monkeypatch.chdir(trained)
    in_process("--config=tiny.py", "--workdir=runs/a", "--quiet")  # complete already
    line = r"runs/a: epoch 3/3  loss [\d.]+ nats = .* characters/s\n"
    assert re.fullmatch(line, capsys.readouterr().out)
    in_process("cells", "--quiet")
    assert "checks one" not in capsys.readouterr().out


def test_verbose_says_what_is_compiled_and_where_an_error_is_from(trained):
    words = ("evaluate", "runs/a", "--split=train", "--verbose")
    done = command(trained, *words)
    assert done.returncode == 0 and done.stdout.startswith("train ")
    assert "ompiling" in done.stderr and "_mean_loss" in done.stderr
    done = command(trained, "--config=tiny.py", "--config.cell.name=elmann", "--verbose")
    assert done.returncode == 2 and done.stdout == ""
    trace, _, last = done.stderr.rstrip().rpartition("\n")
    assert last.startswith("rnnzoo: ") and "did you mean 'elman'" in last
    assert "Traceback" in trace and "registry.py" in trace


def test_colours_and_cursor_are_for_terminals_alone(trained):
    """Nothing but text where there is no terminal, whatever the environment says of its kind."""
    environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    for words in ("cells", "watch runs/a"):
        line = [sys.executable, "-m", "rnnzoo.main", *words.split()]
        done = subprocess.run(line, cwd=trained, env=environment, capture_output=True, timeout=120)
        assert done.returncode == 0 and b"\x1b" not in done.stdout + done.stderr


def test_a_reader_that_goes_away_ends_it_without_a_word(trained):
    reads, writes = os.pipe()
    os.close(reads)
    line = [sys.executable, "-m", "rnnzoo.main", "cells"]
    done = subprocess.run(line, cwd=trained, stdout=writes, stderr=subprocess.PIPE, timeout=120)
    os.close(writes)
    assert (done.returncode, done.stderr) == (141, b"")
