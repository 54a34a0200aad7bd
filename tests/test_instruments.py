"""The instruments, against what is known of models made for the purpose."""

import functools
import itertools
import json
import math

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rnnzoo
from rnnzoo.evaluate import evaluate
from rnnzoo.instruments import Signal, look_inside, memory, probes
from rnnzoo.instruments.observe import observe, warnings
from rnnzoo.model import language_model

V = 11


@functools.cache
def trained_on_nothing(*names, hidden_size=6, **options):
    make = lambda: rnnzoo.make(list(names), hidden_size, **options)  # noqa: E731
    model = language_model(make, V)
    return model, model.init(jax.random.key(0))


@functools.cache
def text(length=60):
    return np.random.default_rng(0).integers(0, V, length)


def by_hand(model, params, ids):
    """The states after each character, and the nats of each next one, by a Python loop."""
    state, states, nats = model.initial_state(params, 1), [], []
    for before, after in itertools.pairwise(ids):
        logits, state = model.apply(params, None, jnp.array([[before]]), state)
        states.append(state)
        nats.append(-jax.nn.log_softmax(logits[0, 0])[after])
    return states, np.array(nats)


def test_states_gates_and_losses_are_those_of_a_python_loop():
    model, params = trained_on_nothing("lstm")
    inside = look_inside(model, params, text())
    states, nats = by_hand(model, params, text())
    np.testing.assert_allclose(inside.nats, nats, rtol=1e-12)
    np.testing.assert_allclose(inside.nats.mean(), evaluate(model, params, text()), rtol=1e-12)
    found = {(s.kind, s.name): v for s, v in inside.signals.items()}
    assert list(found) == [("state", "h"), ("state", "c"), *(("gate", g) for g in "fio")]
    h, c = (np.stack([np.asarray(s[k][0]) for s in states]) for k in (0, 1))
    np.testing.assert_allclose(found["state", "h"], h, rtol=1e-12)
    np.testing.assert_allclose(found["state", "c"], c, rtol=1e-12)
    np.testing.assert_allclose(found["gate", "o"] * np.tanh(c), h, rtol=1e-12)
    assert (inside.entropies <= math.log(V)).all() and (inside.entropies > 0).all()


def test_a_text_can_be_looked_at_in_parts():
    model, params = trained_on_nothing("lstm")
    whole = look_inside(model, params, text())
    first = look_inside(model, params, text()[:31])
    rest = look_inside(model, params, text()[30:], first.state)
    np.testing.assert_allclose(whole.nats, [*first.nats, *rest.nats], rtol=1e-12)


def test_layers_of_a_stack_and_gates_that_are_computed_side_by_side():
    model, params = trained_on_nothing("elman", "gru")
    names = [(s.layer, s.kind, s.name, s.units) for s in look_inside(model, params, text()).signals]
    gates = [(2, "gate", "r", 6), (2, "gate", "z", 6)]
    assert names == [(1, "state", "h", 6), (2, "state", "h", 6), *gates]
    assert str(Signal(2, "gate", "r", 6)) == "layer 2, gate r"


@pytest.mark.parametrize(
    ("cell", "gates"),
    [
        ("mgu", "f"),
        ("mut1", "zr"),
        ("peephole_lstm", "fio"),
        ("elman", ""),
        ("mamba", ""),  # silu is no gate, though made of a sigmoid
        ("deltanet", ("beta",)),
        ("rg_lru", "ri"),
        ("hgrn", None),  # with a complex state
    ],
)
def test_gates_have_the_letters_of_the_equations(cell, gates):
    model, params = trained_on_nothing(cell, hidden_size=8)
    signals = look_inside(model, params, text()[:5]).signals
    if gates is not None:
        assert [s.name for s in signals if s.kind == "gate"] == list(gates)
    assert any(s.kind == "state" for s in signals)
    assert all(v.shape == (4, s.units) and np.isfinite(v).all() for s, v in signals.items())


def test_a_dropout_mask_is_no_unit():
    model, params = trained_on_nothing("variational_dropout", "zoneout")
    states = [s for s in look_inside(model, params, text()).signals if s.kind == "state"]
    assert [(s.layer, s.units) for s in states] == [(1, 6), (1, 6), (2, 6), (2, 6)]  # h and c each
    assert not any("dead" in line for line in warnings(observe(model, params, text())))


