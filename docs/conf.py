"""The documents as a site: sphinx-build -W --keep-going -b html docs docs/_build/html.

The notebooks in docs/notebooks/ are executed; nothing is fetched, neither by the build nor by its
pages: MathJax is in the package sphinx-mathjax-offline.
"""

import os
import pathlib
import re
import sys
from importlib import metadata

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent))  # a checkout documents itself
# The notebooks run in processes of their own.
os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])
os.environ.setdefault("JAX_PLATFORMS", "cpu")

project = "rnnzoo"
author = "The rnnzoo developers"
release = metadata.version("rnnzoo")
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",
    "sphinx_copybutton",
]
exclude_patterns = ["_build"]

# Pages are MyST Markdown, which GitHub shows too; notebooks are pages with a jupytext header.
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "cache"
nb_execution_raise_on_error = True
nb_execution_timeout = 300  # seconds of a cell, on a machine that has other work
nb_execution_show_tb = True  # where the build runs, not in a file
nb_merge_streams = True

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
default_role = "py:obj"  # a name in single backticks is a link, or else code
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # an attribute that is described twice would be a warning

html_theme = "furo"
html_title = f"rnnzoo {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = html_show_copyright = False
html_theme_options = {"navigation_with_keys": True}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True


def _literal_blocks(app, what, name, obj, options, lines):
    """Marks as code what a docstring indents after a blank line, as Markdown does."""
    for i in reversed(range(1, len(lines))):
        if not lines[i - 1].strip() and re.match(r" {4,}\S", lines[i]):
            before = [line for line in lines[:i] if line.strip()]
            if before and re.match(r"[^ .]", before[-1]) and not before[-1].endswith("::"):
                lines[i:i] = ["::", ""]


def _for_the_site(app, page, source):
    """What a page needs here, and would not read well where its Markdown is shown as it is."""
    source[0] = source[0].replace("](../benchmarks/README.md", "](benchmarks.md")
    if page == "zoo/index":
        source[0] += "\n```{toctree}\n:hidden:\n:glob:\n\n*\n```\n"


def setup(app):
    """Docstrings are read before napoleon takes its sections out of them."""
    app.connect("autodoc-process-docstring", _literal_blocks, priority=400)
    app.connect("source-read", _for_the_site)
