"""The command line: flags, overrides of single config keys, and the help text."""

import ast
import collections
import re
from typing import NamedTuple

from absl import flags
from ml_collections import ConfigDict, config_flags

from rnnzoo import config as configs
from rnnzoo.errors import UserError, did_you_mean, flat

HELP = """\
Trains a recurrent network to write, character by character, and lets it.

  python -m rnnzoo.main                                   train on Python's own help texts
  python -m rnnzoo.main --config=configs/santa.py         train by a config file
  python -m rnnzoo.main --config.cell.name=lstm --config.corpus.path=my.txt
  python -m rnnzoo.main --mode=sample --workdir=runs/santa-elman --config.sample.prompt=Santa
  python -m rnnzoo.main --mode=evaluate --workdir=runs/santa-elman
  python -m rnnzoo.main --mode=reproduce --run=runs/santa-elman         train again and compare
  python -m rnnzoo.main play runs/santa-elman runs/santa-gru            type to them on a local page
  python -m rnnzoo.main --mode=cells                                    list every cell

Flags:
"""

MODES = ("train", "sample", "evaluate", "cells", "reproduce", "play")
READERS = (
    "sample",
    "evaluate",
    "reproduce",
    "play",
)  # of runs, which may be named without --workdir
OF_SEVERAL = ("play",)  # which read more than one run
PARTS = ("train", "validation", "test")
_OVERRIDE = re.compile(r"-{1,2}(no)?config\.(?P<key>.*)", re.DOTALL)


class Arguments(NamedTuple):
    """What the command line said.

    Attributes:
      mode: one of `MODES`.
      workdir: the run's folder, or None.
      config: the config file, or None.
      overrides: the arguments that set single config keys, as they were written.
      cell_modules: modules that register cells.
      split: the part of the text to evaluate, or None.
      fork: whether to go on from the run in `workdir` with a changed config, beside it.
      coordinator: host:port of process 0, of several that train together; or None.
      processes: how many these are, or None.
      process: which of them this is, or None.
      distributed: whether JAX finds out these three.
      runs: the folders of all runs that are named, `workdir` the first of them.
      port: where the page is served; 0 for any that is free.
    """

    mode: str
    workdir: str | None
    config: str | None
    overrides: list[str]
    cell_modules: list[str]
    split: str | None
    fork: bool
    coordinator: str | None = None
    processes: int | None = None
    process: int | None = None
    distributed: bool = False
    runs: tuple[str, ...] = ()
    port: int = 8765


def _flags() -> flags.FlagValues:
    """A fresh set, so that two parses know nothing of each other."""
    own = flags.FlagValues()
    own.set_gnu_getopt()
    define = {"flag_values": own, "required": False}
    flags.DEFINE_string(
        "config", None, "A config file (.py, or a run's config.json); default: the quickstart.",
        **define,
    )  # fmt: skip
    flags.DEFINE_enum("mode", "train", MODES, "What to do.", **define)
    flags.DEFINE_string(
        "workdir",
        None,
        "The run's folder, new or to go on with; a new run gets runs/<corpus>-<cell>.",
        **define,
    )
    flags.DEFINE_alias("run", "workdir", flag_values=own)
    flags.DEFINE_multi_string(
        "cell_module", [], "A Python module that registers cells; may be repeated.", **define
    )
    flags.DEFINE_enum(
        "split", None, PARTS, "What to evaluate; default: all that training did not see.", **define
    )
    flags.DEFINE_bool(
        "fork", False, "Go on from the run in --workdir with a changed config, in a new folder.",
        flag_values=own,
    )  # fmt: skip
    flags.DEFINE_string(
        "coordinator", None, "Of several processes that train one model: host:port of process 0.",
        **define,
    )  # fmt: skip
    flags.DEFINE_integer("processes", None, "How many these are.", lower_bound=1, **define)
    flags.DEFINE_integer("process", None, "Which of them this is, from 0.", lower_bound=0, **define)
    flags.DEFINE_bool(
        "distributed", False, "As these three, on SLURM, Kubernetes and TPU pods: JAX finds them out.",
        flag_values=own,
    )  # fmt: skip
    flags.DEFINE_integer(
        "port", 8765, "Where `play` serves its page; 0 for any port that is free.", 0, 65535, **define
    )  # fmt: skip
    return own