class Saturated(hk.RNNCore):
    """A gate that is always closed, a constant one that is half open, and a dead unit in four."""

    def __call__(self, x, h):
        shut = jax.nn.sigmoid(jnp.broadcast_to(-5.0, h.shape))
        half = jax.nn.sigmoid(0 * h)
        new = shut * half + jnp.sum(x * jnp.arange(V), axis=-1, keepdims=True)
        new = new * jnp.array([1.0, 1, 1, 0])
        return new, new

    def initial_state(self, batch_size):
        return jnp.zeros((batch_size, 4))


def test_saturated_gates_and_dead_units_are_seen():
    model = language_model(Saturated, V)
    rows = observe(model, model.init(jax.random.key(0)), text())
    state, shut, half = rows
    assert (state["kind"], state["dead"]) == ("state", 0.25)
    assert (shut["name"], shut["below"], shut["above"]) == ("shut", 1.0, 0.0)
    assert (half["name"], half["below"], half["above"], half["mean"]) == ("half", 0, 0, 0.5)
    assert sum(shut["counts"]) == shut["counts"][0] == 59 * 4
    json.dumps(rows)
    assert warnings(rows) == [
        "layer 1, state h: 25% of the units are dead, they hardly move",
        "layer 1, gate shut: 100% saturated, nearly always closed",
    ]
    model, params = trained_on_nothing("gru")
    assert not warnings(observe(model, params, text()))


PROSE = 'He said: "Come\nin (now)."\n\n  “Not” I.\n'


def mark(of):
    return "".join("x" if y else c for c, y in zip(PROSE, of(PROSE), strict=True))


def test_properties_of_a_text():
    assert mark(probes.in_quotation) == "He said: xxxxxxxxxxxxxxxx\n\n  xxxxx I.\n"
    assert mark(probes.in_brackets) == 'He said: "Come\nin xxxxx."\n\n  “Not” I.\n'
    assert mark(probes.in_indentation) == 'He said: "Come\nin (now)."\n\nxx“Not” I.\n'
    assert mark(probes.at_line_end) == 'He said: "Comx\nin (now).xx\n  “Not” Ix\n'
    assert mark(probes.at_word_end) == 'Hx saix: "Comx\nix (nox)."\n\n  “Nox” x.\n'
    assert mark(probes.before_capital) == 'He said: xCome\nin (now)."\n\n  xNot”xI.\n'
    assert probes.in_quotation('a "b\n\nc').tolist() == [False] * 2 + [True] * 4 + [False]


def test_probes_find_the_unit_that_tells():
    rng = np.random.default_rng(0)
    prose = "".join(rng.choice(list("ab\n"), 2000))
    ends = probes.at_line_end(prose)
    values = rng.normal(size=(2000, 5))
    values[:, 3] -= 3 * ends
    half_told = values.copy()
    half_told[:, 1] = values[:, 3] + 2 * values[:, 2]  # only together do they tell it as well
    half_told[:, 3] = rng.normal(size=2000)
    told, half = Signal(1, "state", "h", 5), Signal(1, "state", "c", 5)
    found = [
        p for p in probes.probe({told: values, half: half_told}, prose) if "line" in p.property
    ]
    first = next(p for p in found if p.signal == told)
    assert (first.unit, first.sign) == (3, -1)
    assert first.unit_score > 0.95 and first.linear_score > 0.95
    second = next(p for p in found if p.signal == half)
    assert second.unit_score < 0.85 and second.linear_score > 0.95
    assert first.share == pytest.approx(ends.mean())


def test_a_drift_tells_nothing():
    """The text has many line ends at its end, and a unit grows all the time."""
    rng = np.random.default_rng(0)
    rare, often = ("".join(rng.choice(list("abcdefg\n"[i:]), 2000)) for i in (0, 6))
    prose = 2 * (rare + often)
    drift = np.linspace(0, 1, len(prose))[:, None] + rng.normal(0, 0.01, (len(prose), 1))
    found = probes.probe({Signal(1, "state", "c", 1): drift}, prose)
    score = next(p.unit_score for p in found if p.property == "line ends next")
    assert abs(score - 0.5) < 0.05


