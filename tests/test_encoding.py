"""Texts in chunks: equal to the whole text at once, kept on disk, and within bounds of memory."""

import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnzoo import corpus, encoding
from rnnzoo.errors import UserError
from rnnzoo.vocabulary import Vocabulary

# What may be cut in two by the end of a chunk, and what it might be mistaken for.
PARTS = [
    "\r\n",
    "\r",
    "\n",
    "\ufeff",
    "a",
    "bc",
    "é",
    "ß",
    "€",
    "\u2028",
    "\x85",
    "\x00",
    "🦊",
    "中",
]


def reference(parts):
    """The text, decoded whole."""
    texts = (part.decode().removeprefix("\ufeff") for part in parts)
    return "".join(text.replace("\r\n", "\n").replace("\r", "\n") for text in texts)


def encode(parts, cache, chunk, long=2**62, unit="characters"):
    sources = [encoding.Part(f"part {i}", part) for i, part in enumerate(parts)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoding, "CHUNK", chunk)
        patch.setattr(encoding, "LONG", long)
        return encoding.encode("parts", sources, unit, cache)


def check(found, text):
    vocabulary = Vocabulary.of(text)
    assert found.vocabulary == vocabulary
    assert found.ids.dtype == vocabulary.dtype
    np.testing.assert_array_equal(found.ids, vocabulary.encode(text))
    assert found.first.tolist() == [text.index(s) for s in vocabulary.symbols]
    assert found.sha256 == hashlib.sha256(text.encode()).hexdigest()


some_text = st.lists(st.sampled_from(PARTS), max_size=20).map(lambda p: "".join(p).encode())


@settings(max_examples=200, deadline=None)
@given(parts=st.lists(some_text, min_size=1, max_size=3), chunk=st.integers(1, 9))
def test_chunks_change_nothing(parts, chunk):
    text = reference(parts)
    if len(set(text)) < 2:
        with pytest.raises(UserError, match="empty" if not text else "only one distinct"):
            encode(parts, None, chunk)
    else:
        check(encode(parts, None, chunk), text)


@pytest.mark.parametrize("chunk", [1, 2, 3, 100])
def test_what_is_not_utf_8_is_found_in_any_chunk(chunk):
    for data, byte, offset, line in (
        ("é\n\né".encode() + b"\xe9a", 0xE9, 6, 3),
        (b"ab\n\xf0\x9f\xa6", 0xF0, 3, 2),  # the end is missing
        (b"ab\n\xf0\x9f\xa6z", 0xF0, 3, 2),
    ):
        message = f"'part 1' is not UTF-8: byte 0x{byte:02x} at offset {offset}, line {line}:"
        with pytest.raises(UserError, match=message):
            encode([b"ab", data], None, chunk)


def eight_megabytes():
    """Lines that differ, with every length of UTF-8 sequence and every line end."""
    ends, rare = ("\n", "\r\n", "\r"), ("é", "€", "🦊", "")
    lines = (f"line {i * 7919} {rare[i % 4]} of many{ends[i % 3]}" for i in range(10**6))
    return "".join(lines).encode()[: 8 * 2**20 - 3]


def test_a_long_text_is_kept_and_mapped(tmp_path, monkeypatch):
    data = eight_megabytes()
    path = tmp_path / "text.txt"
    path.write_bytes(data)
    text = reference([data])
    found = encode([path], tmp_path, 4093, long=2**22)
    check(found, text)
    monkeypatch.setattr(encoding, "_scan", None)  # not read for its characters again
    again = encode([path], tmp_path, 4093, long=2**22)
    assert isinstance(again.ids, np.memmap)
    check(again, text)


@pytest.fixture
def kept(tmp_path):
    """A text that is kept, and what loads it."""
    path = tmp_path / "text.txt"
    path.write_text("abcabc" * 50)

    def load(unit="characters"):
        return encode([path], tmp_path / "cache", 64, long=100, unit=unit)

    load()
    return path, load


def folders(path):
    return sorted(p for p in (path.parent / "cache/encoded").iterdir() if p.is_dir())


def test_an_altered_text_is_encoded_anew(kept):
    path, load = kept
    before = path.stat()
    path.write_text("acbacb" * 50)  # as long as it was, and as old
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    check(load(), "acbacb" * 50)
    assert load("bytes").vocabulary.unit == "bytes"
    assert len(folders(path)) == 3


