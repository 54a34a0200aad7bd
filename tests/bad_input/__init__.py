"""The table of bad input in docs/reliability.md; `python -m tests.bad_input` prints it."""

from tests.bad_input.configs import COMMANDS, CONFIGS
from tests.bad_input.plugins import PLUGINS
from tests.bad_input.runs import RUNS, SAMPLES
from tests.bad_input.texts import CORPORA, DOWNLOADS

TABLE = {
    "Configs": CONFIGS,
    "Command line and folder": COMMANDS,
    "Corpora": CORPORA,
    "Runs and checkpoints": RUNS,
    "Prompts and sampling": SAMPLES,
    "Plugin modules": PLUGINS,
    "Downloads": DOWNLOADS,
}


def document_table():
    lines = []
    for group, rows in TABLE.items():
        lines += [f"| **{group}** | |", *(f"| {r.name} | {_code(r.message)} |" for r in rows)]
    return "\n".join(["| Input | Said |", "|---|---|", *lines])


def _code(text):
    return "``" + text.replace("|", r"\|") + "``"
