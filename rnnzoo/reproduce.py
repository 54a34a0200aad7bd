"""Training a run once more, to show that it comes out the same."""

import pathlib
import tempfile

import jax
import numpy as np
from rich.console import Console

from rnnzoo import runs
from rnnzoo.checkpoint import Series
from rnnzoo.errors import UserError
from rnnzoo.log import read_metrics
from rnnzoo.runs import CHECKPOINTS
from rnnzoo.session import train


def reproduce(workdir: str | pathlib.Path, console: Console | None = None) -> int:
    """Trains a run once more from its beginning, in a folder of its own, and compares the two.

    Args:
      workdir: the run's folder; it stays as it is.
      console: where the training's lines go; by default, standard output.

    Returns:
      The number of epochs compared: losses and parameters are the same to the bit.

    Raises:
      UserError: they differ, with the first difference; the run is not complete or not readable; its
        text has changed.
    """
    before = runs.open_run(workdir)
    text, _ = runs.read_text(before.config)
    runs.check_same_text(before.folder, text.sha256)
    rows = [_losses(before.folder)]
    if _newest_notes(before.folder)["epoch"] <= before.config.train.epochs:
        raise UserError(f"{str(workdir)!r} is not complete: train there to its end first")
    with tempfile.TemporaryDirectory(prefix=f"{before.folder.name}-again-") as folder:
        before.config.log.tensorboard = False  # nobody looks at the second's
        again = train(before.config, pathlib.Path(folder) / "run", console=console)
        rows.append(_losses(again))
        for one, other in zip(*rows, strict=True):
            if one != other:
                raise UserError(f"epoch {one['epoch']} differs: {one} before, {other} now")
        after = runs.open_run(again)
        same = jax.tree.map(lambda a, b: bool(np.all(a == b)), before.params, after.params)
    if not all(jax.tree.leaves(same)):
        raise UserError("the losses are the same, the parameters differ")
    return len(rows[0])


def _newest_notes(folder: pathlib.Path) -> dict:
    found = Series(folder / CHECKPOINTS, 1).newest()
    return found.notes if found else {"epoch": 0}


def _losses(folder: pathlib.Path) -> list[dict]:
    """The rows of metrics.jsonl without the training's speed."""
    return [{k: v for k, v in r.items() if k != "chars_per_second"} for r in read_metrics(folder)]
