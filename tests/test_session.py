"""A training that is stopped, resumed, forked, or refused; those that are killed: test_faults.py."""

import json
import math
import os
import signal

import jax
import numpy as np
import pytest

from rnnzoo import config as configs
from rnnzoo import main, runs, session
from rnnzoo.checkpoint import Series
from rnnzoo.errors import UserError
from rnnzoo.session import Stopped

TEXT = "the cat sat on the mat. " * 40
pytestmark = pytest.mark.usefixtures("compiled_once")


@pytest.fixture(autouse=True)
def work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text(TEXT)
    return tmp_path


def config(**train):
    """A tiny training, of some epochs with several pieces each."""
    return configs.complete(
        {
            "cell": {"name": "gru", "hidden_size": 8},
            "corpus": {"path": "text.txt", "split": (0.8, 0.2, 0)},
            "train": {
                "epochs": 6, "batch_size": 2, "truncation": 8, "max_subsequence_length": 40,
                "log_every": 2, "evaluate_every": 2, "save_minutes": 0, **train,
            },
            "sample": {"length": 5},
        }
    )  # fmt: skip


def losses(folder):
    """What metrics.jsonl says, but for the speed."""
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if k != "chars_per_second"} for row in rows]


def arrays(folder):
    """All arrays of a run's newest checkpoint, and its notes."""
    found = Series(folder / "checkpoints", 1).newest()
    job = session.prepare(configs.load(folder / "config.json"))
    shapes = job.trainer.saved_shapes()
    return {name: found.restore(name, shapes[name]) for name in shapes}, found.notes


def same_end(one, other):
    """Whether two runs ended in the same losses and the same bits."""
    assert losses(one) == losses(other)
    (a, notes_a), (b, notes_b) = arrays(one), arrays(other)
    jax.tree.map(np.testing.assert_array_equal, a, b)
    assert notes_a == notes_b or notes_a["best"] == notes_b["best"]
    samples = [(run / "samples.txt").read_text() for run in (one, other)]
    assert samples[0] == samples[1]


def stop_after(monkeypatch, calls, number=signal.SIGTERM):
    """Raises a signal when the training has shown its progress so many times."""
    seen = []

    def progress(self, epoch, pieces):
        seen.append((epoch, pieces))
        if len(seen) == calls:
            signal.raise_signal(number)

    monkeypatch.setattr("rnnzoo.log.Log.progress", progress)
    monkeypatch.setattr("rnnzoo.train.CHARACTERS_PER_CALL", 16)  # one piece a call


@pytest.mark.parametrize(
    ("sampling", "devices"),
    [
        ("subsequence", 1),
        ("stream", 2),
        pytest.param("subsequence", 2, marks=pytest.mark.slow),
        pytest.param("stream", 1, marks=pytest.mark.slow),
    ],
)
def test_a_run_stopped_twice_ends_like_one_that_never_was(work, monkeypatch, sampling, devices):
    settings = config(sampling=sampling)
    settings.cpu_devices = devices
    whole = session.train(settings, "whole")
    pieces = session.prepare(settings).trainer.source.pieces
    for calls in (2, pieces + 1):  # within the first epoch, and within another
        stop_after(monkeypatch, calls)
        with pytest.raises(Stopped, match=r"stopped .* --workdir=cut to go on") as e:
            session.train(settings, "cut")
        assert e.value.code == 143
        monkeypatch.undo()
        monkeypatch.chdir(work)
    cut = session.train(settings, "cut")
    same_end(whole, cut)


def test_resuming_says_from_where(work, monkeypatch, capsys):
    stop_after(monkeypatch, 3)
    with pytest.raises(Stopped):
        session.train(config(), "a")
    monkeypatch.undo()
    monkeypatch.chdir(work)
    capsys.readouterr()
    session.train(config(), "a")
    out = capsys.readouterr().out
    assert "resumed from a/checkpoints/000000000003, in epoch 1 after 3 pieces" in out
    session.train(config(), "a")
    assert "the run is complete" in capsys.readouterr().out


def test_ctrl_c_is_130_and_twice_is_at_once(work, monkeypatch):
    stop_after(monkeypatch, 1, signal.SIGINT)
    with pytest.raises(Stopped) as e:
        session.train(config(), "a")
    assert e.value.code == 130

    def twice(self, epoch, pieces):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("rnnzoo.log.Log.progress", twice)
    with pytest.raises(KeyboardInterrupt) as e:
        session.train(config(), "b")
    assert not isinstance(e.value, Stopped)


def test_a_changed_config_is_refused_and_forked(work, capsys):
    session.train(config(), "a")
    before = {p: p.read_bytes() for p in (work / "a").rglob("*") if p.is_file()}
    longer = config(epochs=8)
    with pytest.raises(UserError, match=r"another config: train\.epochs is 8, was 6: .*--fork"):
        session.train(longer, "a")
    other = configs.complete({**config().to_dict(), "cell": {"name": "lstm", "hidden_size": 8}})
    with pytest.raises(UserError, match=r"cell\.name is 'lstm', was 'gru'"):
        session.train(other, "a")
    with pytest.raises(UserError, match=r"the params in .* are not this model's"):
        session.train(other, "a", fork=True)
    assert session.train(longer, "a", fork=True).name == "a-2"  # what failed left no folder
    assert "resumed from a/checkpoints" in capsys.readouterr().out
    assert [row["epoch"] for row in losses(work / "a-2")] == [7, 8]
    assert {p: p.read_bytes() for p in (work / "a").rglob("*") if p.is_file()} == before
    with pytest.raises(UserError, match="there is none in --workdir=none"):
        session.train(longer, "none", fork=True)


