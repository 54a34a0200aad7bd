"""Several seeds at once, each of which is to come out like a run of its own."""

import json
import signal

import jax
import numpy as np
import pytest

from benchmarks import seeds as benchmark
from rnnzoo import config as configs
from rnnzoo import make, optimizers, runs, session, update
from rnnzoo.checkpoint import Series
from rnnzoo.errors import UserError
from rnnzoo.model import language_model
from rnnzoo.train import Trainer, source

TEXT = np.array([0, 1, 2, 3, 2, 1] * 12, np.int32)
V, B, T, L = 4, 2, 5, 13
pytestmark = pytest.mark.usefixtures("compiled_once")


@pytest.mark.parametrize(
    ("sampling", "devices", "at_once"), [("subsequence", 2, True), ("stream", 1, False)]
)
def test_each_seed_is_as_if_it_were_alone(sampling, devices, at_once, monkeypatch):
    monkeypatch.setattr(update, "AT_ONCE", 10**9 if at_once else 0)
    turns, in_turn = [], update._in_turn
    monkeypatch.setattr(update, "_in_turn", lambda *a: turns.append(a) or in_turn(*a))
    model = language_model(lambda: make("elman", 6), V)
    optimizer = optimizers.make("adam", 0.02, updates=100)
    text = source(TEXT, sampling, B, T, L)

    def trained(seed, seeds):
        trainer = Trainer(model, optimizer, text, seed, devices, seeds=seeds)
        assert trainer.mesh.size == devices
        state = trainer.start()
        for number in (1, 2):
            state, epoch = trainer.epoch(state, number)
        return [trainer.params(state, i) for i in range(seeds)], epoch

    together, outcome = trained(3, 2)
    assert bool(turns) != at_once
    assert outcome.pieces == text.pieces and outcome.losses[0] != outcome.losses[1]
    for i in range(2):
        (alone,), epoch = trained(3 + i, 1)
        np.testing.assert_allclose(outcome.losses[i], epoch.loss, rtol=1e-10)
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-12), together[i], alone
        )


@pytest.fixture
def work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text("the cat sat on the mat. " * 40)
    return tmp_path


def config(split=(0.8, 0.2, 0), **train):
    return configs.complete(
        {
            "seeds": 2,
            "cell": {"name": "elman", "hidden_size": 8},
            "corpus": {"path": "text.txt", "split": split},
            "train": {
                "epochs": 4, "batch_size": 2, "truncation": 8, "max_subsequence_length": 40,
                "log_every": 2, "evaluate_every": 2, "save_minutes": 0, "seed": 5, **train,
            },
            "sample": {"length": 5},
        }
    )  # fmt: skip


def test_orthogonal_matrices_are_made_one_after_the_other():
    """XLA's QR decomposition of several at once was seen to wait for ever on a CPU."""
    model = language_model(lambda: make("gru", 6), V)
    optimizer = optimizers.make("adam", 0.02, updates=100)
    trainer = Trainer(model, optimizer, source(TEXT, "stream", B, T, L), seeds=2)
    lines = str(jax.make_jaxpr(trainer._initial)()).splitlines()
    decompositions = [line for line in lines if "= qr[" in line]
    assert decompositions and not any("[2," in line for line in decompositions)


def test_a_run_of_seeds_keeps_the_best_and_resumes_to_the_bit(work, monkeypatch, capsys):
    whole = session.train(config(), "whole")
    out = capsys.readouterr().out
    assert "for each of 2 seeds" in out and " ± " in out
    seen = []

    def progress(self, epoch, pieces):
        seen.append((epoch, pieces))
        if len(seen) == 7:
            signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr("rnnzoo.log.Log.progress", progress)
        patch.setattr("rnnzoo.train.CHARACTERS_PER_CALL", 1)  # one piece a call
        with pytest.raises(session.Stopped, match="in epoch 2 after 2 pieces"):
            session.train(config(), "cut")
    session.train(config(), "cut")
    ends = []
    for folder in (whole, work / "cut"):
        found = Series(folder / "checkpoints", 1).newest()
        shapes = session.prepare(config()).trainer.saved_shapes()
        ends.append({name: found.restore(name, shapes[name]) for name in shapes})
    jax.tree.map(np.testing.assert_array_equal, *ends)
    rows = [json.loads(line) for line in (whole / "metrics.jsonl").read_text().splitlines()]
    best = Series(whole / "best", 1).newest()
    validations = {
        (loss, 5 + i) for row in rows for i, loss in enumerate(row.get("validation_losses", []))
    }
    assert (best.notes["validation_loss"], best.notes["seed"]) == min(validations)
    assert list(runs.evaluate(runs.open_run(whole)).values()) == [best.notes["validation_loss"]]


def test_without_a_validation_the_first_seed_is_read(work):
    folder = session.train(config(split=(1, 0, 0)), "a")
    alone = config(split=(1, 0, 0))
    alone.seeds = 1
    single = runs.open_run(session.train(alone, "b")).params
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-12),
        runs.open_run(folder).params,
        single,
    )


def test_the_last_seed_must_be_one(work):
    with pytest.raises(UserError, match=r"2 seeds from train\.seed 4294967295 on go beyond"):
        session.train(config(seed=2**32 - 1), "a")
    with pytest.raises(UserError, match=r"config\.seeds must be at least 1"):
        configs.complete({"seeds": 0})


@pytest.mark.slow
def test_the_benchmark_compares_with_runs_in_a_row(tiny_benchmarks, run_benchmark, checked_losses):
    sizes = {"hidden_size": 8, "truncation": 4, "vocabulary_size": 5, "rounds": 1}
    table, result = run_benchmark(benchmark, cells="elman", seeds="3", batch_size="2", **sizes)
    (losses,) = checked_losses
    assert len(losses["at once"]) == len(losses["in a row"]) == 3
    rows = result["rows"]
    assert [row["contender"] for row in rows] == ["in a row", "at once"] and "at once" in table
    assert rows[0]["speedup"] == 1 and all(row["characters_per_second"] > 0 for row in rows)
