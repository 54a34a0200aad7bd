"""Tasks as data: what every one keeps to, their baselines, their registry."""

import dataclasses
import math
import pathlib
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rnnzoo
from benchmarks import task_gallery
from rnnzoo import tasks
from rnnzoo.errors import UserError
from rnnzoo.tasks import registry
from rnnzoo.tasks.capacity import remembered_bits


@pytest.fixture(autouse=True)
def only_for_this_test(monkeypatch):
    monkeypatch.setattr(registry, "_entries", dict(registry._entries))


def test_batches_are_drawn_inside_of_scan_and_vmap():
    task, keys = tasks.make("even_pairs"), jax.random.split(jax.random.key(0), 3)
    one_by_one = [task.sample(key, 4, 5).inputs for key in keys]
    _, scanned = jax.lax.scan(lambda _, key: (None, task.sample(key, 4, 5).inputs), None, keys)
    np.testing.assert_array_equal(scanned, one_by_one)
    np.testing.assert_array_equal(
        jax.vmap(lambda key: task.sample(key, 4, 5).inputs)(keys), scanned
    )
    assert (one_by_one[0] != one_by_one[1]).any()


def test_baselines_in_closed_form():
    make = tasks.make
    assert math.isclose(make("copy").baseline(100), 10 * math.log(8) / 120)
    assert math.isclose(make("copy").chance(100), (110 + 10 / 8) / 120)
    assert math.isclose(make("selective_copy").baseline(64), math.log(4))
    assert make("adding").baseline(9) == 1 / 6 and make("sines").baseline(9) == 1
    for name in ("parity", "even_pairs", "delayed_xor", "tomita", "dyck", "capacity"):
        assert math.isclose(make(name).baseline(20), math.log(2))
        assert math.isclose(make(name).chance(20), 1 / 2)
    assert make("tomita", grammar=2).baseline(7) == 0  # no word of odd length belongs to it
    assert math.isclose(make("word_problem", group="A5").baseline(9), math.log(60))
    assert math.isclose(make("word_problem", group="S3", moved=2).baseline(1), math.log(4))
    assert math.isclose(make("cycle_navigation").baseline(256), math.log(5))
    assert math.isclose(make("cycle_navigation", places=3).baseline(1), math.log(3))
    # x + y and x - y are 0 in 5 of 25 cases each, x y in 9.
    assert make("modular_arithmetic").chance(3) == pytest.approx((5 + 5 + 9) / 75)
    assert make("modular_arithmetic").chance(4) == make("modular_arithmetic").chance(3)
    assert math.isclose(make("mqar", vocabulary=9, pairs=2).baseline(64), math.log(5))


def test_loss_and_metrics():
    task = tasks.make("parity", every_step=True)
    batch = task.sample(jax.random.key(0), 6, 8, shortest=3)
    right = 50 * jax.nn.one_hot(batch.targets, 2)
    assert task.metrics(right, batch) == pytest.approx(
        {"loss": 0, "accuracy": 1, "sequence_accuracy": 1}, abs=1e-9
    )
    one_wrong = right.at[1, 2].set(right[1, 2, ::-1])  # the second step of the third row
    found = task.metrics(one_wrong, batch)
    steps = float(batch.weights.sum())
    assert found["accuracy"] == pytest.approx(1 - 1 / steps)
    assert found["sequence_accuracy"] == pytest.approx(5 / 6)
    assert found["loss"] == pytest.approx(50 / steps)
    padded = right.at[-1].set(jnp.where(batch.weights[-1:].T > 0, right[-1], right[-1, :, ::-1]))
    assert (padded != right).any() and task.metrics(padded, batch)["accuracy"] == 1
    assert task.loss(jnp.zeros((8, 6, 2)), batch) == pytest.approx(math.log(2))


def test_loss_of_reals():
    task = tasks.make("adding")
    batch = task.sample(jax.random.key(0), 5, 4)
    wrong = batch.targets + jnp.arange(5)[:, None]
    assert task.metrics(wrong, batch) == {"loss": pytest.approx(np.mean(np.arange(5) ** 2))}


@pytest.mark.parametrize("classes, right", [(2, 0.8), (2, 1.0), (4, 0.6)])
def test_remembered_bits_are_the_mutual_information(classes, right):
    """Of the table of labels and answers, from the definition of mutual information."""
    table = np.full((classes, classes), (1 - right) / (classes - 1) / classes)
    np.fill_diagonal(table, right / classes)
    independent = np.outer(table.sum(axis=1), table.sum(axis=0))
    there = table > 0
    bits = (table[there] * np.log2(table[there] / independent[there])).sum()
    assert remembered_bits(right, 300, classes) == pytest.approx(300 * bits)