def test_areas_are_those_of_the_definition():
    rng = np.random.default_rng(1)
    values, labels = rng.integers(0, 4, (30, 2)).astype(float), rng.random((30, 1)) < 0.4
    have, lack = values[labels[:, 0]], values[~labels[:, 0]]
    for unit in range(2):
        above = have[:, None, unit] - lack[None, :, unit]
        expected = ((above > 0) + 0.5 * (above == 0)).mean()
        assert probes.areas(values, labels)[unit, 0] == pytest.approx(expected)


def test_a_property_that_is_too_rare_is_left_out():
    values = np.zeros((100, 2))
    assert probes.probe({Signal(1, "state", "h", 2): values}, "a" * 100) == []


class Linear(hk.RNNCore):
    """h' = A h + (something of x): gradients are powers of A."""

    A = np.array([[0.9, 0.3], [0.0, 0.5]])

    def __call__(self, x, h):
        new = h @ self.A.T + x[..., :2]
        return new, new

    def initial_state(self, batch_size):
        return jnp.zeros((batch_size, 2))


def test_gradients_and_eigenvalues_of_a_linear_recurrence(monkeypatch):
    monkeypatch.setattr(memory, "DIRECTIONS", 4000)
    model = language_model(Linear, V)
    params = model.init(jax.random.key(0))
    ids = np.stack([text(), text()[::-1]], axis=1)
    norms = memory.gradient_norms(model, params, ids, lags=5, warm_up=3)
    powers = [np.linalg.matrix_power(Linear.A, k) for k in range(6)]
    expected = [np.linalg.norm(power) / math.sqrt(2) for power in powers]
    np.testing.assert_allclose(norms, np.stack([expected, expected], axis=1), rtol=0.05)
    found = memory.jacobian_eigenvalues(model, params, text(), positions=3)
    np.testing.assert_allclose(np.sort(found.real, axis=1), [[0.5, 0.9]] * 3, rtol=1e-6)
    assert memory.horizon(norms, share=0.6) == next(k for k in range(6) if expected[k] < 0.6)
    assert memory.horizon(norms, share=1e-9) == math.inf


@pytest.mark.parametrize("cell", ["lstm", "hgrn", "clockwork_rnn"])
def test_gradients_agree_with_products_of_jacobians(cell, monkeypatch):
    """Of cells with several, complex and integer parts of their state."""
    monkeypatch.setattr(memory, "DIRECTIONS", 400)
    model, params = trained_on_nothing(cell, hidden_size=8)
    ids = text()[:14]
    norms = memory.gradient_norms(model, params, ids[:, None], lags=4, warm_up=10)
    jacobians = np.asarray(memory._jacobians(model, params, jnp.asarray(ids), np.arange(10, 14)))
    product = np.eye(jacobians.shape[1])
    for k, jacobian in enumerate(jacobians[::-1], 1):
        product = product @ jacobian
        expected = np.linalg.norm(product) / math.sqrt(len(product))
        assert norms[k, 0] == pytest.approx(expected, rel=0.2)


def test_a_large_state_has_no_eigenvalues(monkeypatch):
    model, params = trained_on_nothing("lstm")
    monkeypatch.setattr(memory, "LARGEST_JACOBIAN", 11)
    assert memory.jacobian_eigenvalues(model, params, text()) is None


class LastTwo(hk.RNNCore):
    """Expects the character before the one it reads: it needs two characters."""

    def __call__(self, x, h):
        return 20 * h, x

    def initial_state(self, batch_size):
        return jnp.zeros((batch_size, V))


def test_the_loss_after_a_reset_shows_how_much_context_counts():
    model = language_model(LastTwo, V)
    params = model.init(jax.random.key(0))
    params["readout"]["w"] = jnp.eye(V)
    ids = np.tile([3, 5], 200)  # the next is always the one before the last
    reset = memory.loss_after_reset(model, params, ids, length=16)
    np.testing.assert_allclose(reset.cold[0], math.log(V), rtol=1e-6)
    assert reset.cold[1:].max() < 1e-6
    assert reset.warm[0] == pytest.approx(
        math.log(V) / 24, rel=1e-3
    )  # but for the text's beginning
    assert [octave[:2] for octave in reset.by_octave()] == [(1, 1), (2, 2), (3, 4), (5, 8), (9, 16)]
    assert reset.context() == 2
    never = memory.Reset(np.ones(16), np.zeros(16))
    assert never.context() == math.inf
