"""What the documents promise: names are documented, examples run, and mistakes have their symptoms."""

import doctest
import functools
import importlib.util
import json
import math
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest

import rnnzoo
from rnnzoo import certificate, registry
from rnnzoo.vocabulary import Vocabulary

ROOT = pathlib.Path(__file__).parents[1]
DOCS, PACKAGE = ROOT / "docs", ROOT / "rnnzoo"


def modules():
    """Each module's name and its code."""
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        yield name.removesuffix(".__init__"), path.read_text(encoding="utf-8")


def test_a_public_name_without_a_docstring_fails_the_build():
    code = '"""A module."""\n\n\ndef public():\n    return 1\n'
    command = [sys.executable, "-m", "ruff", "check", "--stdin-filename=rnnzoo/new.py", "-"]
    done = subprocess.run(command, input=code, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and "D103" in done.stdout, done.stdout + done.stderr
    documented = code.replace("():\n", '():\n    """One."""\n')
    assert subprocess.run(command, input=documented, cwd=ROOT, text=True).returncode == 0


def test_every_module_has_its_place_in_the_pages_of_the_interface():
    pages = "".join(page.read_text() for page in (DOCS / "api").glob("*.md"))
    shown = set(re.findall(r"automodule:: rnnzoo\.([\w.]+)", pages))
    assert all(importlib.util.find_spec(f"rnnzoo.{name}") for name in shown)
    tops = {name.split(".")[1] for name, _ in modules() if "." in name}
    missing = {top for top in tops if not any(s.split(".")[0] == top for s in shown)}
    assert not missing, f"name them in a page of docs/api/: {sorted(missing)}"


@pytest.mark.parametrize("name", [name for name, code in modules() if ">>> " in code])
def test_examples_in_docstrings(name):
    importlib.import_module(name)
    found = doctest.testmod(sys.modules[name])
    assert found.attempted and not found.failed


PAGES = [p for p in DOCS.rglob("*.md") if "```pycon" in p.read_text() and "_build" not in p.parts]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_examples_in_pages(page):
    examples = "\n".join(re.findall(r"^```pycon\n(.*?)^```", page.read_text(), re.DOTALL | re.M))
    test = doctest.DocTestParser().get_doctest(examples, {}, page.name, str(page), 0)
    assert test.examples and not doctest.DocTestRunner().run(test).failed


@pytest.fixture(scope="module")
def docs_on_path():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(DOCS))
        patch.setattr(registry, "_entries", dict(registry._entries))
        yield


@pytest.mark.filterwarnings("ignore:Explicitly requested dtype")  # of float32_inside
@pytest.mark.parametrize(
    "cell, check",
    [
        ("wrong_gate", "equals_reference"),
        ("another_parallel", "strategies_agree"),
        ("another_parallel", "carries_over_a_cut"),
        ("peeks", "is_causal"),
        ("dead_weight", "every_parameter_has_a_gradient"),
        ("stops_gradient", "gradients_match_differences"),
        ("overflows", "stays_finite"),
        ("float32_inside", "works_in_bfloat16"),
        ("batch_norm", "works_under_vmap_and_unbatched"),
        ("forgets", "learns"),
    ],
)
def test_the_certificate_finds_the_mistake_that_its_page_shows(docs_on_path, cell, check):
    broken_cells = importlib.import_module("broken_cells")
    reference = broken_cells.gru_step if check == "equals_reference" else None
    subject = certificate.Subject(functools.partial(rnnzoo.make, cell, 8), reference)
    result = certificate.check(check, subject)
    page = (DOCS / "certificate.md").read_text()
    (shown,) = re.findall(rf"^## {check.replace('_', ' ')}\n.*?^    {cell}: failed: (.*?)$", page,
                          re.DOTALL | re.M)  # fmt: skip
    assert result.verdict == "failed"
    without_numbers = functools.partial(re.sub, r"-?\d[\d.e+-]*", "#")
    assert without_numbers(result.reason) == without_numbers(shown)


def test_every_check_has_its_section():
    page = (DOCS / "certificate.md").read_text()
    for name, function in certificate.CHECKS.items():
        section = page.partition(f"\n## {name.replace('_', ' ')}\n")[2]
        assert section.split("\n")[1].strip("*") == function.__doc__.splitlines()[0], name


@pytest.fixture(scope="module")
def mistakes(docs_on_path):
    return importlib.import_module("exercise_mistakes")


@pytest.fixture(scope="module")
def text():
    written = "the quick brown fox jumps over the lazy dog. " * 20
    vocabulary = Vocabulary.of(written)
    return vocabulary.encode(written), vocabulary


def losses(exercise, mistakes, text, epochs=8):
    ids, vocabulary = text
    return mistakes.train(exercise, ids, len(vocabulary), H=64, epochs=epochs, stretch=400).losses


def test_the_right_exercise_learns_and_each_mistake_has_its_symptom(mistakes, text):
    nothing = math.log(len(text[1]))
    right = losses(mistakes.RIGHT, mistakes, text)
    assert right[0] < nothing * 1.05 and right[-1] < 0.8 * nothing
    V = len(text[1])
    floor = math.log(1 + (V - 1) * math.exp(-2))
    assert min(losses(mistakes.MISTAKES["tanh_of_logits"], mistakes, text)) > floor
    assert min(losses(mistakes.MISTAKES["as_if_one_hot"], mistakes, text, 2)) > 2 * nothing
    assert losses(mistakes.MISTAKES["no_readout"], mistakes, text, 1)[0] > right[0]


def test_a_dropped_piece_is_never_learned(mistakes, text):
    ids, vocabulary = text
    p = mistakes.init(mistakes.jax.random.key(0), len(vocabulary), 16)
    exercise = mistakes.RIGHT._replace(last_piece=False)
    short = ids[:50]  # less than a piece
    after, _, _ = exercise.epoch(p, exercise.optimizer.init(p), short)
    assert all(np.array_equal(after[k], p[k]) for k in p)
    after, _, _ = mistakes.RIGHT.epoch(p, mistakes.RIGHT.optimizer.init(p), short)
    assert not np.array_equal(after["W"], p["W"])


def test_sampling_that_does_not_sample(mistakes):
    logits, keys = np.zeros(5), mistakes.jax.random.split(mistakes.jax.random.key(0), 20)
    drawn = {name: {int(f(key, logits, 1.0)) for key in keys}
             for name, f in {"right": mistakes.draw, **mistakes.DRAWING}.items()}  # fmt: skip
    assert len(drawn["right"]) > 1
    assert len(drawn["likeliest"]) == len(drawn["same_key"]) == 1


def test_a_set_has_another_order_in_another_process(mistakes, text):
    orders = {mistakes.order_of_a_set(text[1].symbols, seed) for seed in (1, 2, 3)}
    assert len(orders) > 1 and {"".join(sorted(o)) for o in orders} == {text[1].symbols}


def test_the_figures_for_choosing_are_those_of_the_results():
    results = json.loads((ROOT / "benchmarks" / "results" / "zoo_cpu.json").read_text())
    measured = {(row["cell"], row["batch_size"]): row["microseconds_per_step"]
                for row in results["rows"] if row["contender"] == "rnnzoo"}  # fmt: skip
    page = (DOCS / "choosing.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \|(?: [\d,]+ \|){3} ([\d,]+) \| ([\d,]+) \|", page, re.M)
    assert len(rows) > 10
    for cell, *shown in rows:
        for B, value in zip((1, 32), shown, strict=True):
            assert int(value.replace(",", "")) == round(measured[cell, B]), cell
