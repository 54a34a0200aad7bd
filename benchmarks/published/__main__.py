"""Published numbers: expected beside measured, of three seeds, in the settings of their files.

python -m benchmarks.published --numbers=parity,adding
python -m benchmarks.published --numbers=shakespeare --path=input.txt     # a copy of the text

What was measured in the same setting before is kept, and not measured again.
"""

import datetime
import pathlib
import sys
import time

import jax
from absl import flags

from benchmarks import report, settings
from benchmarks.published import number, rows, work
from rnnzoo.errors import UserError
from rnnzoo.report.figure import file_name

NUMBERS = flags.DEFINE_list("numbers", ["all"], "Names of numbers; or 'all'.")
TEXT = flags.DEFINE_string("path", "", "A copy of the text that the one number named reads.")
RUNS = flags.DEFINE_string("runs", "runs/published", "The folder for the trainings on texts.")
USED = (NUMBERS, TEXT, RUNS)


def chosen() -> dict[str, number.Number]:
    """The numbers that the flags name.

    Raises:
      UserError: one that does not exist or is not valid; or a text for what reads none.
    """
    names = number.names() if NUMBERS.value == ["all"] else NUMBERS.value
    found = {name: number.load(name) for name in names}
    one_text = len(found) == 1 and isinstance(next(iter(found.values())), number.OfText)
    if TEXT.value and not one_text:
        raise UserError(f"--path={TEXT.value} is for one number of a text: name it with --numbers")
    return found


def main() -> None:
    """Measures what is not there yet, and shows it."""
    wanted, path = chosen(), pathlib.Path(settings.OUT.value or rows.PATH)
    found, commit = report.kept(path, {}), report.commit()  # before the rows make it dirty
    for name, config in wanted.items():
        lines = []
        for model in config.models:
            row = rows.find(found, name, config, model)
            if row is None:
                print(f"{time.strftime('%H:%M:%S')} {name}: {model.label}", file=sys.stderr)
                row = measured(name, config, model) | {"commit": commit}
                key = (name, model.label)
                found = [r for r in found if (r["number"], r["model"]) != key] + [row]
                report.keep("published", {}, found, path)
                jax.clear_caches()  # of this model: none is needed again
            lines.append(rows.line(row, config, model))
        report.show(f"{name}: {config.title}, {config.measured}", rows.Line._fields, lines, path)


def measured(name: str, config: number.Number, model: number.Model) -> rows.Row:
    """A row."""
    if isinstance(config, number.OfTask):
        found = work.of_task(config, model)
    else:
        folder = pathlib.Path(RUNS.value, name, file_name(model.label))
        found = work.of_text(config, model, folder, TEXT.value)
    return {
        "number": name,
        "model": model.label,
        "setting": config.setting(model),
        **found,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "device": report.device(),
    }


if __name__ == "__main__":
    settings.run(main, USED)
