"""The gallery's pages are complete, and made rightly from docstrings, costs and the bibliography."""

import pytest

from benchmarks import gallery
from rnnzoo import registry


@pytest.fixture(scope="module")
def index():
    return (gallery.PAGES / "index.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", registry.names())
def test_every_cell_has_an_entry(name, index):
    entry = registry.entry(name)
    (line,) = [x for x in index.splitlines() if x.startswith(f"| [`{name}`]")]
    cells = dict(zip(gallery.COLUMNS, line.strip("| ").split(" | "), strict=False))
    assert cells["equation"].startswith("$") and cells["from"] and cells["compared with"]
    page = (gallery.PAGES / f"{entry.family}.md").read_text(encoding="utf-8")
    assert f"\n## {name}\n" in page
    assert gallery.markdown(entry.factory.__doc__) in page, "run: python -m benchmarks.gallery"


def test_the_index_names_no_cell_that_is_gone(index):
    assert index.count("\n| [`") == len(registry.names())


def test_formula():
    assert gallery.formula(lambda D, H: 3 * H * H + 3 * D * H + 4 * H) == "3H² + 3DH + 4H"
    assert gallery.formula(lambda D, H: H * H // 4 - D + 1) == "0.25H² - D + 1"
    assert gallery.formula(lambda D, H: H**3) == ""


def test_citation():
    papers = gallery.bibliography()
    assert gallery.citation(papers["elman1990finding"]) == "Elman 1990"
    assert gallery.citation(papers["hochreiter1997long"]) == "Hochreiter and Schmidhuber 1997"
    assert gallery.citation(papers["cho2014learning"]) == "Cho et al. 2014"
    assert "Schmidhuber, Jürgen" in papers["hochreiter1997long"]["author"]
    assert "Gülçehre, Çağlar" in papers["cho2014learning"]["author"]


DOC = r"""A cell.

.. math:: h_t = W h_{t-1}

Text with

.. math::
    a_t = |x| \\
    b_t = 1

and an end.
"""


def test_docstrings_become_markdown():
    text = gallery.markdown(DOC)
    assert "$$\n\\begin{gathered}\nh_t = W h_{t-1}\n\\end{gathered}\n$$\n\nText with" in text
    assert "a_t = |x| \\\\\nb_t = 1\n\\end{gathered}\n$$\n\nand an end." in text
    assert gallery.equation(DOC) == "$h_t = W h_{t-1}$"
    assert gallery.equation(DOC.partition("Text with")[2]) == r"$a_t = \vert x\vert $<br>$b_t = 1$"
