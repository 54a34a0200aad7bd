import hashlib
import http.server
import io
import os
import pathlib
import sys
import threading

import pytest

from rnnzoo import corpus, runs
from rnnzoo.config import default_config
from rnnzoo.errors import UserError


def sha256(data):
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def write(tmp_path):
    def write(name, data):
        (tmp_path / name).write_bytes(data)
        return str(tmp_path / name)

    return write


# By name


def test_names():
    assert corpus.names() == ["pydoc", "santa", "shakespeare"]


def test_pydoc_is_the_default_and_needs_no_network():
    c = corpus.load()
    assert c == corpus.load("pydoc")
    assert c.name == "pydoc"
    assert len(c.text) > 100_000
    assert c.text.startswith('The "assert" statement\n')
    assert c.sha256 == sha256(c.text.encode())
    assert corpus.load(unit="bytes").text == c.text.encode()


@pytest.mark.parametrize(
    ("name", "message"),
    [("santo", "did you mean 'santa'"), ("qqq", "known: pydoc, santa, shakespeare")],
)
def test_an_unknown_name_gets_the_nearest(name, message):
    with pytest.raises(UserError, match=message):
        corpus.load(name)


def test_an_unknown_unit_gets_the_nearest():
    with pytest.raises(UserError, match="did you mean 'bytes'"):
        corpus.load(unit="byte")


# Fetched on first use: from a server of our own, so that the test needs no network.

REMOTE_DATA = b"Ho\r\nho\r\nho\r\n"


@pytest.fixture
def remote(monkeypatch):
    """A corpus 'santa' at a local address; counts the times that it is fetched."""
    fetched = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            fetched.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(REMOTE_DATA)

        def log_message(self, *args):
            pass

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/520.txt"
        use_remote(monkeypatch, url, sha256(REMOTE_DATA))
        yield fetched
        server.shutdown()


def use_remote(monkeypatch, url, checksum):
    remotes = {"santa": corpus.Remote("santa/520.txt", url, checksum)}
    monkeypatch.setattr(corpus, "REMOTES", remotes)


def test_a_named_text_is_fetched_once(remote, tmp_path):
    for _ in range(2):
        c = corpus.load("santa", cache_dir=tmp_path / "new" / "folder")
        assert (c.text, c.name, c.sha256) == ("Ho\nho\nho\n", "santa", sha256(b"Ho\nho\nho\n"))
    assert remote == ["/520.txt"]
    assert (tmp_path / "new/folder/santa/520.txt").read_bytes() == REMOTE_DATA


def test_the_cache_folder_is_the_argument_then_the_variable_then_the_user_s(
    remote, tmp_path, monkeypatch
):
    monkeypatch.setattr(corpus.pooch, "os_cache", lambda name: tmp_path / "user" / name)
    monkeypatch.delenv("RNNZOO_CACHE", raising=False)
    corpus.load("santa")
    monkeypatch.setenv("RNNZOO_CACHE", str(tmp_path / "variable"))
    corpus.load("santa")
    corpus.load("santa", cache_dir=str(tmp_path / "argument"))
    found = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*.txt")}
    assert found == {f"{d}/santa/520.txt" for d in ("user/rnnzoo", "variable", "argument")}


def test_offline_the_error_says_where_to_put_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    use_remote(monkeypatch, "http://127.0.0.1:9/520.txt", "0" * 64)  # nothing listens there
    with pytest.raises(UserError) as e:
        corpus.load("santa", cache_dir=tmp_path)
    message = str(e.value)
    assert "'santa' cannot be fetched" in message
    assert "http://127.0.0.1:9/520.txt" in message
    assert "0" * 64 in message
    assert message.endswith(str(tmp_path / "santa" / "520.txt"))
    assert "\n" not in message


def test_another_text_at_the_address_is_not_accepted(remote, tmp_path, monkeypatch):
    use_remote(monkeypatch, corpus.REMOTES["santa"].url, "0" * 64)
    with pytest.raises(UserError, match=r"cannot be fetched \(another file is there\)"):
        corpus.load("santa", cache_dir=tmp_path)
    assert not list(tmp_path.rglob("*.txt"))


def test_a_file_with_the_wrong_checksum_is_neither_accepted_nor_replaced(remote, tmp_path):
    path = tmp_path / "santa" / "520.txt"
    path.parent.mkdir()
    path.write_bytes(b"Ha\n")
    with pytest.raises(UserError, match="is not the corpus 'santa'") as e:
        corpus.load("santa", cache_dir=tmp_path)
    assert str(path) in str(e.value)
    assert sha256(b"Ha\n") in str(e.value)
    assert sha256(REMOTE_DATA) in str(e.value)
    assert path.read_bytes() == b"Ha\n"
    assert remote == []


@pytest.mark.skipif("RNNZOO_DATA" not in os.environ, reason="RNNZOO_DATA names no folder of texts")
@pytest.mark.parametrize(
    ("name", "characters", "distinct"), [("santa", 184_275, 83), ("shakespeare", 1_115_394, 65)]
)
def test_the_real_texts(name, characters, distinct):
    c = corpus.load(name, cache_dir=os.environ["RNNZOO_DATA"])
    assert len(c.text) == characters
    assert len(set(c.text)) == distinct


# From files


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"a\r\nb\rc\n\r\n", "a\nb\nc\n\n"),
        (b"\xef\xbb\xbfa\xef\xbb\xbfb", "a\ufeffb"),
        ("é🦊\x00\x85".encode(), "é🦊\x00\x85"),
    ],
)
def test_a_file_is_normalised(write, data, text):
    path = write("a.txt", data)
    c = corpus.load(path=path)
    assert (c.text, c.name, c.sha256) == (text, "a.txt", sha256(text.encode()))
    assert corpus.load(path=pathlib.Path(path)) == c


