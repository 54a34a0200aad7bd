"""A run: the folder that holds a training's config, vocabulary, parameters and report.

`rnnzoo.session.train` makes one, `sample` and `evaluate` read one.

    runs/pydoc-gru/
      config.json  vocabulary.json  provenance.json
      checkpoints/                     all that a training needs to go on
      best/                            parameters, if there was a validation
      metrics.jsonl  samples.txt  curves.png
"""

import itertools
import pathlib
import re
from collections.abc import Sequence
from typing import NamedTuple

import jax
from ml_collections import ConfigDict

from rnnzoo import config as configs
from rnnzoo import corpus, registry, sampler
from rnnzoo.checkpoint import Saved, Series
from rnnzoo.errors import UserError, about
from rnnzoo.evaluate import evaluate as evaluate_text
from rnnzoo.model import LanguageModel, Params, language_model
from rnnzoo.vocabulary import Vocabulary

ROOT = pathlib.Path("runs")
CONFIG, VOCABULARY, PROVENANCE = "config.json", "vocabulary.json", "provenance.json"
BEST, CHECKPOINTS = "best", "checkpoints"


class Run(NamedTuple):
    """A trained model with all that belongs to it.

    Attributes:
      folder: the run's.
      config: of the training.
      vocabulary: of the training's text.
      model: the language model.
      params: its best parameters by validation loss, of all seeds; without a validation, the last
        of the first seed.
    """

    folder: pathlib.Path
    config: ConfigDict
    vocabulary: Vocabulary
    model: LanguageModel
    params: Params


def open_run(folder: str | pathlib.Path, cell_modules: Sequence[str] = ()) -> Run:
    """Reads a run from its folder; modules that register cells may be given besides its own.

    Raises:
      UserError: it is no run, or its parts do not fit together.
    """
    folder = pathlib.Path(folder)
    if not (folder / CONFIG).exists():
        raise UserError(f"{str(folder)!r} holds no run, there is no {CONFIG} in it: {_newest()}")
    config = configs.load(str(folder / CONFIG))
    config.cell.modules += tuple(cell_modules)
    vocabulary = Vocabulary.load(folder / VOCABULARY)
    model = make_model(config, len(vocabulary))
    shapes = jax.eval_shape(model.init, jax.random.key(0))
    if saved := Series(folder / BEST, 1).newest():
        params = saved.restore("params", shapes)
    elif saved := Series(folder / CHECKPOINTS, 1).newest():
        params = _restore_first(saved, shapes, config.seeds)
    else:
        raise UserError(f"{str(folder)!r} holds no parameters yet: train there first")
    return Run(folder, config, vocabulary, model, params)


def _restore_first(saved: Saved, shapes, seeds: int) -> Params:
    """The parameters of the first seed."""
    if seeds == 1:
        return saved.restore("params", shapes)
    of_all = jax.tree.map(lambda a: jax.ShapeDtypeStruct((seeds, *a.shape), a.dtype), shapes)
    return jax.tree.map(lambda a: a[0], saved.restore("params", of_all))


def find_folder(workdir: str | None) -> pathlib.Path:
    """The folder of the run to read.

    Raises:
      UserError: none is given; it names the newest.
    """
    if workdir is None:
        raise UserError(f"this mode reads a run: give its --workdir; {_newest()}")
    return pathlib.Path(workdir)


def _newest() -> str:
    found = sorted(ROOT.glob(f"*/{CONFIG}"), key=lambda path: path.stat().st_mtime)
    return f"the newest run is {found[-1].parent}" if found else f"there is none in {ROOT}/ yet"


def make_model(config: ConfigDict, vocabulary_size: int) -> LanguageModel:
    """The language model of a config; its cells are imported and tried out.

    Raises:
      UserError: a cell, module or option that does not exist, or does not fit.
    """
    for module in dict.fromkeys(config.cell.modules):
        registry.load_module(module)
    names = [name.strip() for name in config.cell.name.split(",")]
    cell = config.cell

    def make_core():
        return registry.make(names, cell.hidden_size, layers=cell.layers, **cell.options)

    model = language_model(make_core, vocabulary_size, config.model.embedding_size)
    jax.eval_shape(model.init, jax.random.key(0))
    return model


def sample_options(config: ConfigDict) -> dict:
    """The section `sample` as arguments of `sampler.sample`.

    Raises:
      UserError: a value is out of its range.
    """
    options = {**config.sample, "top_k": config.sample.top_k or None}
    with about("config.sample"):
        sampler.Options(**{k: v for k, v in options.items() if k != "prompt"})
    return options


def read_text(config: ConfigDict) -> tuple[corpus.Corpus, corpus.Split]:
    """The corpus of a config, whole and in its parts.

    Raises:
      UserError: it cannot be read, or not be split.
    """
    c = config.corpus
    found = corpus.load(c.name, c.path, c.unit, c.cache_dir)
    return found, corpus.split(found.text, c.split)


def evaluate(run: Run, part: str | None = None) -> dict[str, float]:
    """The loss over parts of the run's text.

    Args:
      run: from `open_run`.
      part: 'train', 'validation' or 'test'; None for all that training did not see or, if it saw
        all, for 'train'.

    Returns:
      Nats per character of each part.

    Raises:
      UserError: the part is empty, or has characters outside the vocabulary.
    """
    _, split = read_text(run.config)
    parts = [part] if part else [p for p in ("validation", "test") if getattr(split, p)]
    losses = {}
    for part in parts or ["train"]:
        if not (text := getattr(split, part)):
            raise UserError(f"config.corpus.split {run.config.corpus.split} has no {part} part")
        with about(f"the {part} text"):
            losses[part] = evaluate_text(run.model, run.params, run.vocabulary.encode(text))
    return losses


def new_folder(workdir: str | pathlib.Path | None, name: str, beside: bool = False) -> pathlib.Path:
    """Makes a run's folder.

    Args:
      workdir: the folder; None for one in `ROOT`.
      name: what it is called in `ROOT`, with a number if that name is taken.
      beside: make another one beside `workdir`, called like it with a number.

    Raises:
      UserError: it cannot be written.
    """
    if workdir is not None and not beside:
        folder = pathlib.Path(workdir)
    else:
        name = re.sub(r"[^\w.+-]+", "_", name.replace(",", "+"))
        first = ROOT / name if workdir is None else pathlib.Path(workdir)
        numbers = itertools.count(2)
        folder = first
        while folder.exists():
            folder = first.with_name(f"{first.name}-{next(numbers)}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / CONFIG).touch()
    except OSError as e:
        raise UserError(f"workdir {str(folder)!r} cannot be written: {e.strerror}") from e
    return folder
