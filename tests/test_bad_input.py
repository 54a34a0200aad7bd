"""Bad input: each is refused with one line, before anything is lost, and nothing there is changed.

The rows are in tests/bad_input/, and in the table of docs/reliability.md.
"""

import contextlib
import pathlib
import shlex
import shutil
import subprocess
import sys

import pytest

from rnnzoo import corpus, main, registry
from tests.bad_input import CONFIGS, PLUGINS, RUNS, TABLE, document_table
from tests.bad_input.row import AGAIN, TEXT, TRAIN

DOCUMENT = pathlib.Path(__file__).parents[1] / "docs" / "reliability.md"
TINY = """
def get_config():
    return {
        "cell": {"name": "elman", "hidden_size": 8},
        "corpus": {"path": "text.txt", "split": (0.8, 0.1, 0.1)},
        "train": {"epochs": 1, "batch_size": 2, "truncation": 8, "max_subsequence_length": 20},
        "sample": {"prompt": "the", "length": 9},
    }
"""


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


def test_the_document_has_these_rows():
    assert document_table() in DOCUMENT.read_text(encoding="utf-8")
    assert sum(map(len, TABLE.values())) >= 60
