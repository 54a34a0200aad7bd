"""Which cell is good at what: cells × tasks × seeds at matched parameters.

python -m benchmarks.leaderboard --cells=elman,gru,lstm
python -m benchmarks.leaderboard --cells=my_cell --cell_module=my_cells      # its place

What was run before is kept, and not run again: stop it and start it as you like.
"""

import pathlib
import sys
import time

from absl import flags

from benchmarks import jobs, report, settings
from benchmarks.leaderboard import board, budget, page, work
from rnnzoo import registry
from rnnzoo.errors import UserError, did_you_mean

BUDGET = flags.DEFINE_string("budget", "small", "How much work: small or full.")
CONFIG = flags.DEFINE_string(
    "config",
    None,
    "A file with get_config(), for other work: see benchmarks/leaderboard/budget.py.",
)
TASKS = flags.DEFINE_list("tasks", ["all"], "Names of tasks, without their options; or 'all'.")
PAGE = flags.DEFINE_string("page", None, "An HTML page to write, with the board and its figures.")
FIGURES = flags.DEFINE_string("figures", None, "A folder for the figures as PNG and SVG.")
SPEED = flags.DEFINE_bool(
    "speed", False, "Only time the cells again that are there, on a machine that is quiet."
)
USED = (
    settings.CELLS, settings.CELL_MODULES, BUDGET, CONFIG, TASKS, PAGE, FIGURES, SPEED, jobs.JOBS,
)  # fmt: skip
# Of each kind, the best known and the fastest.
CELLS = (
    "elman", "lstm", "gru", "slstm", "mgu", "indrnn", "mingru", "lru", "mamba", "gla", "mlstm",
    "deltanet",
)  # fmt: skip


def chosen_tasks() -> list[tuple[str, dict]]:
    """The tasks that the flag names.

    Raises:
      UserError: one that is not on the board.
    """
    names = dict.fromkeys(name for name, _ in budget.TASKS)
    if TASKS.value == ["all"]:
        return list(budget.TASKS)
    for name in TASKS.value:
        if name not in (*names, "text"):
            raise UserError(f"--tasks={name} is not on the board: {did_you_mean(name, names)}")
    return [(name, options) for name, options in budget.TASKS if name in TASKS.value]


def main() -> None:
    """Runs what the board lacks, shows it, and writes its page."""
    for module in settings.CELL_MODULES.value:
        registry.load_module(module)
    config = budget.load(CONFIG.value) if CONFIG.value else budget.get_config(BUDGET.value)
    wanted = chosen_tasks()
    if TASKS.value != ["all"] and "text" not in TASKS.value:
        config.corpora = ()
    cells = settings.cells(settings.CELLS.value, CELLS)
    path = pathlib.Path(settings.OUT.value or board.default_path(config.budget))
    asked = {k: v for k, v in config.to_dict().items() if k != "corpora"}
    asked["learning_rates"] = list(asked["learning_rates"])
    rows = report.kept(path, asked)
    done = {(row["cell"], row["task"]): row for row in rows}
    measure, most = (work.speed, 1) if SPEED.value else (work.measure, jobs.JOBS.value)
    todo = [
        (work.Job(cell, index, config, wanted, settings.CELL_MODULES.value),)
        for index, one in enumerate(work.works(config, wanted))
        for cell in cells
        if ((cell, one.name) in done) == SPEED.value
    ]
    begun = time.monotonic()
    for row in jobs.side_by_side(measure, todo, most):
        place = row["cell"], row["task"]
        print(f"{time.monotonic() - begun:5.0f} s: {' on '.join(place)}", file=sys.stderr)
        done[place] = done.get(place, {}) | row
        rows = [*done.values()]
        report.keep("leaderboard", asked, rows, path)
    show(rows, path)
    if PAGE.value or FIGURES.value:
        for written in page.write(rows, asked, PAGE.value, FIGURES.value):
            print(written)


def show(rows: list[board.Row], path) -> None:
    """Prints the board."""
    places = board.places(rows)
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    lines = []
    for number, place in enumerate(places, 1):
        scores = [f"{place.scores[t][0]:.2f}" if t in place.scores else "–" for t in tasks]
        lines.append(
            [str(number), place.cell, f"{place.score:.3f} ±{place.spread:.3f}", f"{place.longer:.2f}",
             f"{place.speed:,.0f}", *scores]
        )  # fmt: skip
    columns = ["", "cell", "score", "longer", "steps/s", *(t.partition("(")[0][:10] for t in tasks)]
    report.show("Score: 0 is chance, 1 is all there is", columns, lines, path)


if __name__ == "__main__":
    settings.run(main, USED)