def help_text() -> str:
    """What --help prints."""
    own = _flags()
    # absl adds a line of its own to the help of a flag that may be repeated
    lines = [f"  --{name:13}{own[name].help.splitlines()[0].rstrip(';')}" for name in sorted(own)]
    keys = [f"  --config.{key}={value!r}" for key, value in configs.flatten(configs.get_config())]
    free = [f"  --config.{section}.<option>=<value>" for section in configs.FREE]
    title = "\n\nConfig keys with their defaults (rnnzoo/config.py says what each one means):\n"
    return HELP + "\n".join(lines) + title + "\n".join(keys + free)


def parse(argv: list[str]) -> Arguments:
    """Reads the command line, the program's name first. Flags of absl itself take effect.

    Raises:
      UserError: a flag does not exist, with the nearest, or has a wrong value.
    """
    own = _flags()
    overrides, others = _take_overrides(argv[1:])
    try:
        rest = own([argv[0], *others], known_only=True)[1:]
        words = flags.FLAGS([argv[0], "--verbosity=-3", *rest])[1:]  # orbax would print tracebacks
    except flags.UnrecognizedFlagError as e:
        known = [f"--{name}" for name in own]
        flag = f"--{e.flagname}"
        raise UserError(f"there is no flag {flag}: {did_you_mean(flag, known)}") from e
    except flags.Error as e:
        raise UserError(flat(e)) from e
    mode = words.pop(0) if words and words[0] in MODES else own.mode  # `rnnzoo cells` will do
    folders = [own.workdir] if own.workdir is not None else []
    if mode in READERS:  # `rnnzoo evaluate runs/santa-elman` will do
        folders, words = folders + words, []
    for flag, paths in {"config": [own.config], "workdir": folders}.items():
        if "" in paths:
            raise UserError(f"--{flag} is empty: give a path, or leave it out")
    if words:
        raise UserError(f"argument {words[0]!r} belongs to no flag: write --name=value")
    together = own.coordinator, own.processes, own.process, own.distributed
    if mode != "train" and any(x not in (None, False) for x in together):
        raise UserError(f"several processes can train together, not {mode}: leave out their flags")
    if len(folders) > 1 and mode not in OF_SEVERAL:
        raise UserError(f"{mode} reads one run, and {len(folders)} are named: {', '.join(folders)}")
    workdir = folders[0] if folders else None
    return Arguments(
        mode, workdir, own.config, overrides, own.cell_module, own.split, own.fork, *together,
        tuple(folders), own.port,
    )  # fmt: skip


def _take_overrides(words: list[str]) -> tuple[list[str], list[str]]:
    """The words that set config keys, all as --config.key=value, and the others."""
    overrides, others = [], []
    words = collections.deque(words)
    while words:
        word = words.popleft()
        if not _OVERRIDE.match(word):
            others.append(word)
            continue
        if "=" not in word and words and not words[0].startswith("-"):
            word = f"{word}={words.popleft()}"
        overrides.append(word)
    return overrides, others


def override(config: ConfigDict, overrides: list[str], only: str = "") -> ConfigDict:
    """The config with single keys set, by ml_collections; checked anew.

    Args:
      config: is left as it is.
      overrides: such as '--config.cell.name=lstm'. Under `config.FREE` any key may be set, to a
        Python literal or else a text.
      only: the one section that may be changed; "" for all.

    Raises:
      UserError: an unknown key, with the nearest; a value of the wrong type or out of its range;
        another section.
    """
    config = configs.complete(config)
    defaults = dict(configs.flatten(config))
    for word in overrides:
        key, equals, text = _OVERRIDE.match(word)["key"].partition("=")
        section, _, name = key.rpartition(".")
        if not key.startswith(only):
            raise UserError(f"config.{key} is the run's own: only config.{only}.* can be changed")
        if section not in configs.FREE:
            configs.check_key(key, defaults)
            _set(config, word, key, text, type(defaults[key]))
        elif equals:
            with config.ignore_type():  # the last of several counts, whatever came before it
                config[section.split(".")[0]].options[name] = literal(text)
        else:
            raise UserError(f"config.{key} needs a value: --config.{key}=value")
    return configs.complete(config)


def _set(config, word, key, text, wanted):
    own = flags.FlagValues()
    argv = ["", word]
    try:
        config_flags.DEFINE_config_dict(
            "config", config, flag_values=own, sys_argv=argv, lock_config=False
        )
        own(argv)
    except (flags.Error, TypeError, ValueError) as e:
        raise configs.wrong_type(key, text, wanted) from e


def literal(text: str):
    """The Python literal that the text spells, or else the text."""
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        return text