def test_bytes_stay_as_they_are(write):
    data = b"\xef\xbb\xbfa\r\n\xff\x00"
    c = corpus.load(path=write("a.bin", data), unit="bytes")
    assert (c.text, c.name, c.sha256) == (data, "a.bin", sha256(data))


def test_several_files_are_joined_in_order(write):
    b, a = write("b.txt", b"\xef\xbb\xbfbb\n"), write("a.txt", b"\xef\xbb\xbfaa\n")
    for path in (f"{b},{a}", f"{b}, {a}", [b, a], (pathlib.Path(b), a)):
        c = corpus.load(path=path)
        assert (c.text, c.name) == ("bb\naa\n", "b.txt,a.txt")


def test_a_path_goes_before_a_name_and_an_empty_one_is_none(write):
    path = write("a.txt", b"ab")
    assert corpus.load("santa", path=path).text == "ab"
    assert corpus.load("pydoc", path="").name == "pydoc"


def test_a_source_is_a_name_or_else_a_file(write):
    assert corpus.find("pydoc") == corpus.load("pydoc")
    assert corpus.find(str(write("a.txt", b"abab"))).text == "abab"
    with pytest.raises(UserError, match="'pydok' is no file and no corpus: did you mean 'pydoc'"):
        corpus.find("pydok")


def test_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"piped\r\n"), "ascii"))
    c = corpus.load(path="-")
    assert (c.text, c.name) == ("piped\n", "standard input")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "'a.txt' is empty"),
        (b"\xef\xbb\xbf", "'a.txt' is empty"),
        (b"aaa", "only one distinct character, 'a'"),
        (b"\r\n\r", r"only one distinct character, '\\n'"),
        (b"a\nb\xe9c", r"a.txt' is not UTF-8: byte 0xe9 at offset 3, line 2"),
        ("ab".encode("utf-16"), "is not UTF-8: byte 0xff at offset 0, line 1"),
    ],
)
def test_a_text_that_cannot_be_learnt_is_refused(write, data, message):
    with pytest.raises(UserError, match=message) as e:
        corpus.load(path=write("a.txt", data))
    assert "\n" not in str(e.value)


def test_a_path_that_is_no_file_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=f"there is no file '{tmp_path / 'missing.txt'}'"):
        corpus.load(path="missing.txt")
    with pytest.raises(UserError, match="is a folder"):
        corpus.load(path=str(tmp_path))


# Split


def test_the_split_of_tiny_shakespeare():
    parts = corpus.split("x" * 1_115_394, (0.9, 0.1, 0.0))
    assert [len(p) for p in parts] == [1_003_854, 111_540, 0]


@pytest.mark.parametrize(
    ("fractions", "parts"),
    [
        ((0.5, 0.3, 0.2), ("01234", "567", "89")),
        ((1, 0, 0), ("0123456789", "", "")),
        ((0.6, 0.0, 0.4), ("012345", "", "6789")),
        ((0.4, 0.2, 0.2), ("0123", "45", "67")),
        ([0.29, 0.5, 0.21], ("01", "23456", "789")),
    ],
)
def test_split(fractions, parts):
    assert corpus.split("0123456789", fractions) == parts
    assert corpus.split(b"0123456789", fractions) == tuple(p.encode() for p in parts)


def test_sections_are_split_each():
    fractions = (0.6, 0.2, 0.2)
    text = "0123456789abcdefghijx"
    parts = ("012345abcdef", "67gh", "89ij")
    assert corpus.split(text, fractions, 2) == parts
    assert corpus.split(text.encode(), fractions, 2) == tuple(p.encode() for p in parts)
    with pytest.raises(UserError, match=r"each of 5 sections: split .* of 4 .* leaves 1 for valid"):
        corpus.split(text, fractions, 5)


def test_a_run_reads_its_parts_from_all_sections(tmp_path):
    (tmp_path / "text.txt").write_text("0123456789abcdefghijx")
    config = default_config()
    config.corpus.path = str(tmp_path / "text.txt")
    config.corpus.split, config.corpus.sections = (0.6, 0.2, 0.2), 2
    whole, parts = runs.read_text(config)
    assert whole.text == "012345abcdef67gh89ij"
    assert whole.vocabulary_until(len(parts.train)).symbols == "012345abcdef"
    assert whole.vocabulary.decode(parts.validation) == "67gh"


def test_rounding_loses_no_character():
    for tenths in [(a, b, 10 - a - b) for a in range(1, 11) for b in range(11 - a)]:
        parts = corpus.split("x" * 1000, [t / 10 for t in tenths])
        assert [len(p) for p in parts] == [100 * t for t in tenths]


@pytest.mark.parametrize(
    ("fractions", "message"),
    [
        ((0.9, 0.1), "three fractions"),
        ((0.0, 0.5, 0.5), "that of train above 0"),
        ((0.9, -0.1, 0.2), "at least 0"),
        ((float("nan"), 0.1, 0.1), "at least 0"),
        ((0.9, 0.1, 0.1), "sum to 1.1, more than 1"),
        ((0.01, 0.5, 0.4), "leaves 0 for train"),
        ((0.7, 0.2, 0.1), "leaves 1 for test"),
    ],
)
def test_fractions_that_cannot_be_are_refused(fractions, message):
    with pytest.raises(UserError, match=message):
        corpus.split("0123456789", fractions)
