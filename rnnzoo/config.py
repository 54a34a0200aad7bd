"""The configuration of a run: every key with its default, and the checks.

This is also the config file that `--config` stands for by default, and one that reads a saved
config back: `--config=rnnzoo/config.py:runs/pydoc-gru/config.json`, or the .json file itself.
"""

import json
import math
import os
import pathlib
import re
import runpy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rnnzoo import corpus, optimizers, train
from rnnzoo.errors import UserError, did_you_mean, one_line
from rnnzoo.untyped import ConfigDict

# Sections whose keys are the cell's or the optimiser's own business.
FREE = ("cell.options", "optimizer.options")
SECTIONS = ("cell", "model", "corpus", "train", "optimizer", "sample", "log", *FREE)
HERE = pathlib.Path(__file__).parent
FOLDERS = HERE / "configs", HERE.parent / "configs"  # installed; in a checkout


def default_config() -> ConfigDict:
    """Every key, with the values of the quickstart."""
    config = ConfigDict()
    config.cpu_devices = 0  # cores that share out a batch; 0 is as many as have 16 rows each

    config.seeds = 1  # how many models train at once, with train.seed and the seeds after it

    config.cell = ConfigDict()
    config.cell.name = "gru"  # a registered cell, or several with commas between, lowest first
    config.cell.hidden_size = 128
    config.cell.layers = 1  # how often the cell, or the series of cells, is stacked
    config.cell.options = ConfigDict()  # the cell's own, such as activation
    config.cell.modules = ()  # Python modules that register more cells; see --cell_module

    config.model = ConfigDict()
    config.model.embedding_size = 0  # of a learned vector for each character; 0 is one-hot
    config.model.initial_range = 0.0  # all weights start uniform on ±this; 0 is as the cell says
    config.model.precision = (
        "full"  # or 'bfloat16': the cells compute in it, the optimiser does not
    )

    config.corpus = ConfigDict()
    config.corpus.name = "pydoc"  # pydoc, santa or shakespeare
    config.corpus.path = ""  # a file, several with commas between, or - ; goes before the name
    config.corpus.unit = "characters"  # or bytes
    config.corpus.split = (0.9, 0.1, 0.0)  # fractions: training, validation, test
    config.corpus.sections = 1  # equal sections of the text, each of which is split
    config.corpus.unknown = False  # one symbol for all that training never saw, not an error
    config.corpus.cache_dir = ""  # for fetched and long texts; "" is RNNZOO_CACHE, or the user's

    config.train = ConfigDict()
    config.train.epochs = 100
    config.train.batch_size = 8
    config.train.truncation = 64  # how many characters back the gradient goes
    config.train.sampling = "subsequence"  # random stretches, or 'stream': all the text
    config.train.max_subsequence_length = 1024  # characters of a stretch
    config.train.seed = 0
    config.train.log_every = 10  # epochs between lines with samples, which samples.txt keeps
    config.train.evaluate_every = 10  # epochs between validations; 0 is never
    config.train.save_every = 0  # epochs between checkpoints; 0 is by the clock alone
    config.train.save_minutes = (
        5.0  # minutes between checkpoints, at the next epoch's end; 0 is never
    )
    config.train.keep = 2  # how many of the newest checkpoints stay
    config.train.shard_optimizer = False  # devices share out the optimiser's state, to save memory
    config.train.not_finite = (
        "stop"  # at a loss or gradient of NaN or infinity; or 'skip' the piece
    )

    config.optimizer = ConfigDict()
    config.optimizer.name = "adam"  # any of optax that takes a learning rate
    config.optimizer.learning_rate = 4e-3
    config.optimizer.schedule = "cosine"  # constant, linear (to 0), cosine (to 0) or step
    config.optimizer.warmup = 0  # updates in which the learning rate rises from 0
    config.optimizer.step_factor = 0.5  # of 'step': what the learning rate is multiplied by, ...
    config.optimizer.step_first = 1000  # ... before which update after the warm-up ...
    config.optimizer.step_every = 1000  # ... and then how often again, in updates
    config.optimizer.clip_norm = 1.0  # the gradient's largest global norm; 0 is no clipping
    config.optimizer.options = ConfigDict()  # the optimiser's own, such as momentum

    config.sample = ConfigDict()
    config.sample.prompt = ""
    config.sample.length = 200  # new characters
    config.sample.temperature = 0.7  # 0 always takes the likeliest character
    config.sample.top_k = 0  # draw from the k likeliest characters only; 0 is all
    config.sample.top_p = 1.0  # draw from the fewest that have this probability; 1 is all
    config.sample.count = 1  # number of texts
    config.sample.seed = 0

    config.log = ConfigDict()
    config.log.inside = True  # look at gates and units whenever a line is logged
    config.log.tensorboard = False  # event files in the run's folder; needs rnnzoo[tensorboard]
    return config


