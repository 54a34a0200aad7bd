import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnzoo import sampler
from rnnzoo.errors import UserError
from rnnzoo.model import LanguageModel, language_model
from rnnzoo.registry import make
from rnnzoo.sampler import Options, sample, stream_sample, watch_sample
from rnnzoo.vocabulary import Vocabulary

VOCABULARY = Vocabulary.of("\n abcdefg")
V = len(VOCABULARY)


@pytest.fixture(scope="module")
def gru():
    """A small model whose logits differ enough for its state to matter."""
    model = language_model(lambda: make("gru", 8, layers=2), V)
    params = model.init(jax.random.key(0))
    return model, jax.tree.map(lambda p: 3 * p, params)


def without_memory(logits):
    """A model that expects the same next character after any, its logits given as parameters."""

    def apply(params, key, ids, state):
        return jnp.broadcast_to(params[None, None], (*ids.shape, len(params))), state

    model = LanguageModel(lambda key: logits, apply, lambda params, batch_size: ())
    return model, jnp.asarray(logits)


def reciting(cycle: bytes):
    """A vocabulary and a model of its symbols that is sure of the next symbol of the cycle."""
    vocabulary = Vocabulary.of(cycle)
    ids = vocabulary.encode(cycle)
    successor = np.zeros(len(vocabulary), np.int32)
    successor[ids] = np.roll(ids, -1)

    def apply(params, key, ids, state):
        return 100 * jax.nn.one_hot(params[ids], len(vocabulary)), state

    model = LanguageModel(lambda key: successor, apply, lambda params, batch_size: ())
    return model, jnp.asarray(successor), vocabulary


# The text is that of an obvious loop


@functools.partial(jax.jit, static_argnums=0)
def one_step(model, params, ids, state):
    return model.apply(params, None, ids, state)


def obvious_loop(model, params, prompt, length, temperature, count, seed):
    """One character at a time, in Python, with the sampler's keys."""
    given = VOCABULARY.encode(prompt) if prompt else [VOCABULARY.encode("\n")[0]]
    state = model.initial_state(params, count)
    texts, drawn = [prompt] * count, None
    for t in range(len(given) - 1 + length):
        ids = jnp.full(count, given[t], jnp.int32) if t < len(given) else drawn
        _, key = jax.random.split(jax.random.fold_in(jax.random.key(seed), t))
        logits, state = one_step(model, params, ids[None], state)
        if temperature == 0:
            drawn = jnp.argmax(logits[0], axis=-1)
        else:
            drawn = jax.random.categorical(key, logits[0] / temperature)
        if t >= len(given) - 1:
            texts = [x + VOCABULARY.decode([i]) for x, i in zip(texts, drawn, strict=True)]
    return texts


@pytest.mark.parametrize(
    ("prompt", "length", "temperature", "count", "seed"),
    [
        ("abc", 40, 1.0, 3, 0),  # within and over a chunk
        ("", 40, 0.7, 3, 1),
        ("g" * sampler.CHUNK, 5, 1.5, 3, 2),  # a chunk that is all prompt
        ("ab" * sampler.CHUNK, 70, 1.0, 3, 3),
        ("e", 40, 0, 3, 4),
    ],
)
def test_it_draws_what_an_obvious_loop_draws(gru, prompt, length, temperature, count, seed):
    model, params = gru
    texts = sample(
        model, params, VOCABULARY, prompt, length, temperature=temperature, count=count, seed=seed
    )
    assert texts == obvious_loop(model, params, prompt, length, temperature, count, seed)
    assert all(len(text) == len(prompt) + length for text in texts)


def test_the_text_depends_on_the_whole_prompt(gru):
    texts = {sample(*gru, VOCABULARY, p + "ab", 60)[0][-60:] for p in ("c", "d", "ee", "")}
    assert len(texts) == 4


def test_the_same_seed_gives_the_same_texts_and_another_gives_others(gru):
    first, again, other = (sample(*gru, VOCABULARY, "a", 50, count=3, seed=s) for s in (7, 7, 8))
    assert first == again
    assert not set(first) & set(other)
    assert len(set(first)) == 3