def test_remembered_bits_at_the_ends():
    assert remembered_bits(1.0, 1000) == 1000
    assert remembered_bits(0.5, 1000) == remembered_bits(0.3, 1000) == 0
    assert remembered_bits(1.0, 10, classes=8) == 30


def test_every_task_has_a_summary_and_a_known_citation():
    bibliography = (pathlib.Path(__file__).parents[1] / "docs" / "references.bib").read_text()
    keys = set(re.findall(r"^@\w+\{(\S+),", bibliography, re.MULTILINE))
    for name in tasks.names():
        entry = tasks.entry(name)
        assert entry.cites in keys or name == "sines", name
        assert entry.summary and ".. math::" in entry.factory.__doc__


def test_register_a_task_of_ones_own():
    @rnnzoo.register_task("silence", family="test")
    @dataclasses.dataclass(frozen=True)
    class Silence(tasks.Task):
        """Silence: nothing at all. And more."""

        word: int = 1

        @property
        def inputs(self):
            return tasks.Ids(2)

        def draw(self, key, length, steps):
            said = jnp.full(steps, self.word)
            return tasks.Batch(said, said, jnp.ones(steps))

        def marginals(self, length):
            return np.eye(2)[[self.word]]

    assert tasks.names(family="test") == ["silence"] and "copy" in tasks.names()
    assert tasks.entry("silence").summary == "Silence: nothing at all. And more"
    task = tasks.make("silence", word=0)
    assert task.baseline(3) == 0 and not task.sample(jax.random.key(0), 2, 3).targets.any()


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: tasks.make("parityy"), "no task is named 'parityy': did you mean 'parity'"),
        (lambda: tasks.make("copy", rember=3), "'copy' has no option 'rember': .* 'remember'"),
        (lambda: tasks.make("copy", symbols=1), "symbols must be .* at least 2, not 1"),
        (lambda: tasks.make("copy", remember=2.5), "remember must be a whole number .* not 2.5"),
        (lambda: tasks.make("tomita", grammar=8), "grammar must be one of 1 to 7, not 8"),
        (lambda: tasks.make("word_problem", group="T5"), "group 'T5': give S, A or Z"),
        (lambda: tasks.make("word_problem", group="S9"), "'S9': .* 2 to 720 elements"),
        (lambda: tasks.make("word_problem", group="Z5", moved=2), "moved=2 is for S and A"),
        (
            lambda: tasks.make("word_problem", group="A4", moved=2),
            "no element of A4 moves 2 things",
        ),
        (lambda: tasks.make("mqar", pairs=9, vocabulary=16), "9 pairs need a vocabulary of 20"),
        (lambda: tasks.make("sines", shortest_period=1.0), "give more than 2 time steps"),
        (lambda: tasks.make("mqar").sample(None, 2, 30), "length of 30 is too short: take 31"),
        (lambda: tasks.make("parity").sample(None, 2, 3, 4), "lengths from 4 to 3"),
        (lambda: tasks.make("capacity").sample(None, 2, 9), "length of 9 is too short: take 10"),
        (
            lambda: tasks.make("capacity").data(63),
            "1000 different sequences need a length of 10 to 62 bits, not 63",
        ),
        (
            lambda: tasks.make("capacity", width=9),
            "1000 different vectors need a width of 10 to 62 bits, not 9",
        ),
        (lambda: tasks.make("capacity").sample(None, 2, 12, 11), "one length: not 11 to 12"),
        (
            lambda: rnnzoo.register_task("parity")(tasks.entry("copy").factory),
            "'parity' is registered",
        ),
        (lambda: rnnzoo.register_task("mine")(dict), "no class derived from rnnzoo.tasks.Task"),
    ],
)
def test_errors_are_one_clear_line(call, message):
    with pytest.raises(UserError, match=message) as e:
        call()
    assert "\n" not in str(e.value)


def test_the_page_of_the_tasks_is_in_step():
    written = task_gallery.PAGE.read_text(encoding="utf-8")
    assert written == task_gallery.page(), "run: python -m benchmarks.task_gallery"
    assert all(f"\n## {name}\n" in written for name in tasks.names())
