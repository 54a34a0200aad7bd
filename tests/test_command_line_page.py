"""docs/command_line.md says what the tables say, and its JSON is JSON."""

import json
import pathlib
import re

import pytest

from rnnzoo import distributed
from rnnzoo.modes import ENVIRONMENT, EXIT_CODES, FLAGS, MODES, RUN, RUNS, SHELL

PAGE = (pathlib.Path(__file__).parents[1] / "docs" / "command_line.md").read_text(encoding="utf-8")


def table(title):
    """The rows of a chapter's table, by their first column."""
    chapter = re.search(rf"\n## {title}\n(.*?)(\n## |$)", PAGE, re.DOTALL)[1]
    rows = [re.split(r"(?<!\\)\|", row)[1:-1] for row in re.findall(r"^\|.*\|$", chapter, re.M)]
    cells = [[cell.strip().replace("\\|", "|") for cell in row] for row in rows[2:]]
    return {first.replace("`", ""): rest for first, *rest in cells}


def test_modes():
    words = {"": "", RUN: "a run", RUNS: "runs", SHELL: "a shell"}
    section = {None: "", "": "all"}
    assert table("Modes") == {
        name: [
            words[mode.words],
            section.get(mode.section, f"`{mode.section}`"),
            mode.summary,
        ]
        for name, mode in MODES.items()
    }


def test_flags():
    def modes(flag):
        return "all" if flag.modes == (*MODES,) else ", ".join(f"`{mode}`" for mode in flag.modes)

    assert table("Flags") == {
        flag.usage + (f", --{flag.alias}" if flag.alias else ""): [modes(flag), flag.help]
        for flag in FLAGS.values()
    }


def test_exit_codes_and_environment_variables():
    assert table("Exit codes") == {str(code): [meaning] for code, meaning in EXIT_CODES.items()}
    assert table("Environment variables") == {name: [text] for name, text in ENVIRONMENT.items()}
    assert distributed.LOST in EXIT_CODES


@pytest.mark.parametrize("block", re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL))
def test_json_is_json(block):
    documents = [block] if block.startswith("[") else block.splitlines()
    assert all(json.loads(document) for document in documents)


def test_the_picture_is_there():
    (path,) = re.findall(r"!\[.*?\]\((.*?)\)", PAGE)
    picture = pathlib.Path(__file__).parents[1] / "docs" / path
    text = picture.read_text(encoding="utf-8").replace("&#160;", " ")
    assert all(word in text for word in ("epoch", "nats", "characters/s", "left"))
