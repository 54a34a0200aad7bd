"""The gallery: docs/zoo/, a table of every cell and a page for each family, made from the registry.

    python -m benchmarks.layers --cells=zoo --rounds=3 --out=benchmarks/results/zoo_cpu.json
    python -m benchmarks.gallery

The first command, which takes about a quarter of an hour, times every cell; the second writes the pages.
"""

import inspect
import json
import pathlib
import re
import textwrap
import unicodedata
from collections.abc import Callable, Mapping

import haiku as hk
import numpy as np

from benchmarks.markdown import table as markdown_table
from benchmarks.report import FOLDER
from rnnzoo import cost, registry
from rnnzoo.registry import Entry

ROOT = FOLDER.parent
PAGES, TIMES = ROOT / "docs" / "zoo", FOLDER / "results" / "zoo_cpu.json"
COMMANDS = inspect.cleandoc(__doc__).split("\n\n")[1]
# What a count of parameters or operations may be a sum of, as functions of D and H.
TERMS: Mapping[str, Callable[[int, int], int]] = {
    "H²": lambda D, H: H * H,
    "DH": lambda D, H: D * H,
    "D²": lambda D, H: D * D,
    "H": lambda D, H: H,
    "D": lambda D, H: D,
    "": lambda D, H: 1,
}
# (D, H): four of each, so that a cubic is not taken for a sum of these terms.
SIZES = (
    [(16, H) for H in (32, 64, 96, 128)] + [(D, 32) for D in (48, 64, 80)] + [(48, 64), (80, 96)]
)


def bibliography() -> dict[str, dict[str, str]]:
    """The entries of docs/references.bib: {key: {'author': ..., 'title': ..., 'year': ...}}."""
    text = (ROOT / "docs" / "references.bib").read_text(encoding="utf-8")
    entries = {}
    for key, body in re.findall(r"^@\w+\{([^,]+),(.*?)^\}", text, re.MULTILINE | re.DOTALL):
        fields = re.findall(r"^\s*(\w+)\s*=\s*\{(.*?)\},?\s*$", body, re.MULTILINE | re.DOTALL)
        entries[key] = {name: _without_tex(value) for name, value in fields}
    return entries


def _without_tex(text: str) -> str:
    accents = {'"': "\u0308", "'": "\u0301", "`": "\u0300", "^": "\u0302", "~": "\u0303"}
    accents |= {"c": "\u0327", "u": "\u0306", "v": "\u030c", "=": "\u0304", "H": "\u030b"}

    def accented(match):
        return match[2] + accents[match[1]]

    text = re.sub(r"\\([\"'`^~=cuvH])\s*\{?\\?(\w)\}?", accented, text)
    for tex, plain in {
        r"\o": "ø",
        r"\l": "ł",
        r"\ss": "ß",
        r"\i": "ı",
        r"\&": "&",
        "--": "–",
    }.items():
        text = text.replace(tex, plain)
    plain = " ".join(re.sub(r"[{}]", "", text).split())
    return unicodedata.normalize("NFC", plain)


def citation(entry: Mapping[str, str]) -> str:
    """Authors and year, as 'Cho et al. 2014'."""
    names = [author.split(",")[0].strip() for author in entry["author"].split(" and ")]
    who = f"{names[0]} et al." if len(names) > 2 else " and ".join(names)
    return f"{who} {entry['year']}"


def formula(count: Callable[[int, int], int]) -> str:
    """A count as a formula in D and H, such as '3H² + 3DH + 4H', or '' where it is no such sum."""
    counts = np.array([count(D, H) for D, H in SIZES], float)
    matrix = np.array([[term(D, H) for term in TERMS.values()] for D, H in SIZES], float)
    weights, *_ = np.linalg.lstsq(matrix, counts, rcond=None)
    rounded = np.round(weights * 16) / 16
    if not np.array_equal(matrix @ rounded, counts):
        return ""
    parts = []
    for weight, term in zip(rounded, TERMS, strict=True):
        if weight:
            number = f"{abs(weight):g}" if abs(weight) != 1 or not term else ""
            parts += ["-" if weight < 0 else "+", number + term]
    return " ".join(parts).removeprefix("+ ")


def is_parallel(name: str) -> bool:
    """Whether the cell can compute all time steps at once."""
    found = []
    hk.transform(lambda: found.append(hasattr(registry.make(name, 8), "parallel"))).init(None)
    return found[0]


def sizes(name: str) -> tuple[str, str]:
    """Parameters, and operations of a time step's products, as formulas in D and H."""
    costs = {(D, H): cost.of_cell(lambda H=H: registry.make(name, H), D, 1) for D, H in SIZES}
    at = cost.of_cell(lambda: registry.make(name, 256), 256, 1)
    parameters = formula(lambda D, H: costs[D, H].parameters)
    operations = formula(lambda D, H: costs[D, H].forward_flops)
    return (
        parameters or f"{at.parameters:,} at D = H = 256",
        operations or f"{at.forward_flops:,} at D = H = 256",
    )


def speeds() -> dict[tuple[str, int], float]:
    """Time steps per second of all B rows, forward and backward, by (cell, B)."""
    if not TIMES.exists():
        return {}
    rows = json.loads(TIMES.read_text(encoding="utf-8"))["rows"]
    return {
        (row["cell"], row["batch_size"]): 1e6 / row["microseconds_per_step"]
        for row in rows
        if row["contender"] == "rnnzoo"
    }