def get_config(saved: str | None = None) -> ConfigDict:
    """The default config, or the one saved in the JSON file `saved`.

    Raises:
      UserError: the file cannot be read, or does not hold a config.
    """
    return default_config() if saved is None else _of_json(saved)


def named() -> dict[str, pathlib.Path]:
    """The package's own configs by name: {'santa': the path of santa.py, ...}."""
    folders = [folder for folder in FOLDERS if folder.is_dir()][:1]
    return {path.stem: path for folder in folders for path in sorted(folder.glob("*.py"))}


def load(source: str | os.PathLike[str]) -> ConfigDict:
    """The config of a file, Python with a function `get_config` or saved JSON, or of a name.

    >>> load("santa").cell.name
    'elman'

    Args:
      source: one of `named()`, or a path; `file.py:argument` gives get_config an argument. A path has
        a separator or a suffix, such as .py, where a file is called like one of the names.

    Raises:
      UserError: the name is unknown, with the nearest; the file is missing or fails, or its config
        is not valid.
    """
    path, colon, argument = os.fspath(source).partition(":")
    if path in named():
        path = os.fspath(named()[path])
    elif not os.path.isfile(path) and re.fullmatch(r"[\w-]+", path):
        raise UserError(
            f"no config is named {path!r} (a file's name ends in .py or .json): "
            f"{did_you_mean(path, named())}"
        )
    if not os.path.isfile(path):  # unlike pathlib's, False for any name that cannot be
        raise UserError(f"there is no config file {path!r}: check the path")
    if path.endswith(".json"):
        return complete(_of_json(path))
    try:
        get = runpy.run_path(path).get("get_config")
        given = get(*[argument] if colon else []) if get else None
    except UserError:
        raise
    except (Exception, SystemExit) as e:  # whatever a person's file raises
        raise UserError(f"config file {path!r} fails: {one_line(e)}") from e
    if not isinstance(given, Mapping | ConfigDict):
        raise UserError(f"config file {path!r} needs a function get_config that returns a config")
    return complete(given)


def _of_json(path: str) -> ConfigDict:
    try:
        found = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    except OSError as e:
        raise UserError(f"config {str(path)!r} cannot be read: {e.strerror}") from e
    except (ValueError, RecursionError) as e:
        raise UserError(f"config {str(path)!r} is not a config saved by rnnzoo: {e}") from e
    if not isinstance(found, dict):
        raise UserError(f"config {str(path)!r} is not a config saved by rnnzoo: it has no keys")
    return complete(found)


def save(config: ConfigDict, path: str | os.PathLike[str]) -> None:
    """Writes the config as JSON."""
    pathlib.Path(path).write_text(json.dumps(config.to_dict(), indent=2) + "\n", encoding="utf-8")


def complete(given: Mapping[str, Any] | ConfigDict) -> ConfigDict:
    """A config's values over the defaults, all keys and values checked.

    Raises:
      UserError: an unknown key or choice, with the nearest; a value of the wrong type or out of
        its range.
    """
    config = default_config()
    defaults = dict(flatten(config))
    for key, value in flatten(given):
        section, _, name = key.rpartition(".")
        if section in FREE:
            config[section.split(".")[0]].options[name] = value
        else:
            check_key(key, defaults)
            config.update_from_flattened_dict({key: _typed(key, value, defaults[key])})
    for key, value in flatten(config):
        _check_value(key, value)
    return config


