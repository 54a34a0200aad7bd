"""docs/published.md with the table as its results are: `python -m benchmarks.documents`."""

import json
import pathlib

from benchmarks import markdown
from benchmarks.gallery import bibliography, citation
from benchmarks.published import number, rows

DOCUMENT = pathlib.Path(__file__).parents[2] / "docs" / "published.md"
BEGIN = "<!-- numbers: made by python -m benchmarks.documents -->\n"


def text() -> str:
    """The table of the committed results, as Markdown."""
    result = json.loads(rows.PATH.read_text("utf-8"))
    lines = [
        BEGIN,
        f"The last on {result['date'][:10]}: the mean of the seeds and their standard deviation, then "
        "each seed; the minutes are of all seeds together, with compilation, on one core of a CPU that "
        "other work shared, or on a GPU.\n",
    ]
    for name in number.names():
        lines += _section(name, number.load(name), result["rows"])
    return "\n".join(lines)


def _section(name: str, config: number.Number, found: list[rows.Row]) -> list[str]:
    measured = [(model, rows.find(found, name, config, model)) for model in config.models]
    lines = [rows.line(row, config, model) for model, row in measured if row]
    missing = [f"`{model.label}`" for model, row in measured if row is None]
    paper = bibliography()[config.source]
    head = [
        f"### {config.title}\n",
        f"`python -m benchmarks.published --numbers={name}`: {config.measured.replace('_', ' ')}, "
        f"{config.seeds} seed{'s' * (config.seeds > 1)}. {citation(paper)}: *{paper['title']}*.\n",
    ]
    cells = (line._replace(model=f"`{line.model}`") for line in lines)
    table = markdown.table(rows.Line._fields, cells)
    note = [f"Not measured yet: {', '.join(missing)}.", ""] if missing else []
    return [*head, *([table, ""] if lines else []), *note]


def main() -> None:
    """Writes the document's last part."""
    head, _, _ = DOCUMENT.read_text("utf-8").partition(BEGIN)
    DOCUMENT.write_text(head + text(), encoding="utf-8")
