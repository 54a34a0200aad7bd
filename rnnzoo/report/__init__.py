"""A report of runs to look at: `python -m rnnzoo.report runs/a runs/b --out=report.html`.

One HTML file that needs no network, and the same figures as PNG and SVG for papers.
"""

import os
import pathlib
from collections.abc import Sequence

from rnnzoo.errors import UserError, reason
from rnnzoo.report.figures import all_figures
from rnnzoo.report.material import gather

DEFAULT = "report.html"


def write(
    folders: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str] | None = None,
    figures: str | os.PathLike[str] | None = None,
    cell_modules: Sequence[str] = (),
) -> list[pathlib.Path]:
    """Writes a report of runs.

    Args:
      folders: the runs', at least one; several stand side by side.
      out: the HTML file; None for `DEFAULT` or, if there are `figures`, for no page.
      figures: a folder for PNG and SVG files; None for none.
      cell_modules: modules that register cells, besides the runs' own.

    Returns:
      What was written.

    Raises:
      UserError: no run is given, or one cannot be read; a library is missing; or a path cannot be
        written.
    """
    if not folders:
        raise UserError(
            "a report needs runs: give their folders, as in `rnnzoo report runs/a runs/b`"
        )
    page = pathlib.Path(out or DEFAULT) if out or not figures else None
    if page:
        _check_writable(page)
        from rnnzoo.report import html

        html.check_libraries()
    if figures and pathlib.Path(figures).is_file():
        raise UserError(f"--figures={str(figures)!r} is a file: give a folder")
    materials = gather(folders, cell_modules)
    found, written = all_figures(materials), []
    if page:
        from rnnzoo.report.page import render

        page.write_text(render(materials, found), encoding="utf-8")
        written.append(page)
    if figures:
        from rnnzoo.report import static

        written += static.save(found, pathlib.Path(figures), materials)
    return written


def _check_writable(path: pathlib.Path) -> None:
    """Before minutes of work: whether the file can be written."""
    try:
        existed = path.exists()
        path.open("a").close()
        if not existed:
            path.unlink()
    except (OSError, ValueError) as e:
        raise UserError(f"--out={str(path)!r} cannot be written: {reason(e)}: give another") from e
