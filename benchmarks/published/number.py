"""What a published number is: the setting that it is measured in, and what is expected of it.

A file of `benchmarks/published/numbers/` has a function `get_config()` that returns an `OfTask`, a
generated task, or an `OfText`, each with several models.
"""

import dataclasses
import importlib
import math
import pkgutil
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.published import numbers
from rnnzoo import config as configs
from rnnzoo import registry, runs, tasks
from rnnzoo.errors import UserError, about, did_you_mean
from rnnzoo.tasks import learn
from rnnzoo.untyped import ConfigDict

# What is measured, with its decimals; the more the better, but for the loss.
MEASURES = {"scaled_accuracy": 3, "accuracy": 3, "loss": 6, "bits_per_parameter": 2}


@dataclasses.dataclass(frozen=True)
class Expected:
    """What the mean over the seeds should be.

    Attributes:
      how: 'at least', 'at most' or 'about'.
      value: the number.
      within: how far 'about' reaches, as a fraction of the value.
    """

    how: str
    value: float
    within: float = 0.0

    def __post_init__(self) -> None:
        """Raises UserError for any other `how`."""
        if self.how not in ("at least", "at most", "about"):
            raise UserError(f"expected {self.how!r}: give 'at least', 'at most' or 'about'")

    def met(self, measured: float) -> bool:
        """Whether it is so; never by a number that is not finite."""
        if not math.isfinite(measured):
            return False
        low = {"at least": self.value, "about": self.value * (1 - self.within)}
        high = {"at most": self.value, "about": self.value * (1 + self.within)}
        return low.get(self.how, -math.inf) <= measured <= high.get(self.how, math.inf)

    def __str__(self) -> str:
        """Such as '≥ 0.99', or '5 ± 10 %'."""
        if self.how == "about":
            return f"{self.value:g} ± {100 * self.within:g} %"
        return f"{'≥' if self.how == 'at least' else '≤'} {self.value:g}"


@dataclasses.dataclass(frozen=True)
class TaskModel:
    """A cell on a task, and what is expected of it.

    Attributes:
      cell: a registered name.
      expected: the number.
      options: the cell's own.
      layers: how often it is stacked; None for the number's.
      hidden_size: H of each layer; likewise.
    """

    cell: str
    expected: Expected
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    layers: int | None = None
    hidden_size: int | None = None

    @property
    def label(self) -> str:
        """Such as 'deltanet(allow_negative_eigenvalues=True)', or 'mingru, 3 layers'."""
        name = _called(self.cell, self.options)
        return name + (f", {_layers(self.layers)}" if self.layers else "")


@dataclasses.dataclass(frozen=True)
class TextModel:
    """A config of rnnzoo's own, on its text, and what is expected of it.

    Attributes:
      config: a name of `rnnzoo.config.named()`.
      expected: nats per character.
      keys: settings of the config that are changed, by key, such as {'cell.name': 'gru'}.
    """

    config: str
    expected: Expected
    keys: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def made(self) -> ConfigDict:
        """The config.

        Raises:
          UserError: no such config or key.
        """
        return configs.complete(dict(configs.flatten(configs.load(self.config))) | dict(self.keys))

    @property
    def label(self) -> str:
        """Such as 'lstm, 2 layers of 45 units'."""
        cell = self.made().cell
        name = _called(cell.name, cell.options.to_dict())
        return f"{name}, {_layers(cell.layers)} of {cell.hidden_size} units"


def _called(cell: str, options: Mapping[str, Any]) -> str:
    listed = ", ".join(f"{key}={value}" for key, value in options.items())
    return cell + (f"({listed})" if listed else "")