def independent(name: str) -> str:
    """What the cell is compared with in its certificate."""
    from tests.golden import vectors
    from tests.references import REFERENCES

    parts = [vectors.library(name)] if name in vectors.names() else []
    return ", ".join(parts + ["the paper's equation"] * (name in REFERENCES))


def parts(docstring: str) -> list[tuple[str, bool]]:
    """A class docstring's parts in order, and whether each is an equation, in TeX."""
    found = []
    for block in re.split(r"^\.\. math::", inspect.cleandoc(docstring), flags=re.MULTILINE):
        if found:  # what follows '.. math::' up to the first line that is not indented
            first = block.find("\n") + 1 or len(block)
            end = re.search(r"^\S", block[first:], re.MULTILINE)
            end = first + end.start() if end else len(block)
            found.append((textwrap.dedent(block[:end]).strip(), True))
            block = block[end:]
        found.append((block.strip(), False))
    return [(text, is_math) for text, is_math in found if text]


def markdown(docstring: str) -> str:
    """A class docstring as Markdown: its equations between `$$`."""
    around = "$$\n\\begin{{gathered}}\n{}\n\\end{{gathered}}\n$$"
    return "\n\n".join(around.format(t) if is_math else t for t, is_math in parts(docstring))


def equation(docstring: str) -> str:
    """The docstring's first equation for a table, one line below the other."""
    first = next((text for text, is_math in parts(docstring) if is_math), "")
    # Environments such as cases have line ends of their own.
    whole = re.split(r"(\\begin\{.*?\\end\{\w+\})", first, flags=re.DOTALL)
    ends = (re.sub(r"\\\\\s*(\n|$)", "\0", t) if i % 2 == 0 else t for i, t in enumerate(whole))
    lines = [" ".join(line.split()) for line in "".join(ends).split("\0")]
    shown = (line.replace(r"\|", r"\Vert ").replace("|", r"\vert ") for line in lines if line)
    return "<br>".join(f"${line}$" for line in shown)


def row(entry: Entry, papers: Mapping[str, Mapping[str, str]], times: Mapping) -> list[str]:
    """The cell's line of the table."""
    parameters, operations = sizes(entry.name)
    speed = [times.get((entry.name, B)) for B in (1, 32)]
    return [
        f"[`{entry.name}`]({entry.family}.md#{entry.name})",
        equation(entry.factory.__doc__),
        citation(papers[entry.cites]),
        parameters,
        operations,
        "yes" if is_parallel(entry.name) else "",
        independent(entry.name),
        *(f"{s:,.0f}" if s else "" for s in speed),
    ]


COLUMNS = (
    "cell",
    "equation",
    "from",
    "parameters",
    "FLOPs of a step's products",
    "parallel",
    "compared with",
    "steps/s, B = 1",
    "steps/s, B = 32",
)


def table(rows: list[list[str]]) -> str:
    """A Markdown table below `COLUMNS`."""
    return markdown_table(COLUMNS, rows)


def family_page(family: str, papers: Mapping[str, Mapping[str, str]]) -> str:
    """The page of one family: each cell's equation, options and paper."""
    page = [f"# {family.replace('_', ' ').capitalize()}", "[All cells](index.md)"]
    for name in registry.names(family=family):
        entry = registry.entry(name)
        paper = papers[entry.cites]
        options = ", ".join(
            "the core's own" if p.kind is p.VAR_KEYWORD else f"`{k}={p.default!r}`"
            for k, p in entry.options.items()
        )
        page += [
            f"## {name}",
            markdown(entry.factory.__doc__),
            f"Options: {options}." if options else "",
            f"{citation(paper)}: *{paper['title']}*.",
        ]
    return "\n\n".join(p for p in page if p) + "\n"


def pages(times: Mapping[tuple[str, int], float]) -> dict[str, str]:
    """All pages by their file names."""
    papers = bibliography()
    entries = [registry.entry(name) for name in registry.names()]
    families = sorted({entry.family for entry in entries})
    rows = [row(entry, papers, times) for entry in entries]
    intro = (
        f"# The zoo: {len(entries)} cells\n\n"
        "D input features, H hidden units. Speed is that of `rnnzoo.unroll`, forward and backward, on\n"
        "128 dense inputs with D = H = 256 and B rows, in time steps of all B rows per second. Every\n"
        f"cell passes its certificate (`python -m rnnzoo.certify NAME`). Made by\n\n{COMMANDS}\n\n"
        "Families: " + ", ".join(f"[{f.replace('_', ' ')}]({f}.md)" for f in families) + ".\n\n"
    )
    return {
        "index.md": intro + table(rows) + "\n",
        **{f"{family}.md": family_page(family, papers) for family in families},
    }


def main() -> None:
    """Writes the pages."""
    PAGES.mkdir(parents=True, exist_ok=True)
    for old in PAGES.glob("*.md"):
        old.unlink()
    for name, text in pages(speeds()).items():
        (PAGES / name).write_text(text, encoding="utf-8")
    print(f"written to {PAGES.relative_to(pathlib.Path.cwd())}")


if __name__ == "__main__":
    main()
