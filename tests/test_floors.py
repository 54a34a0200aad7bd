"""Floors for text: n-grams against their definitions in plain Python, compressors against themselves."""

import bz2
import collections
import itertools
import lzma

import numpy as np
import pytest

from benchmarks import floors as benchmark
from rnnzoo import floors
from rnnzoo.errors import UserError

V = 5
rng = np.random.default_rng(0)
# A text with structure, so that contexts matter, and with counts of every size.
TEXT = np.concatenate(
    [rng.choice(V, 150, p=[0.5, 0.3, 0.15, 0.05, 0]), np.tile([0, 1, 2, 0, 3], 30)]
)
HELD_OUT = np.concatenate([rng.choice(V, 60), TEXT[40:60]])


def grams(text, n):
    return [tuple(text[i : i + n]) for i in range(len(text) - n + 1)]


def counts_of(text, n, order, smoothing):
    if smoothing == "witten_bell" or n == order:
        return collections.Counter(grams(text, n))
    return collections.Counter(gram[1:] for gram in set(grams(text, n + 1)))


def discounts(counts):
    n = [sum(c == i for c in counts.values()) for i in range(5)]
    if 0 in n[1:]:
        return 0.5, 1, 1.5
    Y = n[1] / (n[1] + 2 * n[2])
    found = tuple(i - (i + 1) * Y * n[i + 1] / n[i] for i in (1, 2, 3))
    return found if all(0 <= d <= i for i, d in enumerate(found, 1)) else (0.5, 1, 1.5)


def probability(text, context, symbol, order, smoothing):
    """By recursion from the definition: the context has at most order - 1 characters."""
    shorter = probability(text, context[1:], symbol, order, smoothing) if context else 1 / V
    counts = counts_of(text, len(context) + 1, order, smoothing)
    after = {w: counts[(*context, w)] for w in range(V)}
    total, different = sum(after.values()), sum(c > 0 for c in after.values())
    if not total:
        return shorter
    if smoothing == "witten_bell":
        return (after[symbol] + different * shorter) / (total + different)
    D = (0, *discounts(counts))
    left = sum(D[min(c, 3)] for c in after.values())
    return (after[symbol] - D[min(after[symbol], 3)] + left * shorter) / total


