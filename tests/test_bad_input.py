"""Bad input: each is refused with one line, before anything is lost, and nothing there is changed.

The rows are the table in docs/reliability.md; `python tests/test_bad_input.py` prints it.
"""

import contextlib
import functools
import hashlib
import http.server
import io
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import NamedTuple

import pytest

from rnnzoo import corpus, main, registry

DOCUMENT = pathlib.Path(__file__).parents[1] / "docs" / "reliability.md"
TEXT = "the cat sat on the mat. " * 40
TINY = """
def get_config():
    return {
        "cell": {"name": "elman", "hidden_size": 8},
        "corpus": {"path": "text.txt", "split": (0.8, 0.1, 0.1)},
        "train": {"epochs": 1, "batch_size": 2, "truncation": 8, "max_subsequence_length": 20},
        "sample": {"prompt": "the", "length": 9},
    }
"""
TRAIN, AGAIN = "--config=tiny.py --workdir=new", "--config=tiny.py --workdir=run"
SAMPLE, EVALUATE, REPRODUCE = (
    f"--mode={m} --workdir=run" for m in "sample evaluate reproduce".split()
)


class Row(NamedTuple):
    """A bad input.

    Attributes:
      name: what it is.
      words: the command line.
      message: a part of the line that it gives.
      prepare: makes it, in the working folder.
    """

    name: str
    words: str
    message: str
    prepare: Callable[[], None] = lambda: None


def file(name, content=b""):
    """Writes a file, and the folder that it is in."""

    def prepare():
        path = pathlib.Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    return prepare


# Configs


def setting(name, keys, message):
    words = " ".join(f"--config.{key}" for key in keys.split())
    return Row(name, f"{TRAIN} {words}", message)


def config_file(name, content, message, file_name="c.py"):
    words = f"--config={file_name} --config.corpus.path=text.txt --workdir=new"
    return Row(name, words, message, file(file_name, content))


