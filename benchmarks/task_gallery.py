"""The tasks' page: docs/tasks.md, a table of every task and a section for each, made from the registry.

python -m benchmarks.task_gallery
"""

from collections.abc import Mapping

from benchmarks.gallery import ROOT, bibliography, citation, markdown
from benchmarks.markdown import table
from rnnzoo import tasks
from rnnzoo.tasks import Entry, Ids

PAGE = ROOT / "docs" / "tasks.md"
INTRO = """# The tasks

Generated data that shows what a cell is good at. `rnnzoo.tasks.make(name, **options)` makes a task,
and `task.sample(key, batch_size, length)` draws a batch on the device: inputs, targets, and weights
that say which time steps count. With `shortest`, each row has its own length, and is padded.

The baseline is the least mean loss of whoever knows the time step, the length and which steps count,
but sees none of the inputs; chance is the accuracy to be had likewise. A test draws a large sample
of each task, and finds that its targets' own frequencies lose just that. All numbers are for the
default options, at the longest length of the test. Made by

    python -m benchmarks.task_gallery

"""
COLUMNS = ("task", "what it asks for", "baseline", "chance", "trained on", "tested on", "from")


def lengths(ends: tuple[int, int]) -> str:
    """A range of lengths, such as '1 to 40'."""
    return f"{ends[0]} to {ends[1]}" if ends[0] != ends[1] else str(ends[0])


def row(entry: Entry, papers: Mapping[str, Mapping[str, str]]) -> list[str]:
    """The task's line of the table."""
    task = entry.factory()
    longest = task.test_lengths[1]
    of_ids = isinstance(task.outputs, Ids)
    return [
        f"[`{entry.name}`](#{entry.name})",
        entry.summary.partition(": ")[2],
        f"{task.baseline(longest):.4f} {'nats' if of_ids else 'squared error'}",
        f"{task.chance(longest):.1%}" if of_ids else "",
        lengths(task.train_lengths),
        lengths(task.test_lengths),
        citation(papers[entry.cites]) if entry.cites else "",
    ]


def section(entry: Entry, papers: Mapping[str, Mapping[str, str]]) -> str:
    """The task's equation with its baseline, options and paper."""
    options = ", ".join(f"`{k}={p.default!r}`" for k, p in entry.options.items())
    parts = [f"## {entry.name}", markdown(entry.factory.__doc__)]
    parts += [f"Options: {options}."] if options else []
    if entry.cites:
        parts.append(f"{citation(papers[entry.cites])}: *{papers[entry.cites]['title']}*.")
    return "\n\n".join(parts)


def page() -> str:
    """The page, in Markdown."""
    papers = bibliography()
    entries = sorted(map(tasks.entry, tasks.names()), key=lambda e: (e.family, e.name))
    overview = table(COLUMNS, [row(entry, papers) for entry in entries])
    return INTRO + "\n\n".join([overview, *(section(entry, papers) for entry in entries)]) + "\n"


def main() -> None:
    """Writes the page."""
    PAGE.write_text(page(), encoding="utf-8")
    print(f"written to {PAGE}")


if __name__ == "__main__":
    main()
