"""Tables in Markdown, and the parts of documents that are made from results."""

import re
from collections.abc import Iterable, Sequence


def table(columns: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table."""
    rows = [columns, ["---"] * len(columns), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def filled(text: str, part: str, content: str) -> str:
    """A document with other content between `<!-- part: made by ... -->` and `<!-- /part -->`.

    Raises:
      ValueError: the document has no such part.
    """
    begin, end = rf"<!-- {part}: made by [^>]*-->\n", f"<!-- /{part} -->"
    found = re.search(f"{begin}(.*?){end}", text, re.DOTALL)
    if not found:
        raise ValueError(f"the document has no part named {part!r}")
    return f"{text[: found.start(1)]}\n{content}\n\n{text[found.end(1) :]}"