CONFIGS = [
    setting("an unknown key", "cell.nmae=x", "config.cell has no key 'nmae': did you mean 'name'"),
    setting("an unknown section", "cel.name=gru", "there is no config.cel.name: did you mean"),
    setting("a section set to a value", "cell=gru", "there is no config.cell: did you mean"),
    setting("a text for a whole number", "cell.hidden_size=abc", "must be a whole number, not 'abc'"),
    setting("a fraction for a whole number", "cell.layers=1.5", "must be a whole number, not '1.5'"),
    setting("no value", "cell.hidden_size=", "must be a whole number, not ''"),
    setting("a text for a number", "optimizer.learning_rate=fast", "must be a number, not 'fast'"),
    setting("a text for a truth value", "corpus.unknown=maybe", "must be True or False"),
    setting("a negative size", "cell.hidden_size=-8", "config.cell.hidden_size must be at least 1"),
    setting("no layers", "cell.layers=0", "config.cell.layers must be at least 1, not 0"),
    setting("a size beyond 32 bits", "train.batch_size=99999999999", "must be less than 2**31"),
    setting("a seed beyond 32 bits", "train.seed=4294967296", "must be less than 2**32"),
    setting("a cell larger than the memory", "cell.hidden_size=1000000000", "GiB, and this machine has"),
    setting("truncation longer than the stretch", "train.truncation=21", "truncation 21 is longer"),
    setting("a stretch longer than the corpus", "train.max_subsequence_length=9999",
            "needs a text of at least 10000 characters, and this one has 768"),
    setting("batch rows shorter than the truncation", "train.sampling=stream train.batch_size=500",
            "in rows of 1, shorter than truncation 8"),
    setting("more devices than there are", "cpu_devices=4096", "config.cpu_devices is 4096, and this"),
    setting("a split of two parts", "corpus.split=(0.9,0.1)", "give three fractions of at least 0"),
    setting("a split that sums to more than 1", "corpus.split=(0.9,0.2,0)", "sum to 1.1, more than 1"),
    setting("a negative part", "corpus.split=(0.9,-0.1,0.2)", "three fractions of at least 0"),
    setting("a split of texts", "corpus.split=('a',0,0)", "must be three numbers"),
    setting("a learning rate of NaN", "optimizer.learning_rate=nan", "must be at least 0, not nan"),
    setting("an infinite learning rate", "optimizer.learning_rate=1e999", "at least 0, not inf"),
    setting("an unknown optimiser", "optimizer.name=admm", "did you mean 'adam'"),
    setting("an unknown optimiser's option", "optimizer.options.b11=1", "did you mean 'b1'"),
    setting("a text for an optimiser's number", "optimizer.options.b1=high",
            "optimizer 'adam' with the options {'b1': 'high'} fails: TypeError"),
    setting("an unknown schedule", "optimizer.schedule=cosin", "did you mean 'cosine'"),
    setting("a warm-up longer than the training", "optimizer.warmup=99", "not less than the training's"),
    setting("an unknown kind of stretch", "train.sampling=steam", "did you mean 'stream'"),
    setting("an unknown unit", "corpus.unit=byte", "did you mean 'bytes'"),
    setting("an unknown cell", "cell.name=elmann", "did you mean 'elman'"),
    setting("an empty name in a stack", "cell.name=gru,,gru", "no cell is named ''"),
    setting("an unknown cell's option", "cell.options.activtion=relu", "did you mean 'activation'"),
    setting("an unknown activation", "cell.options.activation=relo", "did you mean 'relu'"),
    setting("a list for an activation", "cell.options.activation=[1]", "no activation is named [1]"),
    setting("heads that do not divide H", "cell.name=deltanet cell.options.heads=3",
            "hidden_size=8 cannot be shared by heads=3"),
    setting("a text for a number of heads", "cell.name=deltanet cell.options.heads=two",
            "cell 'deltanet' fails: TypeError"),
    setting("a size among the options", "cell.options.hidden_size=3", "set config.cell.hidden_size"),
    Row("an option without a value", f"{TRAIN} --config.cell.options.activation", "needs a value"),
    config_file("a file that raises", "1 / 0", "config file 'c.py' fails: ZeroDivisionError"),
    config_file("a file that ends the program", "raise SystemExit(3)", "'c.py' fails: SystemExit: 3"),
    config_file("a file that is no Python", "def", "config file 'c.py' fails: SyntaxError"),
    config_file("a file without get_config", "x = 1", "needs a function get_config"),
    config_file("get_config without a config", "get_config = list", "that returns a config"),
    config_file("a section where a value belongs", "def get_config(): return {'cell': {'name': {}}}",
                "config.cell.name must be a text, not {}"),
    config_file("JSON cut short", "{", "is not a config saved by rnnzoo", "c.json"),
    config_file("JSON of another kind", "[1]", "it has no keys", "c.json"),
    config_file("JSON nested without end", "[" * 100_000, "is not a config saved by", "c.json"),
    config_file("a number of 5,000 digits", '{"train": {"seed": ' + 5000 * "9" + "}}",
                "is not a config saved by rnnzoo", "c.json"),
    Row("a missing file", "--config=none.py", "there is no config file 'none.py'"),
    Row("a folder", "--config=.", "there is no config file '.'"),
    Row("a name too long for a file", f"--config={300 * 'a'}", "check the path"),
    Row("an empty name", "--config=", "--config is empty: give a path"),
]  # fmt: skip

# The command line, and the folder of a run