def test_streamed_pieces_make_up_the_sampled_text(gru):
    options = {"length": 100, "count": 3, "temperature": 0.8, "seed": 3}
    pieces = list(stream_sample(*gru, VOCABULARY, "abc", **options))
    assert len(pieces) > 2
    texts = ["abc" + "".join(p) for p in zip(*pieces, strict=True)]
    assert texts == sample(*gru, VOCABULARY, "abc", **options)


@pytest.mark.parametrize("prompt", ["", "abc", "abcdefgab", "a" * 21])
@pytest.mark.parametrize("rule", [{}, {"temperature": 0}, {"top_k": 3, "top_p": 0.8}], ids=str)
def test_a_watched_text_is_the_sampled_one(gru, prompt, rule):
    steps = list(watch_sample(*gru, VOCABULARY, prompt, 20, count=2, seed=5, **rule))
    ids, drawn = (np.concatenate([getattr(s, name) for s in steps]) for name in ("ids", "drawn"))
    texts = [prompt[:1] + VOCABULARY.decode(row) for row in ids.T]
    assert texts == sample(*gru, VOCABULARY, prompt, 20, count=2, seed=5, **rule)
    assert drawn.sum() == 20 and drawn[-20:].all()


def test_a_watched_step_has_its_state_and_probabilities(gru):
    model, params = gru
    steps = list(watch_sample(*gru, VOCABULARY, "abc", 9, top_k=2, temperature=0.5))
    state = model.initial_state(params, 1)
    inputs = np.append(VOCABULARY.encode("a"), np.concatenate([s.ids[:, 0] for s in steps]))
    rows = [(s, i) for s in steps for i in range(len(s.ids))]
    for id, (step, i) in zip(inputs, rows, strict=False):
        logits, state = one_step(model, params, jnp.array([[id]]), state)
        own = np.asarray(logits[0, 0])
        np.testing.assert_allclose(step.expected[i, 0], expected_probabilities(own), rtol=1e-6)
        chances = expected_probabilities(own, temperature=0.5, top_k=2)
        np.testing.assert_allclose(step.chances[i, 0], chances, rtol=1e-6)
        for seen, now in zip(step.seen, state, strict=True):
            np.testing.assert_allclose(seen[i], now, rtol=1e-6)
    (first, *_) = watch_sample(*gru, VOCABULARY, "a", 1, temperature=0)
    assert np.sort(first.chances[0, 0]).tolist() == [0] * (V - 1) + [1]


@pytest.mark.parametrize("prompt", ["", "abc", "a" * 100])
def test_no_new_characters(gru, prompt):
    assert sample(*gru, VOCABULARY, prompt, 0, count=2) == [prompt] * 2
    assert list(watch_sample(*gru, VOCABULARY, prompt, 0)) == []
    assert list(stream_sample(*gru, VOCABULARY, prompt, 0)) == []


@pytest.mark.parametrize(("name", "size"), [("CHUNK", 7), ("NOISE", 30)])
def test_a_chunk_of_another_size_changes_nothing(gru, monkeypatch, name, size):
    text = sample(*gru, VOCABULARY, "abc", 50, top_p=0.9)
    monkeypatch.setattr(sampler, name, size)
    assert sample(*gru, VOCABULARY, "abc", 50, top_p=0.9) == text


# Bytes


def test_characters_of_several_bytes_survive_the_borders_of_pieces(monkeypatch):
    monkeypatch.setattr(sampler, "CHUNK", 5)
    model, params, vocabulary = reciting("né🦊€".encode())
    cycle = len("né🦊€".encode())
    pieces = [new for (new,) in stream_sample(model, params, vocabulary, "n", 3 * cycle - 1)]
    assert len(pieces) == 3 * cycle // 5
    assert "".join(pieces) == "é🦊€né🦊€né🦊€"
    assert sample(model, params, vocabulary, "né", 3) == ["né🦊"[:2] + "\ufffd"]


