"""The peers compute what rnnzoo computes, the check would notice if not, and each benchmark runs."""

import importlib.util
import math
import sys

import jax
import numpy as np
import pytest
from test_benchmarks import check_losses_agree, check_result, check_times

import rnnzoo
from benchmarks import job, layers, peers, sampling, settings, workloads
from benchmarks.peers import haiku
from rnnzoo.errors import UserError
from rnnzoo.model import language_model
from rnnzoo.sampler import sample
from rnnzoo.weights.torchrecurrent import CELLS as TWINS

T, B, D, H = 5, 2, 3, 4
CELLS = {
    "haiku": ("elman", "gru", "lstm"),
    "torch": ("elman", "stacked_elman", "gru", "lstm"),
    "torchrecurrent": tuple(TWINS),
    "flax": ("elman", "gru", "lstm"),
    "keras": ("elman", "gru", "lstm"),
}
GATES = {"gru": 3, "lstm": 4}
PAIRS = [(peer, cell) for peer, cells in CELLS.items() for cell in cells]

pytestmark = pytest.mark.usefixtures("tiny_benchmarks")


def load(name, monkeypatch):
    """A peer's adapter, torch's on one thread; the test is skipped where the package is missing."""
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is an extra: pip install -e '.[peers]'")
    if name in ("torch", "torchrecurrent"):
        monkeypatch.setattr(importlib.import_module("benchmarks.peers.torch"), "THREADS", (1,))
    return peers.load(name)


def with_rnnzoo(peer, cell, wrong=lambda params: params):
    """A peer's layers beside rnnzoo's, with parameters that may be wrong."""
    options = haiku.options(cell) if peer is haiku else {}
    xs = layers.inputs(T, B, H if cell in getattr(peer, "SQUARE", ()) else D)
    found = layers.contenders(cell, H, options, xs, [])
    params = wrong(layers.parameters(cell, H, options, xs))
    if peer.__name__.endswith("keras"):  # on JAX it computes in single precision only
        params, xs = jax.tree.map(lambda a: a.astype(np.float32), (params, xs))
    theirs = peer.layers(cell, H, params, xs)
    assert theirs
    return {**found, **theirs}


@pytest.mark.parametrize("name, cell", PAIRS)
def test_loss_and_gradients_are_those_of_rnnzoo(name, cell, monkeypatch, checked_losses):
    layers.check(with_rnnzoo(load(name, monkeypatch), cell))
    (figures,) = checked_losses
    # torch rounds the slope of the hard sigmoid to single precision, Keras everything.
    tolerance = 1e-5 if name == "keras" or cell in ("sgu", "dsgu") else 1e-10
    check_losses_agree(figures, list(figures), tolerance)
    assert all(np.shape(found) == (3,) and np.all(found) for found in figures.values())


@pytest.mark.parametrize("name, cell", [pair for pair in PAIRS if pair[1] in GATES])
def test_a_wrong_order_of_gates_is_noticed(name, cell, monkeypatch):
    """Even if only the biases of two sigmoid gates are taken for each other."""

    def swap_first_two(a):
        if a.ndim > 1 or len(a) == H:
            return a
        first, second, *rest = np.split(a, GATES[cell])
        return np.concatenate([second, first, *rest])

    found = with_rnnzoo(
        load(name, monkeypatch), cell, lambda params: jax.tree.map(swap_first_two, params)
    )
    with pytest.raises(ArithmeticError, match="do not compute the same function"):
        layers.check(found)


@pytest.mark.parametrize("name, cell", [pair for pair in PAIRS if "elman" in pair[1]])
def test_a_transposed_matrix_is_noticed(name, cell, monkeypatch):
    def transpose(a):
        return a.T if a.shape == (H, H) else a

    found = with_rnnzoo(
        load(name, monkeypatch), cell, lambda params: jax.tree.map(transpose, params)
    )
    with pytest.raises(ArithmeticError, match="do not compute the same function"):
        layers.check(found)


@pytest.mark.parametrize("part", [1, 2])
def test_a_gradient_that_is_not_computed_is_noticed(part):
    found = with_rnnzoo(haiku, "lstm")
    name, layer = found.popitem()

    def read(result):
        result = list(layer.read(result))
        result[part] = jax.tree.map(np.zeros_like, result[part])
        return result

    with pytest.raises(ArithmeticError, match="haiku, dynamic_unroll and rnnzoo do not"):
        layers.check({**found, name: layer._replace(read=read)})


def test_figures_that_overflow_tell_nothing():
    with pytest.raises(ArithmeticError, match="inf"):
        workloads.check_same({"a": [math.inf], "b": [math.inf]})


def test_layers(run_benchmark):
    asked = {"hidden_size": H, "time_steps": T, "rounds": 2}
    table, result = run_benchmark(layers, peers="haiku", cells="gru,lstm", batch_size=B, **asked)
    check_result(result, "layers", cells=["gru", "lstm"], peers=["haiku"], batch_size=[B], **asked)
    names = {
        "gru": ["rnnzoo", "plain lax.scan", "rnnzoo, reset=before", "haiku, dynamic_unroll"],
        "lstm": ["rnnzoo", "plain lax.scan", "haiku, dynamic_unroll"],
    }
    rows = {(row["cell"], row["contender"]): row for row in result["rows"]}
    assert list(rows) == [(cell, name) for cell in names for name in names[cell]]
    for row in rows.values():
        check_times(row)
        assert math.isclose(row["microseconds_per_step"], 1e6 * row["median_seconds"] / T)
        ours = rows[row["cell"], row["compared_with"]]
        assert math.isclose(row["times_rnnzoo"], row["median_seconds"] / ours["median_seconds"])
        assert f"{row['times_rnnzoo']:.2f}" in table
    assert rows["gru", "haiku, dynamic_unroll"]["compared_with"] == "rnnzoo, reset=before"
    assert rows["lstm", "haiku, dynamic_unroll"]["compared_with"] == "rnnzoo"


