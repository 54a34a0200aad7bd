"""Pages that need nothing but themselves: templates, styles, plotly and all data in one file."""

import collections
import importlib.resources
import importlib.util
import json
from collections.abc import Sequence
from typing import Any

from rnnzoo.errors import UserError
from rnnzoo.report import interactive
from rnnzoo.report.figure import Figure, Heat

HERE = "rnnzoo.report"


def check_libraries() -> None:
    """Raises UserError if what pages are made with is not installed."""
    for name in ("plotly", "jinja2"):
        if importlib.util.find_spec(name) is None:
            raise UserError(f"the page needs {name}: pip install 'rnnzoo[report]'")


def render(
    template: str,
    figures: Sequence[Figure | Heat],
    data: dict[str, Any],
    package: str = HERE,
    **values: Any,
) -> str:
    """A page.

    Args:
      template: its file, which extends 'base.html' of this package.
      figures: what `figure` of 'macros.html' shows, by group in the variable `groups`.
      data: besides the figures, for the page's scripts.
      package: that holds the template.
      **values: the template's variables, among them `title` and `brand`.
    """
    import jinja2
    from plotly.offline import get_plotlyjs

    def load(name: str) -> str:
        return _file(package if name == template else HERE, name)

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(load), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    specs = {figure.key: interactive.spec(figure) for figure in figures}
    groups: dict[str, list[Figure | Heat]] = collections.defaultdict(list)
    for figure in figures:
        groups[figure.group].append(figure)
    return environment.get_template(template).render(
        file=load,
        plotly=get_plotlyjs(),
        table=interactive.table,
        data=_json({"figures": specs, **data}),
        groups=groups,
        **values,
    )


def _file(package: str, name: str) -> str:
    return importlib.resources.files(package).joinpath(name).read_text("utf-8")


def _json(value) -> str:
    """JSON that is safe inside a script element."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