def test_what_moves_no_parameter_may_change(work):
    session.train(config(), "a")
    changed = config(save_every=1, keep=3)
    changed.sample.temperature = 0.1
    session.train(changed, "a")


def test_a_text_that_changed_is_refused(work):
    session.train(config(), "a")
    (work / "text.txt").write_text(TEXT.replace("mat", "tam", 1))
    with pytest.raises(UserError, match="the text has changed since the run in 'a' began"):
        session.train(config(), "a")


def test_checkpoints_by_epochs(work):
    session.train(config(save_every=2, keep=2), "a")
    pieces = session.prepare(config()).trainer.source.pieces
    found = sorted(int(p.name) for p in (work / "a/checkpoints").iterdir())
    assert found == [4 * pieces, 6 * pieces]


def test_checkpoints_by_the_clock_that_may_go_back(work, monkeypatch):
    """The monotonic clock is the one that is asked: a wall clock set back changes nothing."""
    monkeypatch.setattr("time.time", iter(range(10**9, 0, -1000)).__next__)
    session.train(config(save_minutes=1e-9, keep=9), "a")
    assert len(list((work / "a/checkpoints").iterdir())) == 6


def test_metrics_cut_in_the_middle_of_a_line(work, monkeypatch):
    whole = session.train(config(save_every=2), "whole")
    calls = 2 * session.prepare(config()).trainer.source.pieces + 2
    stop_after(monkeypatch, calls)
    with pytest.raises(Stopped):
        session.train(config(save_every=2), "cut")
    monkeypatch.undo()
    monkeypatch.chdir(work)
    with (work / "cut/metrics.jsonl").open("a") as file:
        file.write('{"epoch": 3, "lo')
    same_end(whole, session.train(config(save_every=2), "cut"))


def test_metrics_that_lost_lines_are_told(work):
    session.train(config(), "a")
    os.truncate(work / "a/metrics.jsonl", 50)
    with pytest.raises(UserError, match=r"metrics\.jsonl is shorter than when it was saved"):
        session.train(config(), "a")


def test_a_damaged_checkpoint_is_told_and_the_one_before_used(work, capsys):
    whole = session.train(config(save_every=2), "whole")
    session.train(config(save_every=2), "a")
    newest = max((work / "a/checkpoints").iterdir())
    largest = max((p for p in newest.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    os.truncate(largest, 10)
    capsys.readouterr()
    session.train(config(save_every=2), "a")
    out = capsys.readouterr().out
    assert f"checkpoint '{newest.relative_to(work)}' is damaged" in out
    assert "after epoch 4" in out
    same_end(whole, work / "a")


def test_two_trainings_in_one_folder(work):
    session.train(config(), "a")
    with session._locked(work / "a"), pytest.raises(UserError, match="another process trains"):
        session.train(config(), "a")
    session.train(config(), "a")  # nobody holds it any more


def rare_nan(monkeypatch, number=3):
    """Makes the gradient of every so many characters NaN."""
    from rnnzoo import update

    entropy = update.mean_loss

    def poisoned(logits, targets, weights):
        loss = entropy(logits, targets, weights)
        return loss * jax.numpy.where(targets[0, 0] == number, jax.numpy.nan, 1.0)

    monkeypatch.setattr(update, "mean_loss", poisoned)


def test_a_piece_that_is_not_finite_is_skipped_or_stops(work, monkeypatch, capsys):
    jax.clear_caches()
    rare_nan(monkeypatch)
    with pytest.raises(UserError, match=r"no finite number any more, in epoch \d after \d+ pieces"):
        session.train(config(epochs=20), "stop")
    params = arrays(work / "stop")[0]["params"]
    assert all(np.all(np.isfinite(a)) for a in jax.tree.leaves(params))
    session.train(config(epochs=20, not_finite="skip"), "stop", fork=True)  # as it advises
    assert losses(work / "stop-2")[-1]["epoch"] == 20
    session.train(config(epochs=20, not_finite="skip"), "skip")
    out = capsys.readouterr().out
    assert "pieces skipped, their loss or gradient is not finite" in out
    rows = losses(work / "skip")
    assert len(rows) == 20 and all(math.isfinite(row["loss"]) for row in rows)
    jax.clear_caches()


def test_the_run_folder_tells_how_to_repeat_it(work):
    session.train(config(), "a")
    found = json.loads((work / "a/provenance.json").read_text())
    assert found["seed"] == 0 and len(found["corpus_sha256"]) == 64
    assert found["packages"]["jax"] == jax.__version__ and "commit" in found


def test_reproduce_runs_it_again_and_compares(work, capsys):
    session.train(config(), "a")
    main.main(main.parse(["rnnzoo", "--mode=reproduce", "--workdir=a"]))
    assert (
        "reproduced: 6 epochs, the same losses and parameters to the bit" in capsys.readouterr().out
    )
    rows = (work / "a/metrics.jsonl").read_text()
    (work / "a/metrics.jsonl").write_text(
        rows.replace('"loss": 1', '"loss": 9', 1).replace('"loss": 2', '"loss": 8', 1)
    )
    with pytest.raises(SystemExit):
        main.main(main.parse(["rnnzoo", "--mode=reproduce", "--workdir=a"]))
    assert "differs" in capsys.readouterr().err


def test_a_run_without_parameters_yet(work):
    (work / "a").mkdir()
    configs.save(config(), work / "a/config.json")
    session.prepare(config()).vocabulary.save(work / "a/vocabulary.json")
    with pytest.raises(UserError, match="holds no parameters yet"):
        runs.open_run("a")
