"""A run: the folder that holds a training's config, vocabulary, parameters and log.

`rnnzoo.session.train` makes one, `sample` and `evaluate` read one.

    runs/pydoc-gru/
      config.json  vocabulary.json  provenance.json
      checkpoints/                     all that a training needs to go on
      best/                            parameters, if there was a validation
      metrics.jsonl  samples.txt  inside.jsonl  warnings.jsonl  curves.png
      tensorboard/                     event files, if they are wanted
"""

import functools
import itertools
import json
import math
import os
import pathlib
import re
import tempfile
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnnzoo import config as configs
from rnnzoo import corpus, registry, sampler
from rnnzoo.checkpoint import Saved, Series
from rnnzoo.errors import UserError, about, blaming, reason
from rnnzoo.evaluate import evaluate as evaluate_text
from rnnzoo.host_memory import physical_memory
from rnnzoo.log import CURVES
from rnnzoo.metrics import GROWING
from rnnzoo.model import LanguageModel, Params, language_model, uniform
from rnnzoo.tensorboard import FOLDER as TENSORBOARD
from rnnzoo.untyped import ConfigDict, Tree
from rnnzoo.vocabulary import Vocabulary

ROOT = pathlib.Path("runs")
CONFIG, VOCABULARY, PROVENANCE = "config.json", "vocabulary.json", "provenance.json"
BEST, CHECKPOINTS = "best", "checkpoints"
# What a run that goes on may have otherwise than before: none of it moves a parameter.
FREE_TO_CHANGE = ("sample.", "log.", "train.save_every", "train.save_minutes", "train.keep")
WRITTEN = (
    VOCABULARY,
    PROVENANCE,
    BEST,
    CHECKPOINTS,
    *GROWING,
    CURVES,
    TENSORBOARD,
)  # besides the config


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
    config = load_config(folder)
    config.cell.modules += tuple(cell_modules)
    vocabulary = Vocabulary.load(folder / VOCABULARY)
    model = make_model(config, len(vocabulary))
    best, checkpoints = Series(folder / BEST, 1), Series(folder / CHECKPOINTS, 1)
    shapes = jax.eval_shape(model.init, jax.random.key(0))
    if saved := best.newest():
        params = saved.restore("params", shapes)
    elif saved := checkpoints.newest():
        params = _restore_first(saved, shapes, config.seeds)
    elif best.numbers() or checkpoints.numbers():
        raise UserError(f"{str(folder)!r} holds no parameters that are whole: bring them back")
    else:
        raise UserError(f"{str(folder)!r} holds no parameters yet: train there first")
    return Run(folder, config, vocabulary, model, params)


def load_config(folder: pathlib.Path) -> ConfigDict:
    """The config of the run in a folder.

    Raises:
      UserError: it holds no run, or a damaged one.
    """
    if not os.path.exists(folder / CONFIG):
        raise UserError(f"{str(folder)!r} holds no run, there is no {CONFIG} in it: {_newest()}")
    return configs.load(str(folder / CONFIG))


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
    """The language model of a config; its cells are imported, and take a step of no numbers.

    Raises:
      UserError: a cell, module or option that does not exist, or does not fit.
    """
    for module in dict.fromkeys(config.cell.modules):
        registry.load_module(module)
    names = [name.strip() for name in config.cell.name.split(",")]
    cell = config.cell
    for key in ("name", "hidden_size", "layers"):
        if key in cell.options:
            raise UserError(f"config.cell.options cannot hold {key!r}: set config.cell.{key}")

    def make_core():
        return registry.make(names, cell.hidden_size, layers=cell.layers, **cell.options)

    dtype = None if config.model.precision == "full" else config.model.precision
    build = functools.partial(
        language_model, make_core, vocabulary_size, config.model.embedding_size, dtype=dtype
    )
    with blaming(f"cell {cell.name!r}"):
        _try_out(build(strategy="plain"), max(config.train.batch_size, 2))
    model, bound = build(), config.model.initial_range
    return uniform(model, bound) if bound else model


def _try_out(model: LanguageModel, rows: int) -> None:
    """Makes the model and takes two steps of several rows, all in shapes alone."""
    key = jax.random.key(0)

    def steps(params, ids):
        return model.apply(params, key, ids, model.initial_state(params, rows))

    params = jax.eval_shape(model.init, key)
    jax.eval_shape(steps, params, jax.ShapeDtypeStruct((2, rows), jnp.int32))


def check_memory(shapes: Tree) -> None:
    """Checks that what a training holds, a tree of shapes, has room in the machine's memory.

    Raises:
      UserError: it has not. XLA, when asked for it, ends the process at some sizes.
    """
    needed = sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(shapes))
    if needed > (there := physical_memory()):
        raise UserError(
            f"parameters, optimizer and state take {needed / 2**30:,.0f} GiB, and this machine has "
            f"{there / 2**30:,.0f}: lower cell.hidden_size, cell.layers or train.batch_size"
        )