def test_layers_forward_and_in_bfloat16():
    rows = layers.measure(["elman"], ["haiku"], H, T, [B], 1, ("forward", "both"), "bfloat16")
    names = ["rnnzoo", "plain lax.scan", "rnnzoo, activation=relu", "haiku, dynamic_unroll"]
    assert [(r["pass"], r["contender"]) for r in rows] == [
        (each, name) for each in ("forward", "both") for name in names
    ]
    forward, both = (row["first_call_seconds"] for row in rows if row["contender"] == "rnnzoo")
    assert 0 < forward != both > 0  # each of a call of its own


def test_peers_that_are_not_installed_are_left_out(monkeypatch, capsys):
    for name in peers.NAMES[1:]:
        monkeypatch.setitem(sys.modules, name, None)
        monkeypatch.delitem(sys.modules, f"benchmarks.peers.{name}", raising=False)
    assert list(peers.choose(["all"])) == ["haiku"]
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4
    assert "the peer flax needs the package 'flax'" in lines[2] and "pip install" in lines[2]
    with pytest.raises(UserError, match=r"peer torch needs .*\[peers\]"):
        peers.choose(["haiku", "torch"])


def test_cells_that_the_peer_lacks():
    assert settings.cells(["all"], ["gru"], ["gru"]) == ["gru"]
    with pytest.raises(UserError, match="--cells=elman: this benchmark cannot run it: known: gru"):
        settings.cells(["elman"], ["gru"], ["gru"])


@pytest.fixture
def torch(monkeypatch):
    return load("torch", monkeypatch)


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("Hohoho, hohoho!\n", encoding="utf-8")
    return path


def test_job(run_benchmark, torch, text, checked_losses):
    """Pieces of 3, 3 and 1; that the losses agree shows state, biases and Adam to be the same."""
    asked = {"hidden_size": H, "truncation": 3, "max_subsequence_length": 7, "rounds": 2}
    table, result = run_benchmark(job, corpus=text, batch_size=B, **asked)
    check_result(result, "job", corpus=str(text), batch_size=[B], **asked)
    forms = {"gru": "torch.nn.GRU", "lstm": "torch.nn.LSTM"}
    names = {cell: ["rnnzoo", f"{forms.get(cell, 'torch loop')}, 1 thread"] for cell in job.CELLS}
    assert [(row["cell"], row["contender"]) for row in result["rows"]] == [
        (cell, name) for cell in names for name in names[cell]
    ]
    for row in result["rows"]:
        check_times(row)
        assert math.isclose(row["characters_per_second"], B * 7 / row["median_seconds"])
        assert f"{row['characters_per_second']:,.0f}" in table
    for losses, expected in zip(checked_losses, names.values(), strict=True):
        check_losses_agree(losses, expected)


def test_sampling(run_benchmark, torch, checked_losses, monkeypatch):
    monkeypatch.setattr(sampling, "DRAWN", 4)
    table, result = run_benchmark(sampling, hidden_size=H, vocabulary_size=7, rounds=2)
    check_result(result, "sampling", hidden_size=H, vocabulary_size=7)
    assert [(row["cell"], row["contender"]) for row in result["rows"]] == [
        (cell, name) for cell in sampling.CELLS for name in ("rnnzoo", "torch loop, 1 thread")
    ]
    for row in result["rows"]:
        check_times(row)
        assert math.isclose(row["characters_per_second"], 4 / row["median_seconds"])
        assert f"{row['characters_per_second']:,.0f}" in table
    for losses in checked_losses:
        check_losses_agree(losses, ["rnnzoo", "torch"])


def test_the_likeliest_characters_are_those_of_rnnzoo(torch):
    V, vocabulary = 7, workloads.vocabulary(7)
    model = language_model(lambda: rnnzoo.make("gru", H), V)
    params = jax.tree.map(lambda a: 3 * a + 0.1, jax.jit(model.init)(jax.random.key(3)))
    (ours,) = sample(model, params, vocabulary, length=20, temperature=0)
    drawn = torch.Sampler("gru", params).sample(vocabulary.start_id, 20, 1e-6, threads=1)
    assert len(set(ours)) > 1 and vocabulary.decode(drawn) == ours


@pytest.mark.parametrize("benchmark", [job, sampling])
def test_another_order_of_gates_stops_the_run(benchmark, torch, text, monkeypatch):
    weights = torch.torch_weights

    def swapped(cell, params):
        """The forget gate taken for the input gate."""
        return {
            k: np.concatenate([w[H : 2 * H], w[:H], w[2 * H :]])
            for k, w in weights(cell, params).items()
        }

    monkeypatch.setattr(torch, "torch_weights", swapped)
    with pytest.raises(ArithmeticError, match="do not compute the same function"):
        if benchmark is job:
            job.measure(str(text), ["lstm"], H, 3, 7, [B], 1)
        else:
            sampling.measure(["lstm"], H, 7, 1)