# Compilation


def test_nothing_compiles_again_but_for_another_count_and_limits(gru):
    traces = []

    def apply(*args):
        traces.append(args)
        return gru[0].apply(*args)

    model, params = gru[0]._replace(apply=apply), gru[1]
    sample(model, params, VOCABULARY, "a", 10)
    sample(model, params, VOCABULARY, "a", 10, top_k=3)
    before = len(traces)
    assert before > 0
    for prompt in ("", "b", "abc" * 50):
        for options in (
            {"temperature": 0},
            {"temperature": 2, "seed": 5},
            {"top_k": 2, "length": 90},
            {"top_p": 0.5},
            {"top_p": 1, "top_k": 10**12},
        ):
            sample(model, params, VOCABULARY, prompt, **options)
    sample(model, jax.tree.map(jnp.zeros_like, params), VOCABULARY)  # as training goes on
    list(stream_sample(model, params, VOCABULARY, "a", 10))
    assert len(traces) == before
    sample(model, params, VOCABULARY, "a", 10, count=2)
    assert len(traces) > before


# The distribution

LOGITS = np.array([0.3, -1.0, 2.0, 0.3, 1.2, -4.0, 0.3, 1.9, 0.0])


def expected_probabilities(logits, temperature=1.0, top_k=None, top_p=None):
    """Character by character, from the likeliest down; among equals the first comes first."""
    p = np.exp(logits / temperature)
    order = sorted(range(len(p)), key=lambda i: (-p[i], i))[:top_k]
    total = sum(p[i] for i in order)
    kept, reached = np.zeros(len(p)), 0.0
    for i in order:
        if top_p is not None and reached >= top_p:
            break
        kept[i] = p[i]
        reached += p[i] / total
    return kept / kept.sum()


RULES = [
    {},
    {"temperature": 0.5},
    {"temperature": 3.0},
    {"top_k": 1},
    {"top_k": 5},  # between equal logits
    {"top_k": V},
    {"top_p": 0.01},
    {"top_p": 0.6},
    {"top_p": 1.0},
    {"temperature": 2.0, "top_k": 6, "top_p": 0.7},
    {"temperature": 0.5, "top_k": 4, "top_p": 0.95},
]


@pytest.fixture(scope="module")
def fixed():
    return without_memory(LOGITS)


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_characters_are_drawn_as_often_as_they_should(fixed, rule):
    count = 5_000
    texts = sample(*fixed, VOCABULARY, "a", 1, count=count, **rule)
    drawn = np.bincount(VOCABULARY.encode("".join(t[1] for t in texts)), minlength=V)
    p = expected_probabilities(LOGITS, **rule)
    assert (drawn[p == 0] == 0).all()
    assert (np.abs(drawn - count * p) <= 5 * np.sqrt(count * p * (1 - p))).all()


@pytest.mark.parametrize("seed", range(5))
def test_restrict_keeps_exactly_the_likeliest(seed):
    rng = np.random.default_rng(seed)
    logits = np.asarray(jnp.asarray(rng.normal(size=(20, 30)).round(1)))  # some are equal
    restrict = jax.jit(sampler.restrict)
    for top_k, top_p in [(30, 1.0), (7, 1.0), (30, 0.5), (12, 0.83), (1, 1.0), (30, 1e-9)]:
        restricted = np.asarray(restrict(logits, top_k, top_p))
        for row, given in zip(restricted, logits, strict=True):
            kept = (
                expected_probabilities(given, top_k=top_k, top_p=top_p if top_p < 1 else None) > 0
            )
            np.testing.assert_array_equal(row, np.where(kept, given, -np.inf))