def sample_options(config: ConfigDict) -> dict[str, Any]:
    """The section `sample` as arguments of `sampler.sample`.

    Raises:
      UserError: a value is out of its range.
    """
    options = {**config.sample, "top_k": config.sample.top_k or None}
    with about("config.sample"):
        sampler.Options(**{k: v for k, v in options.items() if k != "prompt"})
    return options


def read_text(config: ConfigDict) -> tuple[corpus.Corpus, corpus.Split]:
    """The corpus of a config, in the order of its parts, and the ids of these in its own vocabulary.

    Raises:
      UserError: it cannot be read, or not be split.
    """
    c = config.corpus
    found = corpus.load(c.name, c.path, c.unit, c.cache_dir)
    parts = corpus.split(found.ids, c.split, c.sections)
    return (found if c.sections == 1 else found.with_ids(np.concatenate(parts))), parts


def check_same_config(folder: pathlib.Path, config: ConfigDict) -> None:
    """Checks that a run may go on under a config.

    Raises:
      UserError: it began with another, with the keys that differ.
    """
    before, now = (dict(configs.flatten(c)) for c in (configs.load(folder / CONFIG), config))
    changed = [
        f"{key} is {now[key]!r}, was {before[key]!r}"
        for key in now
        if _plain(now[key]) != _plain(before[key]) and not key.startswith(FREE_TO_CHANGE)
    ]
    if changed:
        raise UserError(
            f"{str(folder)!r} holds a run with another config: {', '.join(changed)}: give the same "
            "again to go on, --fork to go on with the changed one, or another --workdir"
        )


def _plain(value) -> str:
    return json.dumps(value.to_dict() if isinstance(value, ConfigDict) else value, sort_keys=True)


def check_same_vocabulary(folder: pathlib.Path, vocabulary: Vocabulary) -> None:
    """Checks that a run's vocabulary is that of its text.

    Raises:
      UserError: it is not, or cannot be read.
    """
    if Vocabulary.load(folder / VOCABULARY) != vocabulary:
        raise UserError(
            f"{str(folder / VOCABULARY)!r} is not the vocabulary of the run's text: bring it back"
        )


def check_same_text(folder: pathlib.Path, sha256: str) -> None:
    """Checks by its SHA-256 that a run's text is the one that it began with.

    Raises:
      UserError: it is not; or what the run says of it is missing or damaged.
    """
    path = folder / PROVENANCE
    try:
        before = json.loads(path.read_text(encoding="utf-8"))["corpus_sha256"]
    except OSError as e:
        raise UserError(f"{str(path)!r} cannot be read: {e.strerror}: bring it back") from e
    except (ValueError, TypeError, LookupError, RecursionError) as e:
        raise UserError(f"{str(path)!r} holds no checksum of the text: bring it back") from e
    if before != sha256:
        raise UserError(
            f"the text has changed since the run in {str(folder)!r} began: bring it back, or give "
            "another --workdir"
        )


def evaluate(run: Run, part: str | None = None) -> dict[str, float]:
    """The loss over parts of the run's text, or of the text that `run.config` now names instead.

    Args:
      run: from `open_run`.
      part: 'train', 'validation' or 'test'; None for all that training did not see or, if it saw
        all, for 'train'.

    Returns:
      Nats per character of each part.

    Raises:
      UserError: the part is empty, or has characters outside the vocabulary; the run's own text has
        changed since it began.
    """
    parts = read_parts(run, part)
    return {name: evaluate_text(run.model, run.params, ids) for name, ids in parts.items()}


def read_parts(run: Run, part: str | None = None) -> dict[str, np.ndarray]:
    """The ids of parts of a run's text; arguments and errors are those of `evaluate`."""
    whole, split = read_text(run.config)
    if run.config.corpus == configs.load(run.folder / CONFIG).corpus:
        check_same_text(run.folder, whole.sha256)
    parts = [part] if part else [p for p in ("validation", "test") if len(getattr(split, p))]
    found = {}
    for part in parts or ["train"]:
        if not len(text := getattr(split, part)):
            raise UserError(f"config.corpus.split {run.config.corpus.split} has no {part} part")
        with about(f"the {part} text"):
            found[part] = run.vocabulary.encode_again(text, whole.vocabulary)
    return found


def new_folder(workdir: str | pathlib.Path | None, name: str, beside: bool = False) -> pathlib.Path:
    """Makes a run's folder.

    Args:
      workdir: the folder; None for one in `ROOT`.
      name: what it is called in `ROOT`, with a number if that name is taken.
      beside: make another one beside `workdir`, called like it with a number.

    Raises:
      UserError: it cannot be written, or holds files that a run would overwrite.
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
    if found := [name for name in WRITTEN if os.path.exists(folder / name)]:
        raise UserError(
            f"workdir {str(folder)!r} holds no {CONFIG}, but {found[0]}, which a run would overwrite: "
            f"bring the {CONFIG} back to go on, or give another --workdir"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except (OSError, ValueError) as e:  # ValueError: no folder can have this name
        raise UserError(f"workdir {str(folder)!r} cannot be written: {reason(e)}") from e
    return folder