def _layers(count: int) -> str:
    return f"{count} layer{'s' * (count > 1)}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class OfTask:
    """A number on a generated task; all models learn it in the same setting.

    Attributes:
      title: a line.
      source: a key of docs/references.bib.
      task: a registered task.
      options: the task's own.
      measured: what is compared, of `MEASURES`. The scaled accuracy is 0 at chance and 1 at best.
      models: what learns it.
      hidden_size: H of each layer.
      layers: how many.
      embedding_size: of what the first of them reads; 0 for one-hot symbols, or reals as they are.
      batch_size: B, sequences of an update.
      updates: of a training, by Adam clipped to a norm of 1; a multiple of `learn.POINTS`.
      learning_rate: the first; it falls as a cosine to 0.
      train_lengths: of the shortest and longest sequence; None for the task's own.
      test_lengths: the same of what is measured on; None for the longest of training.
      seeds: how many, one training after the other.
    """

    title: str
    source: str
    task: str
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    measured: str
    models: Sequence[TaskModel]
    hidden_size: int
    layers: int = 1
    embedding_size: int = 0
    batch_size: int = 32
    updates: int
    learning_rate: float
    train_lengths: tuple[int, int] | None = None
    test_lengths: tuple[int, int] | None = None
    seeds: int = 3

    def made(self) -> tasks.Task:
        """The task.

        Raises:
          UserError: no such task or option.
        """
        return tasks.make(self.task, **self.options)

    def lengths(self) -> tuple[int, int]:
        """Of the shortest and the longest sequence that is measured on."""
        longest = (self.train_lengths or self.made().train_lengths)[1]
        return self.test_lengths or (longest, longest)

    def learner(self, model: TaskModel) -> learn.Learner:
        """What trains a model from the first seed."""
        H, layers = model.hidden_size or self.hidden_size, model.layers or self.layers

        def make_core():
            return registry.make(model.cell, H, layers=layers, **model.options)

        task, updates = self.made(), self.updates // learn.POINTS
        return learn.Learner(
            learn.task_model(task, make_core, self.embedding_size),
            learn.source(task, self.batch_size, updates, self.train_lengths),
            seeds=1,
        )

    def setting(self, model: TaskModel) -> dict[str, Any]:
        """All that decides what is measured."""
        found = dataclasses.asdict(self) | {"model": dataclasses.asdict(model)}
        for key in ("title", "source", "models"):
            del found[key]
        del found["model"]["expected"]
        return found

    def check(self) -> None:
        """Raises UserError for what would fail after hours: a task, a cell or an option."""
        if self.measured not in MEASURES:
            raise UserError(f"measured {self.measured!r}: {did_you_mean(self.measured, MEASURES)}")
        if self.updates < 1 or self.updates % learn.POINTS:
            raise UserError(
                f"{self.updates} updates are no multiple of {learn.POINTS}: change them"
            )
        if (self.measured == "bits_per_parameter") != (self.task == "capacity"):
            raise UserError(
                f"{self.task} does not go with {self.measured}: capacity has these bits"
            )
        for model in self.models:
            learn.parameters(self.learner(model).model)


@dataclasses.dataclass(frozen=True, kw_only=True)
class OfText:
    """A number on a text: the loss of configs after their training, of the best epoch by validation.

    Attributes:
      title: a line.
      source: a key of docs/references.bib.
      models: what is trained.
      part: of the text, 'validation' or 'test', all of which is read.
      seeds: how many, one training after the other; or all at once, if config.seeds says as many.
    """

    title: str
    source: str
    models: Sequence[TextModel]
    part: str = "validation"
    seeds: int = 3

    measured = "loss"

    def setting(self, model: TextModel) -> dict[str, Any]:
        """All that decides what is measured."""
        return {"config": model.made().to_dict(), "part": self.part, "seeds": self.seeds}

    def check(self) -> None:
        """Raises UserError for what would fail after hours: a config, a key, a cell or its seeds."""
        for model in self.models:
            config = model.made()
            runs.make_model(config, 2)  # tries out its cell
            at_once = config.seeds
            if at_once not in (1, self.seeds) or (at_once > 1 and self.part != "validation"):
                raise UserError(
                    f"config.seeds {at_once}: give 1 or, on the validation text, {self.seeds}"
                )


Number = OfTask | OfText
Model = TaskModel | TextModel


def names() -> list[str]:
    """All numbers."""
    return sorted(module.name for module in pkgutil.iter_modules(numbers.__path__))


def load(name: str) -> Number:
    """A number of its name, checked.

    Raises:
      UserError: there is no such number, with the nearest; or something in it does not exist.
    """
    if name not in names():
        raise UserError(f"no number is named {name!r}: {did_you_mean(name, names())}")
    found = importlib.import_module(f"{numbers.__name__}.{name}").get_config()
    with about(f"the number {name!r}"):
        found.check()
    return found
