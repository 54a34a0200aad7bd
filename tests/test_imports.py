"""Imports run one way, so that every file can be read without those above it."""

import ast
import pathlib

import pytest

PACKAGE = pathlib.Path(__file__).parents[1] / "rnnzoo"

# Each layer may import those before it (and its own package), nothing after it.
LAYERS = [
    {"errors", "loss", "host_memory", "cost", "cache", "signals", "modes", "untyped"},
    {"metrics", "curves", "view", "tensorboard"},
    {"devices", "distributed"},
    {"registry", "vocabulary", "unroll", "floors"},
    {"cells", "encoding", "batches", "weights"},
    {"model", "corpus"},
    {"sampler", "evaluate", "checkpoint", "optimizers", "update"},
    {"train", "log", "certificate", "instruments"},
    {"config", "tasks"},
    {"runs", "command_line"},
    {"job", "watch", "completion"},
    {"session"},
    {"reproduce", "report", "play"},
    {"main", "certify"},
]
LEVEL = {name: i for i, layer in enumerate(LAYERS) for name in layer}


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "rnnzoo":
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("rnnzoo."):
            yield node.module.split(".")[1]


MODULES = [p for p in PACKAGE.rglob("*.py") if p != PACKAGE / "__init__.py"]


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_run_one_way(path):
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    own = "main" if path.name == "__main__.py" else own  # a command, which nothing imports
    for name in imported(path):
        assert name == own or LEVEL[name] < LEVEL[own], f"{own} imports {name}"


def test_cells_and_unroll_do_not_know_each_other():
    for one, other in (("cells", "unroll"), ("unroll", "cells")):
        for path in (PACKAGE / one).rglob("*.py"):
            assert other not in imported(path), path


def test_loss_imports_nothing_of_ours():
    assert not list(imported(PACKAGE / "loss.py"))


def test_files_stay_short():
    for path in MODULES:
        assert len(path.read_text().splitlines()) <= 400, path