COMMANDS = [
    Row("an unknown flag", "--moed=sample", "there is no flag --moed: did you mean '--mode'"),
    Row("an unknown mode", "--mode=tarin", "should be one of <train|sample|evaluate|"),
    Row("a flag without a value", "--workdir", "Missing value for flag --workdir"),
    Row("a word of no flag", "trian", "'trian' belongs to no flag"),
    Row("no workdir where one is needed", "--mode=sample", "give its --workdir"),
    Row("an empty workdir", "--config=tiny.py --workdir=", "--workdir is empty"),
    Row("a workdir that is a file", "--config=tiny.py --workdir=text.txt", "File exists"),
    Row("a workdir below a file", "--config=tiny.py --workdir=text.txt/a", "Not a directory"),
    Row("a workdir's name too long", f"--config=tiny.py --workdir={300 * 'a'}", "File name too long"),
    Row("a workdir's name with a NUL", "--config=tiny.py --workdir=a\0b", "embedded null byte"),
    Row("a workdir with files of others", TRAIN, "samples.txt, which a run would overwrite",
        file("new/samples.txt", "mine")),
    Row("a workdir with another's config.json", TRAIN, "there is no config.theirs",
        file("new/config.json", '{"theirs": 1}')),
    Row("a fork of nothing", f"{TRAIN} --fork", "--fork goes on from a run, and there is none"),
    Row("a part that does not exist", f"{EVALUATE} --split=foo", "<train|validation|test>"),
    Row("a run that does not exist", "--mode=sample --workdir=none", "'none' holds no run"),
]  # fmt: skip

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

# Checkpoints, and all else in a run's folder


def gone(*names):
    def prepare():
        for path in (pathlib.Path("run", name) for name in names):
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    return prepare


