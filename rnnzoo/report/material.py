"""What a report is made of: a run's log, and what instruments find in its model."""

import functools
import math
import pathlib
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from rnnzoo import runs
from rnnzoo.errors import UserError
from rnnzoo.instruments import Inside, look_inside, memory
from rnnzoo.instruments.observe import summary
from rnnzoo.instruments.probes import Probe, probe
from rnnzoo.metrics import SAMPLES, Row, read_inside, read_metrics
from rnnzoo.model import count_parameters

SHORTEST = 16  # characters of a text to look into a model with
READ = 1500  # characters that the reader shows
PROBED = 20_000  # characters that probes learn from and are scored on
RESET = 2**15  # characters for the loss after a reset
STRETCHES, LAGS, WARM_UP = 32, 200, 50  # for gradients


class Look(NamedTuple):
    """What instruments found.

    Attributes:
      part: of the run's text, such as 'validation'.
      text: the characters that the reader shows, one for each row of `inside`, after the first.
      inside: of these characters.
      observed: as `rnnzoo.instruments.observe` gives it, of the run's best parameters.
      probes: which units tell what.
      norms: of gradients, [lags + 1, stretches].
      eigenvalues: of the recurrent Jacobian, [positions, S]; None for a state too large.
      reset: the loss after a reset.
    """

    part: str
    text: list[str]
    inside: Inside
    observed: list[Row]
    probes: list[Probe]
    norms: np.ndarray
    eigenvalues: np.ndarray | None
    reset: memory.Reset


class Material(NamedTuple):
    """One run.

    Attributes:
      name: its folder's, made longer where several runs share it.
      run: from `runs.open_run`.
      rows: of its metrics.
      characters: that each epoch reads; None if its text cannot be read.
      samples: texts by epoch.
      observed: by epoch, what `rnnzoo.instruments.observe` saw while it trained.
      look: None if its text cannot be read, and `problem` says why.
    """

    name: str
    run: runs.Run
    rows: list[Row]
    characters: int | None
    samples: dict[int, list[str]]
    observed: dict[int, list[Row]]
    look: Look | None
    problem: str = ""

    @property
    def parameters(self) -> int:
        """How many the model has."""
        return count_parameters(self.run.params)

    @property
    def seconds(self) -> list[float]:
        """How long training took until the end of each row's epoch, without compilation."""
        epochs = [0, *(row["epoch"] for row in self.rows)]
        each = [
            (self.characters or 0) * (after - before) / row["chars_per_second"]
            for row, before, after in zip(self.rows, epochs[:-1], epochs[1:], strict=True)
        ]
        return np.cumsum(each).tolist()

    @property
    def best(self) -> dict[str, Any] | None:
        """The row with the least validation loss."""
        validated = [row for row in self.rows if "validation_loss" in row]
        return min(validated, key=lambda row: row["validation_loss"], default=None)


def gather(
    folders: Sequence[str | pathlib.Path], cell_modules: Sequence[str] = ()
) -> list[Material]:
    """Reads runs and looks into their models; a minute for four of the exercise's.

    Raises:
      UserError: a folder holds no run, or one without a row in its metrics, or is named twice.
    """
    paths = [pathlib.Path(folder) for folder in folders]
    resolved = [path.resolve() for path in paths]
    if len(set(resolved)) < len(paths):
        twice = next(p for p in paths if resolved.count(p.resolve()) > 1)
        raise UserError(f"{str(twice)!r} is named twice: name each run once")
    opened = [runs.open_run(path, cell_modules) for path in paths]
    logs = [read_metrics(path) for path in paths]
    for path, rows in zip(paths, logs, strict=True):
        if not rows:
            raise UserError(f"{str(path)!r} has no epoch in its metrics yet: train there first")
    return [_material(n, r, m) for n, r, m in zip(_names(resolved), opened, logs, strict=True)]


def _names(paths: list[pathlib.Path]) -> list[str]:
    """The folders' names, with as many of those above as tell them apart."""
    for parts in range(1, max(len(path.parts) for path in paths) + 1):
        names = ["/".join(path.parts[-parts:]) for path in paths]
        if len(set(names)) == len(names):
            break
    return names


def _material(name: str, run: runs.Run, rows: list[Row]) -> Material:
    parts = functools.partial(
        Material,
        name,
        run,
        rows,
        samples=read_samples(run.folder / SAMPLES),
        observed=read_inside(run.folder),
    )
    try:
        part, ids = next(iter(runs.read_parts(run).items()))
        characters = _characters_per_epoch(run, ids, part)
        if len(ids) < SHORTEST:
            raise UserError(f"its {part} text has {len(ids)} characters, and {SHORTEST} are needed")
    except UserError as e:
        return parts(characters=None, look=None, problem=str(e))
    return parts(characters=characters, look=_look(run, part, np.asarray(ids)))


def _characters_per_epoch(run: runs.Run, ids: np.ndarray, part: str) -> int:
    config = run.config
    train = ids if part == "train" else runs.read_parts(run, "train")["train"]
    if config.train.sampling == "stream":
        return len(train) - 1
    return config.train.batch_size * min(config.train.max_subsequence_length, len(train) - 1)


def _look(run: runs.Run, part: str, ids: np.ndarray) -> Look:
    model, params = run.model, run.params
    probed = ids[: PROBED + 1]
    inside = look_inside(model, params, probed)
    text = [run.vocabulary.decode(probed[i : i + 1]) for i in range(len(probed))]
    norms = memory.gradient_norms(model, params, *_stretches(ids))
    return Look(
        part,
        text[: READ + 1],
        _beginning(inside, READ),
        summary(inside),
        probe(inside.signals, "".join(text[:-1])),
        norms,
        memory.jacobian_eigenvalues(model, params, ids[:200]),
        memory.loss_after_reset(model, params, ids[: RESET + 1]),
    )


def _beginning(inside: Inside, n: int) -> Inside:
    signals = {signal: values[:n] for signal, values in inside.signals.items()}
    return inside._replace(nats=inside.nats[:n], entropies=inside.entropies[:n], signals=signals)


def _stretches(ids: np.ndarray) -> tuple[np.ndarray, int, int]:
    """Stretches of text side by side for `memory.gradient_norms`, with its lags and its warm-up."""
    length = min(LAGS + WARM_UP, len(ids))
    warm_up = length * WARM_UP // (LAGS + WARM_UP)
    starts = np.linspace(0, len(ids) - length, min(STRETCHES, len(ids) // length)).astype(int)
    return np.stack([ids[s : s + length] for s in starts], axis=1), length - warm_up, warm_up


def read_samples(path: pathlib.Path) -> dict[int, list[str]]:
    """The texts of samples.txt by epoch; none if there is no such file."""
    if not path.exists():
        return {}
    parts = re.split(r"^--- epoch (\d+)\n", path.read_text("utf-8", errors="replace"), flags=re.M)
    found: dict[int, list[str]] = {}
    for epoch, text in zip(parts[1::2], parts[2::2], strict=True):
        found.setdefault(int(epoch), []).append(text.removesuffix("\n"))
    return found


def finite(characters: float) -> str:
    """How many characters, for a person; infinity is more than the instruments read."""
    return "more than was read" if math.isinf(characters) else f"{characters:,.0f}"
