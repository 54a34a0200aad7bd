"""Anything goes in; out comes a result, or a UserError of one line. Nothing that was there changes."""

import contextlib
import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rnnzoo import command_line, corpus, sampler, session
from rnnzoo import config as configs
from rnnzoo.errors import UserError
from rnnzoo.model import LanguageModel
from rnnzoo.vocabulary import Vocabulary

TEXT = "the cat sat on the mat. " * 40
TINY = {
    "cell": {"name": "elman", "hidden_size": 4},
    "corpus": {"path": "text.txt"},
    "train": {"epochs": 1, "batch_size": 2, "truncation": 8, "max_subsequence_length": 20},
}
NUMBERS = st.one_of(st.integers(), st.floats(), st.booleans(), st.none(), st.text(max_size=3))
JSON = st.recursive(
    NUMBERS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8
)


def fuzz(examples):
    """So many inputs, the same in every run."""
    same_folder = [HealthCheck.function_scoped_fixture]
    return settings(
        max_examples=examples, deadline=None, derandomize=True, suppress_health_check=same_folder
    )


@contextlib.contextmanager
def refused_or_fine():
    """Lets a UserError of one line pass, and nothing else."""
    try:
        yield
    except UserError as e:
        assert str(e) and len(str(e).splitlines()) == 1


@fuzz(200)
@given(st.binary(), st.sampled_from(corpus.UNITS), st.lists(NUMBERS, min_size=3, max_size=3))
def test_any_bytes_as_a_corpus(tmp_path, data, unit, fractions):
    path = tmp_path / "text.txt"
    path.write_bytes(data)
    with refused_or_fine():
        found = corpus.load(path=str(path), unit=unit)
        assert len(set(found.text)) > 1
        if unit == "bytes":
            assert found.text == data
        if all(type(f) in (int, float) for f in fractions):  # what the config lets through
            assert found.text.startswith(corpus.split(found.text, fractions).train)
    assert path.read_bytes() == data


@fuzz(200)
@given(st.text() | st.binary(), st.text() | st.binary(), st.booleans())
def test_any_text_in_any_vocabulary(known, other, unknown):
    with refused_or_fine():
        vocabulary = Vocabulary.of(known, unknown)
        if isinstance(known, str):
            assert vocabulary.decode(vocabulary.encode(known)) == known
        else:
            assert vocabulary.to_bytes(vocabulary.encode(known)) == known
        ids = vocabulary.encode(other)
        assert ids.dtype == np.int32 and np.all((ids >= 0) & (ids < len(vocabulary)))


@fuzz(300)
@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()) | st.fixed_dictionaries(
    {"unit": st.sampled_from(["characters", "bytes"]) | JSON, "unknown": st.booleans() | JSON,
     "symbols": st.text() | st.lists(st.integers(0, 256)) | JSON},
).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_any_file_as_a_vocabulary(tmp_path, content):
    path = tmp_path / "vocabulary.json"
    path.write_bytes(content)
    with refused_or_fine():
        vocabulary = Vocabulary.load(path)
        assert vocabulary.encode(vocabulary.symbols).tolist() == list(
            range(len(vocabulary.symbols))
        )
    assert path.read_bytes() == content


VOCABULARY = Vocabulary.of("\n abcdefg")


@pytest.fixture(scope="module")
def model():
    """Without a memory, since it is the options that are tried."""

    def apply(params, key, ids, state):
        return jnp.broadcast_to(params, (*ids.shape, len(params))), state

    logits = jax.random.normal(jax.random.key(0), (len(VOCABULARY),))
    return LanguageModel(lambda key: logits, apply, lambda params, batch_size: ()), logits


def usually(strategy):
    return st.one_of(strategy, strategy, NUMBERS)


OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "temperature": usually(st.floats(0)),
        "top_k": usually(st.integers(1)),
        "top_p": usually(st.floats(0, 1)),
        "count": usually(st.integers(1, 2)).filter(lambda n: n not in range(3, 100_001)),
        "seed": usually(st.integers(0, 2**32 - 1)),
    },
)


@fuzz(150)
@given(st.text("abcdefg", max_size=40) | st.text(), st.integers(-2, 40), OPTIONS)
def test_any_options_of_the_sampler(model, prompt, length, options):
    with refused_or_fine():
        for text in sampler.sample(*model, VOCABULARY, prompt, length, **options):
            assert text.startswith(prompt) and len(text) == len(prompt) + length
            assert math.isfinite(options.get("temperature", 0))


KEYS = [key for key, _ in configs.flatten(configs.default_config()) if key != "corpus.name"]
OVERRIDES = st.lists(
    st.builds(
        "--{}config.{}{}{}".format,
        st.sampled_from(["", "", "", "no"]),
        st.sampled_from(KEYS) | st.sampled_from(["cell.options.", "cell.options.activation",
                                                 "optimizer.options.b1", "cell"]) | st.text(),
        st.sampled_from(["=", "=", ""]),
        st.sampled_from(["", "0", "-1", "2", "7", "2.5", "nan", "1e999", "9" * 30, "True", "None",
                         "(1,0,0)", "relu", "gru,elman", "(" * 300]) | st.text(),
    ),
    min_size=1,
    max_size=3,
)  # fmt: skip


@fuzz(250)
@given(OVERRIDES)
def test_any_overrides_of_the_config(tmp_path, monkeypatch, words):
    """Up to the first step: what is not refused could begin to train."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text(TEXT)
    with refused_or_fine():
        arguments = command_line.parse(["rnnzoo", *words])
        session.prepare(command_line.override(configs.complete(TINY), arguments.overrides))
    assert [p.name for p in tmp_path.iterdir()] == ["text.txt"]
    assert (tmp_path / "text.txt").read_text() == TEXT
