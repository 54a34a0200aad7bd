"""Corpora, and downloads from a server of our own."""

import functools
import hashlib
import http.server
import io
import os
import sys
import threading

from rnnzoo import corpus
from tests.bad_input.row import AGAIN, EVALUATE, REPRODUCE, TEXT, TRAIN, Row, file

# Corpora


def text(name, content, message, keys=""):
    words = f"{TRAIN} --config.corpus.path=a.txt {keys}"
    return Row(name, words, message, file("a.txt", content))


def path(name, path, message, prepare=lambda: None):
    return Row(name, f"{TRAIN} --config.corpus.path={path}", message, prepare)


def standard_input(content):
    stream = None if content is None else io.TextIOWrapper(io.BytesIO(content))
    return lambda: setattr(sys, "stdin", stream)


CORPORA = [
    path("a missing file", "none.txt", "there is no file"),
    path("an address", "http://localhost/a.txt", "there is no file"),
    path("a folder", ".", "'.' is a folder: name the files in it"),
    path("a name too long for a file", 300 * "a", "cannot be read: File name too long"),
    path("a name with a NUL", "a\0b", "cannot be read: embedded null byte"),
    path("the home of nobody", "~nobody-of-that-name/a.txt", "there is no file"),
    path("a link to itself", "a.txt", "Too many levels of symbolic links",
         lambda: os.symlink("a.txt", "a.txt")),
    path("a named pipe", "a.txt", "is a pipe or a device: pipe it in", lambda: os.mkfifo("a.txt")),
    path("a device without end", "/dev/zero", "'/dev/zero' is a pipe or a device"),
    path("empty standard input", "-", "'standard input' is empty", standard_input(b"")),
    path("closed standard input", "-", "standard input is closed", standard_input(None)),
    text("empty", b"", "'a.txt' is empty: nothing to learn from"),
    text("a byte-order mark alone", b"\xef\xbb\xbf", "'a.txt' is empty"),
    text("one character", b"a", "only one distinct character, 'a'"),
    text("one distinct character", b"a" * 1000, "only one distinct character, 'a'"),
    text("line ends alone", b"\r\n" * 1000, r"only one distinct character, '\n'"),
    text("NUL bytes alone", bytes(1000), r"only one distinct character, '\x00'"),
    text("not UTF-8", b"ab\ncaf\xe9 " * 99, "is not UTF-8: byte 0xe9 at offset 6, line 2"),
    text("UTF-16", TEXT.encode("utf-16"), "is not UTF-8: byte 0xff at offset 0, line 1"),
    text("too short for its split", b"the cat sat", "leaves 1 for validation, which needs two"),
    text("a validation character that training lacks", TEXT + 48 * "Q",
         "the validation text: character 'Q' (U+0051)", "--config.corpus.split=(0.9,0.1,0)"),
    text("a test character that training lacks", TEXT + "Q", "the test text: character 'Q'"),
    Row("an unknown name", f"{TRAIN} --config.corpus.path= --config.corpus.name=santo",
        "no corpus is named 'santo' (a file is given as the path): did you mean 'santa'"),
    Row("changed since the run began: train", AGAIN, "the text has changed since the run in 'run'",
        file("text.txt", TEXT.replace("mat", "tam", 1))),
    Row("changed since the run began: evaluate", EVALUATE, "the text has changed since the run",
        file("text.txt", TEXT.replace("mat", "tam", 1))),
    Row("changed since the run began: reproduce", REPRODUCE, "the text has changed since the run",
        file("text.txt", TEXT.replace("mat", "tam", 1))),
    Row("gone since the run began", EVALUATE, "there is no file", lambda: os.remove("text.txt")),
]  # fmt: skip

# Downloads: from a server of our own

GOOD = b"Ho\r\nho\r\nho\r\n"


class Handler(http.server.BaseHTTPRequestHandler):
    """What a server may do to a text."""

    def do_GET(self):
        what = self.path.strip("/")
        if what.isdigit():
            self.send_error(int(what))
            return
        self.send_response(302 if what == "elsewhere" else 200)
        if what == "elsewhere":
            self.send_header("Location", f"http://localhost:{self.server.server_port}/good")
        self.send_header("Content-Length", str(len(GOOD) + 100 * (what == "cut")))
        self.end_headers()
        self.wfile.write(b"Ha" * 6 if what == "another" else GOOD)

    def log_message(self, *_):
        pass


def download(name, what, message):
    words = (
        f"{TRAIN} --config.corpus.path= --config.corpus.name=santa --config.corpus.cache_dir=cache"
    )

    def prepare():
        address = f"http://127.0.0.1:{server()}/{what}"
        remote = corpus.Remote("santa/520.txt", address, hashlib.sha256(GOOD).hexdigest())
        corpus.REMOTES = {"santa": remote}

    return Row(name, words, message, prepare)


@functools.cache
def server() -> int:
    """The port of a server that runs until the tests end."""
    found = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=found.serve_forever, daemon=True).start()
    return found.server_port


def wrong_in_the_cache():
    download("", "good", "").prepare()
    file("cache/santa/520.txt", b"Ha\n")()


DOWNLOADS = [
    download("a wrong checksum", "another", "'santa' cannot be fetched (another file is there)"),
    download("a connection cut in the middle", "cut", "'santa' cannot be fetched ("),
    download("a server error", "500", "cannot be fetched (HTTPError: 500 Server Error"),
    download("a missing page", "404", "cannot be fetched (HTTPError: 404 Client Error"),
    download("an address that leads to another", "elsewhere",
             "its address leads to another, http://localhost"),
    Row("another file in the cache", download("", "", "").words,
        "is not the corpus 'santa': its SHA-256", wrong_in_the_cache),
]  # fmt: skip