def flatten(
    config: Mapping[str, Any] | ConfigDict, prefix: str = ""
) -> Iterator[tuple[str, object]]:
    """All keys with dots between, each with its value."""
    for name, value in config.items():
        key = f"{prefix}{name}"
        inside = isinstance(value, Mapping | ConfigDict) and prefix.rstrip(".") not in FREE
        if inside and (value or key in SECTIONS):  # an empty one may stand where a value should
            yield from flatten(value, f"{key}.")
        else:
            yield key, value


def check_key(key: str, known: Iterable[str]) -> None:
    """Raises UserError, with the nearest, for a key that is not one of the known."""
    if key in known:
        return
    section, _, name = key.rpartition(".")
    siblings = [k.removeprefix(f"{section}.") for k in known if k.startswith(f"{section}.")]
    if siblings:
        raise UserError(f"config.{section} has no key {name!r}: {did_you_mean(name, siblings)}")
    raise UserError(f"there is no config.{key}: {did_you_mean(key, known)}")


_TYPES = {
    bool: "True or False",
    int: "a whole number",
    float: "a number",
    str: "a text",
    tuple: "a list, such as (0.9, 0.1, 0)",
}


def _typed(key: str, value, default):
    """The value as the default's type, which it must have already but for these harmless cases."""
    if isinstance(value, list):
        value = tuple(value)
    if isinstance(default, float) and type(value) is int:
        value = float(value)
    if type(value) is not type(default):
        raise wrong_type(key, value, type(default))
    return value


def wrong_type(key: str, value: object, wanted: type) -> UserError:
    """The error to raise for a value of the wrong type."""
    return UserError(f"config.{key} must be {_TYPES[wanted]}, not {value!r}")


# The values that a key may have, if they are few.
CHOICES: dict[str, Sequence[str]] = {
    "corpus.unit": corpus.UNITS,
    "model.precision": ("full", "bfloat16"),
    "train.sampling": train.SAMPLINGS,
    "train.not_finite": ("stop", "skip"),
    "optimizer.name": optimizers.names(),
    "optimizer.schedule": sorted(optimizers.SCHEDULES),
}
# The least value that is allowed; sample.* is checked by the sampler, corpus.split by the corpus.
_LEAST: dict[str, int] = {
    "cpu_devices": 0,
    "seeds": 1,
    "cell.hidden_size": 1,
    "cell.layers": 1,
    "corpus.sections": 1,
    "model.embedding_size": 0,
    "model.initial_range": 0,
    "train.epochs": 1,
    "train.batch_size": 1,
    "train.truncation": 1,
    "train.max_subsequence_length": 1,
    "train.seed": 0,
    "train.log_every": 1,
    "train.evaluate_every": 0,
    "train.save_every": 0,
    "train.save_minutes": 0,
    "train.keep": 1,
    "optimizer.learning_rate": 0,
    "optimizer.warmup": 0,
    "optimizer.step_factor": 0,
    "optimizer.step_first": 0,
    "optimizer.step_every": 1,
    "optimizer.clip_norm": 0,
}


def _check_value(key: str, value: Any) -> None:
    if key in CHOICES and value not in CHOICES[key]:
        raise UserError(f"config.{key} cannot be {value!r}: {did_you_mean(value, CHOICES[key])}")
    if key in _LEAST and not _LEAST[key] <= value < math.inf:
        raise UserError(f"config.{key} must be at least {_LEAST[key]}, not {value!r}")
    if key == "train.seed" and value >= 2**32:
        raise UserError(f"config.{key} must be less than 2**32, not {value!r}")
    if key in _LEAST and key != "train.seed" and isinstance(value, int) and value >= 2**31:
        raise UserError(f"config.{key} must be less than 2**31, not {value!r}")
    numbers = isinstance(value, tuple) and all(isinstance(f, int | float) for f in value)
    if key == "corpus.split" and not numbers:
        raise UserError(f"config.{key} must be three numbers, such as (0.9, 0.1, 0), not {value!r}")
