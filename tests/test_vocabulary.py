import json

import numpy as np
import pytest

from rnnzoo.errors import UserError
from rnnzoo.vocabulary import Vocabulary

TEXT = "the quick brown fox\njumps über the 🦊\n"


def test_ids_are_the_places_in_the_sorted_characters():
    v = Vocabulary.of("banana\n")
    assert v.symbols == "\nabn"
    assert len(v) == 4
    np.testing.assert_array_equal(v.encode("nab\n"), [3, 1, 2, 0])
    assert v.encode("nab").dtype == np.int32


def test_the_order_of_the_text_does_not_matter():
    assert Vocabulary.of(TEXT) == Vocabulary.of(TEXT[::-1])


@pytest.mark.parametrize("text", [TEXT, "", "x", "\ud800 lone surrogate"])
def test_characters_round_trip(text):
    v = Vocabulary.of(TEXT + text)
    assert v.decode(v.encode(text)) == text
    assert v.encode(text).shape == (len(text),)


def test_bytes_round_trip_any_bytes():
    data = bytes(np.random.default_rng(0).permutation(np.arange(256).repeat(3)).astype(np.uint8))
    v = Vocabulary.of(data)
    assert len(v) == 256
    assert v.unit == "bytes"
    assert v.to_bytes(v.encode(data)) == data


def test_bytes_take_a_str_as_utf_8_and_show_it_again():
    v = Vocabulary.of(TEXT.encode())
    assert len(v.encode(TEXT)) == len(TEXT.encode())
    assert v.decode(v.encode(TEXT)) == TEXT
    assert v.decode(v.encode("ü")[:1]) == "\ufffd"
    assert Vocabulary.of(TEXT).to_bytes(Vocabulary.of(TEXT).encode("ü")) == "ü".encode()


def test_a_decoder_joins_characters_that_arrive_in_pieces():
    v = Vocabulary.of("a🦊".encode())
    ids = v.encode("🦊a🦊")
    decode = v.decoder()
    assert [decode(ids[:3]), decode(ids[3:7]), decode(ids[7:8])] == ["", "🦊a", ""]
    assert decode(ids[8:8], final=True) == "\ufffd"


@pytest.mark.parametrize(
    ("known", "text", "named"),
    [
        ("abc", "abéa", r"'é' \(U\+00E9\) at index 2"),
        ("abc", "\x00", r"'\\x00' \(U\+0000\) at index 0"),
        ("abc", "a\udcff", r"'\\udcff' \(U\+DCFF\) at index 1"),
        (b"abc", "aé", "byte 0xc3 at index 1"),
    ],
)
def test_a_character_outside_is_named(known, text, named):
    with pytest.raises(UserError, match=named) as e:
        Vocabulary.of(known).encode(text)
    assert "unknown symbol" in str(e.value)
    assert "\n" not in str(e.value)


def test_bytes_for_a_vocabulary_of_characters_are_refused():
    with pytest.raises(UserError, match="read it as characters"):
        Vocabulary.of("abc").encode(b"abc")


@pytest.mark.parametrize("known", ["abc", b"abc"])
def test_the_unknown_symbol_stands_for_all_else(known):
    v = Vocabulary.of(known, unknown=True)
    assert len(v) == 4
    assert v.unknown_id == 3
    np.testing.assert_array_equal(v.encode("azc"), [0, 3, 2])
    assert v.decode(v.encode("azc")) == "a\ufffdc"


def test_without_an_unknown_symbol_it_has_no_id():
    assert Vocabulary.of("abc").unknown_id is None


@pytest.mark.parametrize(("known", "start"), [("\tx\n", 1), ("xyz", 0), (b"\tx\n", 1), (b"xyz", 0)])
def test_a_text_starts_after_a_newline_if_there_is_one(known, start):
    assert Vocabulary.of(known).start_id == start


@pytest.mark.parametrize("text", [TEXT, "\ud800\udfff", b"\x00\xff\n"])
@pytest.mark.parametrize("unknown", [False, True])
def test_saved_and_loaded_it_is_the_same(tmp_path, text, unknown):
    v = Vocabulary.of(text, unknown)
    v.save(tmp_path / "vocabulary.json")
    assert Vocabulary.load(tmp_path / "vocabulary.json") == v


GOOD = {"unit": "characters", "unknown": False, "symbols": "abc"}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        *(
            json.dumps(GOOD | change)
            for change in (
                {"symbols": "acb"},
                {"symbols": "aab"},
                {"symbols": ""},
                {"symbols": [97, 98]},
                {"unit": "bytes"},
                {"unit": "bytes", "symbols": [97, 256]},
                {"unit": "bytes", "symbols": [97, "b"]},
                {"unit": "words"},
                {"unit": ["bytes"]},
                {"unknown": 1},
            )
        ),
        json.dumps({"unit": "characters", "unknown": False}),
    ],
)
def test_an_altered_file_is_refused(tmp_path, content):
    path = tmp_path / "vocabulary.json"
    path.write_text(content)
    with pytest.raises(UserError, match=r"vocabulary\.json.* does not hold a vocabulary") as e:
        Vocabulary.load(path)
    assert "\n" not in str(e.value)


def test_a_file_that_is_not_text_or_not_there_is_refused(tmp_path):
    (tmp_path / "v").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="does not hold a vocabulary"):
        Vocabulary.load(tmp_path / "v")
    with pytest.raises(UserError, match="cannot be read: No such file"):
        Vocabulary.load(tmp_path / "w")


@pytest.mark.parametrize("text", ["", b""])
def test_an_empty_text_has_no_vocabulary(text):
    with pytest.raises(UserError, match="at least one symbol"):
        Vocabulary.of(text)