@pytest.mark.parametrize("file", [encoding.IDS, encoding.NOTES, encoding.VOCABULARY])
@pytest.mark.parametrize("how", ["altered", "cut", "gone"])
def test_altered_files_are_made_anew(kept, file, how):
    path, load = kept
    victim = folders(path)[0] / file
    data = victim.read_bytes()
    if how == "gone":
        victim.unlink()
    else:
        victim.write_bytes(data[:-1] + b"\xff" if how == "altered" else data[: len(data) // 2])
    check(load(), "abcabc" * 50)
    assert victim.read_bytes() == data


def test_what_a_killed_process_left_is_not_used(kept):
    path, load = kept
    (folder,) = folders(path)
    folder.rename(folder.with_suffix(".part"))
    (folder.with_suffix(".part") / encoding.IDS).write_bytes(b"half")
    check(load(), "abcabc" * 50)
    assert folders(path) == [folder]


def test_a_file_that_grows_meanwhile_is_refused(kept, monkeypatch):
    path, load = kept
    path.write_text("xyz" * 100)

    def scan(*args, scan=encoding._scan):
        found = scan(*args)
        with path.open("a") as file:
            file.write("xx")
        return found

    monkeypatch.setattr(encoding, "_scan", scan)
    with pytest.raises(UserError, match=r"'part 0' changed while it was read"):
        load()
    monkeypatch.undo()
    check(load(), "xyz" * 100 + "xx")


def test_a_cache_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(UserError, match=r"cannot be kept in .*cache_dir") as e:
        encode([b"ab" * 100], tmp_path / "cache", 64, long=100)
    assert "\n" not in str(e.value)


def test_the_parts_of_a_corpus_are_ids_without_a_copy(tmp_path):
    (tmp_path / "a.txt").write_text("abab" * 10 + "abc")
    c = corpus.load(path=str(tmp_path / "a.txt"))
    train, rest, _ = corpus.split(c.ids, (0.9, 0.1, 0))
    assert np.shares_memory(train, c.ids)
    known = c.vocabulary_until(len(train))
    assert known.symbols == "ab"
    np.testing.assert_array_equal(known.encode_again(train, c.vocabulary), [0, 1] * 19)
    with pytest.raises(UserError, match=r"character 'c' .* at index 4 is not in the vocabulary"):
        known.encode_again(rest, c.vocabulary)
    unknown = c.vocabulary_until(len(train), unknown=True)
    assert unknown.encode_again(rest, c.vocabulary).tolist() == [0, 1, 0, 1, 2][-len(rest) :]
    whole = c.vocabulary_until(len(c.ids))
    assert whole.encode_again(rest, c.vocabulary) is rest


# A gigabyte: python -m pytest -m slow -s tests/test_encoding.py

GIGABYTE = 10**9
TRAINING = """
import json, re, sys, time
from rnnzoo import config, session
begun = time.perf_counter()
job = session.prepare(config.complete({
    "cell": {"name": "elman", "hidden_size": 16},
    "corpus": {"path": sys.argv[1], "cache_dir": sys.argv[2]},
    "train": {"sampling": "stream", "batch_size": 8},
}))
seconds = time.perf_counter() - begun
_, epoch = job.trainer.epoch(job.trainer.start(), 1, lambda pieces: False)
peak = re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())
print(json.dumps({"seconds": seconds, "bytes": 1024 * int(peak[1]), "pieces": epoch.pieces,
                  "finite": epoch.finite}))
"""


def write_text(path, size):
    """Python's own help texts, each time from elsewhere on, with a line that is new."""
    text = corpus.load().text
    with path.open("w", encoding="utf-8") as file:
        number = 0
        while file.tell() < size:
            file.write(f"--- {number} é—🦊\n{text[number * 997 % len(text) :]}")
            number += 1


def train(path, cache):
    command = [sys.executable, "-c", TRAINING, str(path), str(cache)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=580)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.skipif(not pathlib.Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_a_gigabyte_takes_less_than_twice_its_size(tmp_path):
    if shutil.disk_usage(tmp_path).free < 4 * GIGABYTE:
        pytest.skip("needs 4 GB of disk")
    tiny, large = tmp_path / "tiny.txt", tmp_path / "large.txt"
    write_text(tiny, 10**5)
    write_text(large, GIGABYTE)
    size = large.stat().st_size
    usual = train(tiny, tmp_path)["bytes"]
    for time in ("first", "second"):
        found = train(large, tmp_path)
        assert found["pieces"] > 0 and found["finite"]
        share = (found["bytes"] - usual) / size
        print(f"{time} time: {size / found['seconds'] / 1e6:.0f} MB/s, {share:.2f} of its size")
        assert share < 2
    large.unlink()
    shutil.rmtree(tmp_path / encoding.FOLDER)
