"""The certificate of every registered cell; and that the battery catches each kind of broken cell."""

import functools
import json
import pathlib
import re

import haiku as hk
import jax
import jax.numpy as jnp
import pytest

from rnnzoo import registry
from rnnzoo.certificate import CHECKS, Subject, check
from rnnzoo.certificate import subject as subject_module
from tests.golden import vectors
from tests.references import REFERENCES

H = 8
PARAMETERS = pathlib.Path(__file__).parent / "golden" / "parameters.json"


def subject_for(name):
    return Subject(functools.partial(registry.make, name, H), REFERENCES.get(name))


# These take longest to compile; they are run by `python -m pytest -m slow tests/test_certificates.py`.
SLOW = ("stays_finite", "works_in_bfloat16", "learns")


def failures(name, checks):
    subject = subject_for(name)
    results = [check(c, subject) for c in checks]
    return [f"{r.check}: {r.reason}" for r in results if r.verdict == "failed"]


@pytest.fixture
def one_fast_way(monkeypatch):
    """The unroller's default and a cell's own `parallel`; loops in chunks are a matter of minutes."""
    monkeypatch.setattr(subject_module, "FASTER", ("deferred",))


@pytest.mark.usefixtures("one_fast_way")
@pytest.mark.parametrize("name", registry.names())
def test_certificate(name):
    assert not failures(name, [c for c in CHECKS if c not in SLOW])


@pytest.mark.slow
@pytest.mark.parametrize("name", registry.names())
def test_certificate_of_long_and_rough_use(name):
    assert not failures(name, ("strategies_agree", *SLOW))


@pytest.mark.parametrize("name", vectors.names())
def test_another_library_computed_the_same(name):
    vectors.compare(name)


def test_no_cell_is_exempt():
    assert sorted(REFERENCES) == registry.names() and len(registry.names()) >= 75
    assert set(SLOW) < set(CHECKS)


def test_saved_runs_keep_loading():
    """Golden names and shapes of parameters; after adding a cell: python -m tests.golden.parameters."""
    from tests.golden import parameters

    golden = json.loads(PARAMETERS.read_text(encoding="utf-8"))
    assert sorted(golden) == registry.names()
    for name, shapes in parameters.collect().items():
        assert shapes == golden[name], name


class Broken(hk.RNNCore):
    """An Elman cell, to be broken by the subclasses."""

    def __call__(self, x, h):
        h = jnp.tanh(hk.Linear(H, name="U")(x) + hk.Linear(H, name="W")(h))
        return h, h

    def initial_state(self, batch_size):
        return jnp.zeros((H,) if batch_size is None else (batch_size, H))

    def over_time(self, xs, h):
        outputs = []
        for x in xs:
            output, h = self(x, h)
            outputs.append(output)
        return jnp.stack(outputs), h


class LooksAhead(Broken):
    def parallel(self, xs, h):
        return self.over_time(jnp.roll(xs, -1, axis=0), h)


class LosesTheCarry(Broken):
    def parallel(self, xs, h):
        outputs, _ = self.over_time(xs, h)
        return outputs, outputs[0]


class HidesState(Broken):
    """Its output depends on where in a call it stands: more than its state says."""

    def parallel(self, xs, h):
        outputs, h = self.over_time(xs, h)
        return outputs + jnp.arange(len(xs))[:, None, None], h


class ChangesTheStatesType(Broken):
    def __call__(self, x, h):
        output, h = super().__call__(x, h)
        return output, h.astype(jnp.float32)


class HasADeadParameter(Broken):
    def __call__(self, x, h):
        unused = hk.get_parameter("unused", (H,), x.dtype, jnp.ones)
        output, h = super().__call__(x, h)
        return output + 0 * unused, h


class StopsAGradient(Broken):
    def __call__(self, x, h):
        output, h = super().__call__(x, h)
        return output, h + jax.lax.stop_gradient(jnp.sin(h))


class Explodes(Broken):
    def __call__(self, x, h):
        h = 3 * h + hk.Linear(H)(x)
        return h, h


class Overflows(Broken):
    def __call__(self, x, h):
        e = jnp.exp(hk.Linear(H)(x))
        h = 0.5 * h + e / (1 + e)
        return h, h


class InsistsOnFloat32(Broken):
    def __call__(self, x, h):
        output, h = super().__call__(x, h)
        return output * jnp.ones(H, jnp.float32), h


class MixesRows(Broken):
    def __call__(self, x, h):
        output, h = super().__call__(x, h)
        return output - h.mean(axis=0), h


class Forgets(Broken):
    def __call__(self, x, h):
        h = jnp.tanh(hk.Linear(H)(x))
        return h, h


@pytest.mark.parametrize(
    "core, caught_by, reason",
    [
        (LooksAhead, "is_causal", "earlier output"),
        (LooksAhead, "strategies_agree", "'parallel'"),
        (LosesTheCarry, "strategies_agree", "'parallel': last state"),
        (LosesTheCarry, "carries_over_a_cut", "'parallel' in two halves"),
        (HidesState, "carries_over_a_cut", "'parallel' in two halves"),
        (ChangesTheStatesType, "strategies_agree", "float64.*float32"),
        (HasADeadParameter, "every_parameter_has_a_gradient", "unused"),
        (StopsAGradient, "gradients_match_differences", "by differences"),
        (Explodes, "stays_finite", "inputs of size 1, 2000 steps"),
        (Overflows, "stays_finite", "inputs of size 10000.*NaN"),
        (InsistsOnFloat32, "works_in_bfloat16", "float32"),
        (MixesRows, "works_under_vmap_and_unbatched", "against a batch"),
        (Forgets, "learns", "nats"),
    ],
)
def test_a_broken_cell_is_caught(core, caught_by, reason):
    subject = Subject(core)
    result = check(caught_by, subject)
    assert result.verdict == "failed"
    assert re.search(reason, result.reason), result.reason


def test_a_wrong_equation_is_caught():
    subject = Subject(functools.partial(registry.make, "lstm", H), REFERENCES["gru"])
    assert check("equals_reference", subject).verdict == "failed"
    wrong = lambda p, x, h: (h, jnp.sin(REFERENCES["elman"](p, x, h)[1]))  # noqa: E731
    subject = Subject(functools.partial(registry.make, "elman", H), wrong)
    assert "outputs" in check("equals_reference", subject).reason


def test_the_sound_cell_passes_every_check():
    subject = Subject(Broken)
    verdicts = {c: check(c, subject).verdict for c in CHECKS}
    assert verdicts.pop("equals_reference") == "not applicable"
    assert set(verdicts.values()) == {"passed"}