def cut_short(name):
    return lambda: os.truncate(f"run/{name}", os.path.getsize(f"run/{name}") // 2)


def damaged(pattern, content):
    """Writes over files in the run's folder."""

    def prepare():
        found = list(pathlib.Path("run").glob(pattern))
        assert found
        for path in found:
            path.write_bytes(content)

    return prepare


def notes(content):
    """Other notes in every checkpoint, with the checksum that goes with them."""

    def prepare():
        damaged("*/*/notes.json", content)()
        for path in pathlib.Path("run").glob("*/*/checksums.json"):
            sums = json.loads(path.read_text()) | {
                "notes.json": hashlib.sha256(content).hexdigest()
            }
            path.write_text(json.dumps(sums))

    return prepare


def wider():
    path = pathlib.Path("run/config.json")
    path.write_text(path.read_text().replace('"hidden_size": 8', '"hidden_size": 9'))


OTHER_VOCABULARY = '{"unit": "characters", "unknown": false, "symbols": "ABCDEFGHIJK"}'
RUNS = [
    Row("no checkpoint whole: sample", SAMPLE, "holds no parameters that are whole",
        damaged("*/*/*/d/*", b"x")),
    Row("no checkpoint whole: train", AGAIN, "no checkpoint in 'run/checkpoints' is whole",
        damaged("*/*/*/d/*", b"x")),
    Row("no checkpoint at all", SAMPLE, "holds no parameters yet", gone("best", "checkpoints")),
    Row("checksums of another kind", SAMPLE, "holds no parameters that are whole",
        damaged("*/*/checksums.json", b"[1]")),
    Row("notes of another kind", AGAIN, "no checkpoint in 'run/checkpoints' is whole", notes(b"[]")),
    Row("notes without the epoch", AGAIN, "'epoch' is missing", notes(b"{}")),
    Row("another model's checkpoint", SAMPLE, "are not this model's: elman/U.b is (8,) instead of (9,)",
        wider),
    Row("another model's checkpoint, forked", f"{AGAIN} --config.cell.hidden_size=9 --fork",
        "are not this model's: elman/U.b is (8,) instead of (9,)"),
    Row("another config", f"{AGAIN} --config.train.epochs=9",
        "another config: train.epochs is 9, was 1"),
    Row("config.json gone: train", AGAIN, "holds no config.json, but vocabulary.json",
        gone("config.json")),
    Row("config.json gone: sample", SAMPLE, "holds no run, there is no config.json",
        gone("config.json")),
    Row("config.json cut short", SAMPLE, "is not a config saved by rnnzoo", cut_short("config.json")),
    Row("config.json of bytes", AGAIN, "is not a config saved by", damaged("config.json", b"\xff")),
    Row("vocabulary.json gone: sample", SAMPLE, "cannot be read: No such file", gone("vocabulary.json")),
    Row("vocabulary.json gone: train", AGAIN, "cannot be read: No such file", gone("vocabulary.json")),
    Row("vocabulary.json cut short", SAMPLE, "does not hold a vocabulary", cut_short("vocabulary.json")),
    Row("vocabulary.json nested without end", SAMPLE, "does not hold a vocabulary",
        damaged("vocabulary.json", b"[" * 100_000)),
    Row("another vocabulary.json: sample", SAMPLE, "character 't' (U+0074) at index 0 is not in the",
        file("run/vocabulary.json", OTHER_VOCABULARY)),
    Row("another vocabulary.json: train", AGAIN, "is not the vocabulary of the run's text",
        file("run/vocabulary.json", OTHER_VOCABULARY)),
    Row("a vocabulary.json of another size", SAMPLE, "elman/U.w is (11, 8) instead of (2, 8)",
        file("run/vocabulary.json", OTHER_VOCABULARY.replace("CDEFGHIJK", ""))),
    Row("provenance.json gone", AGAIN, "cannot be read: No such file", gone("provenance.json")),
    Row("provenance.json cut short", AGAIN, "holds no checksum of the text",
        cut_short("provenance.json")),
    Row("provenance.json of another kind", EVALUATE, "holds no checksum of the text",
        damaged("provenance.json", b"[1]")),
    Row("metrics.jsonl gone", REPRODUCE, "'run/metrics.jsonl' cannot be read", gone("metrics.jsonl")),
    Row("metrics.jsonl cut short", AGAIN, "is shorter than when it was saved",
        cut_short("metrics.jsonl")),
    Row("metrics.jsonl of bytes", AGAIN, "'run/metrics.jsonl' is damaged",
        damaged("metrics.jsonl", b"\xff" * 9999)),
    Row("metrics.jsonl of another kind", REPRODUCE, "a line is no epoch's",
        damaged("metrics.jsonl", b"1\n" * 9999)),
    Row("samples.txt gone", AGAIN, "samples.txt is shorter than when it was saved", gone("samples.txt")),
]  # fmt: skip

# Prompts and temperatures


def drawing(name, key, message):
    return Row(name, f"{SAMPLE} {shlex.quote(f'--config.sample.{key}')}", message)


SAMPLES = [
    drawing("a prompt with an unknown character", "prompt=the Zoo", "character 'Z' (U+005A) at index 4"),
    drawing("a prompt that is no text", "prompt=t\udcff", r"character '\udcff' (U+DCFF) at index 1"),
    drawing("a negative temperature", "temperature=-1", "finite number of at least 0, not -1.0"),
    drawing("a temperature of NaN", "temperature=nan", "finite number of at least 0, not nan"),
    drawing("an infinite temperature", "temperature=inf", "finite number of at least 0, not inf"),
    drawing("a text for a temperature", "temperature=hot", "must be a number, not 'hot'"),
    drawing("a negative top_k", "top_k=-2", "top_k must be a whole number of at least 1, not -2"),
    drawing("a top_p of 0", "top_p=0", "top_p must be above 0 and at most 1, not 0.0"),
    drawing("a top_p above 1", "top_p=1.5", "top_p must be above 0 and at most 1, not 1.5"),
    drawing("a negative length", "length=-1", "length must be a whole number of at least 0, not -1"),
    drawing("no text", "count=0", "count must be a whole number of at least 1"),
    drawing("more texts than memory", "count=999999999", "at least 1 and at most 100000, not 999999999"),
    drawing("a seed beyond 32 bits", "seed=4294967296", "at most 4294967295, not 4294967296"),
    drawing("an unknown key", "prmpt=a", "config.sample has no key 'prmpt': did you mean 'prompt'"),
    Row("the run's own settings", f"{SAMPLE} --config.train.epochs=3", "only config.sample.* can be"),
    Row("in training, before it begins", f"{TRAIN} --config.sample.prompt=Z",
        "config.sample.prompt: character 'Z' (U+005A)"),
]  # fmt: skip

# Plugin modules

CELL = """
import haiku as hk, jax, jax.numpy as jnp, rnnzoo
@rnnzoo.register("mine")
class Mine(rnnzoo.Cell):
    def __call__(self, x, h):
        {before}
        h = jnp.tanh(hk.Linear(self.hidden_size, w_init={init})(x) + h)
        return {result}
    {more}
"""


def cell_source(before="pass", init="None", result="h, h", more=""):
    return CELL.format(before=before, init=init, result=result, more=more)


def module(name, content, message):
    words = f"{TRAIN} --cell_module=cells_of_mine --config.cell.name=mine"
    return Row(name, words, message, file("cells_of_mine.py", content))


def cell(name, message, **parts):
    return module(name, cell_source(**parts), message)


def initial_state(result):
    return f"def initial_state(self, batch_size): return {result}"


PLUGINS = [
    Row("a module that is missing", f"{TRAIN} --cell_module=none_such",
        "'none_such' cannot be imported: ModuleNotFoundError"),
    module("an import error", "import none_such", "ModuleNotFoundError: No module named 'none_such'"),
    module("a syntax error", "def", "cannot be imported: SyntaxError: invalid syntax"),
    module("an error at import", "1 / 0", "cannot be imported: ZeroDivisionError"),
    module("an end of the program", "raise SystemExit(3)", "cannot be imported: SystemExit: 3"),
    module("no cell in it", "x = 1", "registers no cell: decorate one with @register"),
    module("a name that is taken", cell_source().replace('"mine"', '"gru"'),
           "a cell named 'gru' is registered already"),
    cell("__init__ without hidden_size", "takes no argument `hidden_size`; add one",
         more="def __init__(self, units): super().__init__(units)"),
    cell("__init__ that wants more", "cell 'mine' fails: TypeError",
         more="def __init__(self, hidden_size, depth): super().__init__(hidden_size)"),
    module("__call__ without the state", cell_source().replace("(self, x, h)", "(self, x)"),
           "cell 'mine' fails: TypeError"),
    module("no recurrent core",
           "import rnnzoo\n@rnnzoo.register('mine')\ndef mine(hidden_size): return hidden_size",
           "cell 'mine' fails: AttributeError: 'int' object has no attribute 'initial_state'"),
    cell("an error in a step", "fails: ZeroDivisionError: division by zero (cells_of_mine.py, line 6)",
         before="1 / 0"),
    cell("shapes that do not fit", "cell 'mine' fails: TypeError: add got incompatible shapes",
         before="h = h[:, :3]"),
    cell("a step that returns no pair", "the core returns 3 values: a step returns the pair",
         result="h, h, h"),
    cell("an output without rows", "a language model needs one array", result="h.sum(), h"),
    cell("several outputs", "a language model needs one array", result="(h, h), h"),
    cell("a state of changing shape", "make initial_state and the core agree",
         result="h, jnp.concatenate([h, h], -1)"),
    cell("a state of changing dtype", "make initial_state and the core agree",
         result="h, h.astype(jnp.float16)"),
    cell("a state of changing structure", "return the state in the form in which initial_state",
         result="h, (h, h)"),
    cell("an initial state of one row", "make initial_state and the core agree",
         more=initial_state("jnp.zeros((1, self.hidden_size))")),
    cell("a parameter of NaN", "parameter mine/linear.w is NaN or infinite before the first step",
         init="hk.initializers.Constant(jnp.nan)"),
    cell("an infinite parameter", "parameter mine/linear.w is NaN or infinite before the first step",
         init="hk.initializers.Constant(jnp.inf)"),
    cell("an initial state of NaN", "initial state is NaN before the first step",
         more=initial_state("jnp.full((batch_size, self.hidden_size), jnp.nan)")),
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

TABLE = {
    "Configs": CONFIGS,
    "Command line and folder": COMMANDS,
    "Corpora": CORPORA,
    "Runs and checkpoints": RUNS,
    "Prompts and sampling": SAMPLES,
    "Plugin modules": PLUGINS,
    "Downloads": DOWNLOADS,
}


# The tests


def run(*words):
    main.main(main.parse(["rnnzoo", *words]))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a text, a config and a complete run."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "text.txt").write_text(TEXT)
    (folder / "tiny.py").write_text(TINY)
    with contextlib.chdir(folder):
        run(*AGAIN.split())
    return folder


@pytest.fixture
def work(trained, tmp_path, monkeypatch):
    """A working folder with a copy of it; what a row changes in the process is put back."""
    folder = tmp_path / "work"
    shutil.copytree(trained, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
    monkeypatch.delitem(sys.modules, "cells_of_mine", raising=False)
    for owner, name in ((sys, "stdin"), (corpus, "REMOTES")):
        monkeypatch.setattr(owner, name, getattr(owner, name))
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(registry, "_entries", dict(registry._entries))
    yield folder
    sys.modules.pop("cells_of_mine", None)


def contents(folder):
    """Every file below the folder with what is in it."""
    found = {}
    for path in sorted(folder.rglob("*")):
        found[path] = path.read_bytes() if path.is_file() else None
    return found


@pytest.mark.parametrize(
    "row", [pytest.param(row, id=f"{group}: {row.name}") for group in TABLE for row in TABLE[group]]
)
def test_bad_input_is_one_line_and_changes_nothing(row, work, capsys):
    row.prepare()
    before = contents(work)
    with pytest.raises(SystemExit) as e:
        run(*shlex.split(row.words))
    captured = capsys.readouterr()
    assert e.value.code == 2
    assert captured.err.startswith("rnnzoo: ") and captured.err.count("\n") == 1
    assert row.message in captured.err
    after = contents(work)
    assert {p: c for p, c in after.items() if c is not None} == {
        p: c for p, c in before.items() if c is not None
    }  # empty folders may come


@pytest.mark.parametrize(
    "row", [CONFIGS[0], PLUGINS[1], RUNS[1]], ids=["a key", "a module", "a checkpoint"]
)
def test_the_command_itself_says_nothing_else(row, work):
    row.prepare()
    line = [sys.executable, "-m", "rnnzoo.main", *shlex.split(row.words)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert done.stderr.startswith("rnnzoo: ") and done.stderr.count("\n") == 1
    assert row.message in done.stderr


@pytest.mark.slow
def test_two_gigabytes_of_one_line(work):
    """Refused, in a process that may have 8 GB of addresses."""
    with open("text.txt", "wb") as file:
        file.truncate(2 * 2**30)
    line = shlex.join([sys.executable, "-m", "rnnzoo.main", *TRAIN.split()])
    limited = ["bash", "-c", f"ulimit -v {8 * 2**20}; exec {line}"]
    done = subprocess.run(limited, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert r"only one distinct character, '\x00'" in done.stderr and done.stderr.count("\n") == 1


def document_table():
    lines = []
    for group, rows in TABLE.items():
        lines += [f"| **{group}** | |", *(f"| {r.name} | {_code(r.message)} |" for r in rows)]
    return "\n".join(["| Input | Said |", "|---|---|", *lines])


def _code(text):
    return "``" + text.replace("|", r"\|") + "``"


def test_the_document_has_these_rows():
    assert document_table() in DOCUMENT.read_text(encoding="utf-8")
    assert sum(map(len, TABLE.values())) >= 60


if __name__ == "__main__":
    print(document_table())