@pytest.mark.parametrize("smoothing, order", [*itertools.product(floors.SMOOTHINGS, (1, 2, 4))])
def test_probabilities_are_those_of_the_definition(smoothing, order):
    text, held_out = TEXT.tolist(), HELD_OUT.tolist()
    found = floors.fit(TEXT, V, order, smoothing).probabilities(HELD_OUT)
    expected = [
        probability(text, tuple(held_out[max(0, t - order + 1) : t]), w, order, smoothing)
        for t, w in enumerate(held_out)
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    nats = floors.fit(TEXT, V, order, smoothing).nats(HELD_OUT)
    assert nats == pytest.approx(-np.log(expected[1:]).mean())


def test_the_text_reaches_estimated_discounts_and_those_that_stand_in():
    of_order = {n: discounts(counts_of(TEXT.tolist(), n, 4, "kneser_ney")) for n in (1, 4)}
    assert of_order[1] == (0.5, 1, 1.5) != of_order[4]


@pytest.mark.parametrize("smoothing, order", [*itertools.product(floors.SMOOTHINGS, (1, 3, 6))])
def test_probabilities_sum_to_one(smoothing, order):
    model = floors.fit(TEXT, V, order, smoothing)
    for context in ([], [4], [4, 4, 4, 4, 4], [0, 1, 2, 0, 3], TEXT[-5:], [2, 3, 3, 0, 1]):
        p = [model.probabilities(np.array([*context, w]))[-1] for w in range(V)]
        assert sum(p) == pytest.approx(1) and min(p) > 0


def test_a_text_shorter_than_the_order():
    for smoothing in floors.SMOOTHINGS:
        nats = [floors.fit(TEXT[:2], V, n, smoothing).nats(HELD_OUT) for n in (2, 6)]
        assert nats[0] == nats[1] > 0


def test_a_longer_context_helps_where_there_is_one():
    periodic = np.tile([0, 1, 0, 2], 100)
    for smoothing in floors.SMOOTHINGS:
        nats = [floors.fit(periodic, V, n, smoothing).nats(periodic) for n in (1, 2, 3)]
        assert nats[0] > 1 > nats[1] > nats[2] < 0.1


@pytest.mark.parametrize("name, compress", [
    ("xz", lambda data: lzma.compress(data, preset=9 | lzma.PRESET_EXTREME)),
    ("bz2", bz2.compress),
])  # fmt: skip
def test_compressors_count_what_comes_after(name, compress):
    train, test = bytes(TEXT.astype(np.uint8)), bytes(HELD_OUT.astype(np.uint8))
    alone = 8 * len(compress(test))
    assert floors.compressed_bits(name, b"", test) == alone
    after = 8 * (len(compress(train + test)) - len(compress(train)))
    assert floors.compressed_bits(name, train, test) == after < alone


def test_what_is_known_by_heart_costs_next_to_nothing():
    noise = rng.bytes(20_000)
    for name in floors.COMPRESSORS:
        assert floors.compressed_bits(name, b"", noise) > 8 * 20_000
        assert floors.compressed_bits(name, noise, noise) < 8 * 20_000 * 0.1 or name == "bz2"


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: floors.fit(TEXT, V, 3, "kneserney"), "did you mean 'kneser_ney'"),
        (lambda: floors.fit(TEXT, V, 0, "kneser_ney"), "an order of 0"),
        (lambda: floors.fit(TEXT[:0], V, 2, "kneser_ney"), "a text of 0 characters"),
        (lambda: floors.fit(TEXT, V, 2, "witten_bell").nats(TEXT[:1]), "no next character"),
    ],
)
def test_errors_are_one_clear_line(call, message):
    with pytest.raises(UserError, match=message) as e:
        call()
    assert "\n" not in str(e.value)


def test_the_benchmark(run_benchmark, tmp_path):
    text = "so it goes, and so it went. " * 30
    (tmp_path / "text.txt").write_text(text + "zz", encoding="utf-8")  # z is unknown in training
    table, result = run_benchmark(benchmark, corpus=f"{tmp_path / 'text.txt'},pydoc", order=2)
    assert result["benchmark"] == "floors" and result["settings"]["order"] == 2
    rows = result["rows"]
    of_text = {(r["model"], r["smoothing"]): r for r in rows if r["corpus"] == "text.txt"}
    assert of_text.keys() == {
        *((f"{n}-gram", s) for n in (1, 2) for s in ("kneser-ney", "witten-bell")),
        *((name, "") for name in floors.COMPRESSORS),
    }
    row = of_text["2-gram", "witten-bell"]
    assert row["held_out_characters"] == 85 and row["train_characters"] == 757
    assert row["vocabulary_size"] == len(set(text)) + 1
    ids = {c: i for i, c in enumerate(sorted(set(text)))}
    seen, ahead = (
        np.array([ids.get(c, len(ids)) for c in part]) for part in (text[:757], text[757:] + "zz")
    )
    nats = floors.fit(seen, len(ids) + 1, 2, "witten_bell").nats(ahead)
    assert row["nats_per_character"] == pytest.approx(nats)
    assert row["bits_per_character"] == pytest.approx(nats / np.log(2))
    bits = floors.compressed_bits("xz", text[:757].encode(), (text[757:] + "zz").encode())
    assert of_text["xz", ""]["bits_per_character"] == bits / 85
    assert of_text["xz", ""]["bits_per_character_alone"] > bits / 85
    assert len(rows) == 14 and f"{row['nats_per_character']:.3f}" in table