def test_texts_and_places_are_independent(fixed):
    """Pairs of characters, of two texts or of two places, occur as often as chance has it."""
    count = 5_000
    texts = sample(*fixed, VOCABULARY, "a", 2, count=count)
    first, second = (VOCABULARY.encode("".join(t[i] for t in texts)) for i in (1, 2))
    p = expected_probabilities(LOGITS)
    for a, b in [(first, second), (first[:-1], first[1:])]:
        pairs = np.bincount(a * V + b, minlength=V * V).reshape(V, V)
        expected = len(a) * np.outer(p, p)
        assert (np.abs(pairs - expected) <= 5 * np.sqrt(expected) + 3).all()


@pytest.mark.parametrize("temperature", [0, 1e-45, 1e-30])
def test_greedy_and_nearly_so_take_the_likeliest(fixed, temperature):
    likeliest = VOCABULARY.decode([LOGITS.argmax()])
    assert sample(*fixed, VOCABULARY, "", 40, temperature=temperature) == [likeliest * 40]


def test_the_unknown_symbol_is_never_drawn():
    vocabulary = Vocabulary.of("abc", unknown=True)
    model, params = without_memory(np.array([0.0, 0.1, 0.2, 5.0]))
    for rule in {"temperature": 0}, {"temperature": 0.1}, {"temperature": 1e6}, {"top_k": 4}:
        (text,) = sample(model, params, vocabulary, "?", 100, **rule)
        assert text[0] == "?"
        assert set(text[1:]) <= set("abc")


def test_a_cell_that_draws_random_numbers_gets_new_ones_at_every_step():
    def apply(params, key, ids, state):
        return 1e6 * jax.random.normal(key, (*ids.shape, V)), state

    model = LanguageModel(lambda key: (), apply, lambda params, batch_size: ())
    text = sample(model, (), VOCABULARY, "a", 100, temperature=0)[0]
    assert len(set(text[1:])) == V


def test_low_precision_models_are_sampled(fixed):
    model, params = fixed
    text = sample(model, params.astype(jnp.bfloat16), VOCABULARY, "a", 50, temperature=0)[0]
    assert text == "a" + VOCABULARY.decode([LOGITS.argmax()]) * 50


# Mistakes


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"length": -1}, "length must be a whole number of at least 0, not -1"),
        ({"length": 2.5}, "length must be a whole number .* not 2.5"),
        ({"temperature": -0.1}, "temperature must be a finite number of at least 0, not -0.1"),
        ({"temperature": float("nan")}, "temperature .* not nan"),
        ({"temperature": float("inf")}, "temperature .* not inf"),
        ({"temperature": "1"}, "temperature .* not '1'"),
        ({"top_k": 0}, "top_k must be a whole number of at least 1, not 0"),
        ({"top_k": True}, "top_k must be a whole number .* not True"),
        ({"top_p": 0}, "top_p must be above 0 and at most 1, not 0"),
        ({"top_p": 1.1}, "top_p .* not 1.1"),
        ({"top_p": float("nan")}, "top_p .* not nan"),
        ({"count": 0}, "count must be a whole number of at least 1 and at most 100000, not 0"),
        ({"seed": -1}, "seed must be .* at least 0 and at most 4294967295, not -1"),
        ({"seed": 2**32}, "seed must be .* not 4294967296"),
        ({"prompt": "abXc"}, r"character 'X' \(U\+0058\) at index 2 is not in the vocabulary"),
    ],
)
@pytest.mark.parametrize(
    "function", [sample, stream_sample, watch_sample]
)  # before the first piece is asked for
def test_options_out_of_range_are_refused(fixed, function, options, message):
    with pytest.raises(UserError, match=message) as e:
        function(*fixed, VOCABULARY, **options)
    assert "\n" not in str(e.value)


def test_numpy_numbers_are_numbers(fixed):
    options = {"length": np.int64(3), "temperature": np.float32(0.5), "top_k": np.int32(2)}
    assert Options(**options).length == 3
    assert len(sample(*fixed, VOCABULARY, "a", **options)[0]) == 4


def test_another_model_s_vocabulary_is_refused(fixed):
    with pytest.raises(UserError, match="the model has 9 characters, the vocabulary 3"):
        sample(*fixed, Vocabulary.of("abc"), "a", 5)
