"""The command line: reading it, overrides of single config keys, and the help text."""

import ast
import collections
import re
import textwrap
from collections.abc import Sequence
from typing import Any

from absl import flags
from ml_collections import config_flags

from rnnzoo import config as configs
from rnnzoo.errors import UserError, did_you_mean, flat
from rnnzoo.modes import (
    ENVIRONMENT,
    EXIT_CODES,
    FLAGS,
    MODES,
    RUN,
    SHELL,
    SHELLS,
    Arguments,
    Flag,
    flags_of,
)
from rnnzoo.untyped import ConfigDict

_OVERRIDE = re.compile(r"-{1,2}(no)?config\.(?P<key>.*)", re.DOTALL)
HELP = {"--help", "-help", "-h", "-?"}


def _define(own: flags.FlagValues, flag: Flag) -> None:
    define: dict[str, Any] = {"flag_values": own, "required": False}
    if flag.kind is bool:
        flags.DEFINE_bool(flag.name, flag.default, flag.help, flag_values=own)
    elif flag.choices:
        flags.DEFINE_enum(flag.name, flag.default, flag.choices, flag.help, **define)
    elif flag.many:
        flags.DEFINE_multi_string(flag.name, list(flag.default), flag.help, **define)
    elif flag.kind is str:
        flags.DEFINE_string(flag.name, flag.default, flag.help, **define)
    else:
        number = {int: flags.DEFINE_integer, float: flags.DEFINE_float}[flag.kind]
        number(
            flag.name,
            flag.default,
            flag.help,
            lower_bound=flag.least,
            upper_bound=flag.most,
            **define,
        )
    if flag.alias:
        flags.DEFINE_alias(flag.alias, flag.name, flag_values=own)


def _flags() -> flags.FlagValues:
    """A fresh set, so that two parses know nothing of each other."""
    own = flags.FlagValues()
    own.set_gnu_getopt()
    flags.DEFINE_enum("mode", "train", list(MODES), "What to do.", flag_values=own, required=False)
    for flag in FLAGS.values():
        _define(own, flag)
    return own


def parse(argv: list[str]) -> Arguments:
    """Reads the command line, the program's name first. Flags of absl itself take effect.

    Raises:
      UserError: a flag does not exist, with the nearest, has a wrong value, or is none of the mode's.
    """
    own = _flags()
    overrides, others = _take_overrides(argv[1:])
    try:
        rest = own([argv[0], *others], known_only=True)[1:]
        quieter = [] if own.verbose else ["--verbosity=-3"]  # orbax would print tracebacks
        words = flags.FLAGS([argv[0], *quieter, *rest])[1:]
    except flags.UnrecognizedFlagError as e:
        known = [f"--{name}" for name in own]
        flag = f"--{e.flagname}"
        raise UserError(f"there is no flag {flag}: {did_you_mean(flag, known)}") from e
    except flags.Error as e:
        raise UserError(flat(e)) from e
    mode = words.pop(0) if words and words[0] in MODES else own.mode  # `rnnzoo cells` will do
    _check_flags(own, mode, overrides)
    values: dict[str, Any] = {attribute: own[flag.name].value for attribute, flag in FLAGS.items()}
    values["cell_modules"] = tuple(values["cell_modules"])
    shell, runs = _take_words(mode, words, values["workdir"])
    values["workdir"] = runs[0] if runs else None
    if values["config"] == "":
        raise UserError("--config is empty: give a path, or leave it out")
    if own.quiet and own.verbose:
        raise UserError("--quiet and --verbose exclude each other: leave one out")
    return Arguments(mode=mode, runs=runs, shell=shell, overrides=tuple(overrides), **values)


def _check_flags(own: flags.FlagValues, mode: str, overrides: list[str]) -> None:
    """Refuses what belongs to other modes."""
    for flag in FLAGS.values():
        given = [name for name in (flag.name, flag.alias) if name and own[name].present]
        if given and mode not in flag.modes:
            others = " and ".join(flag.modes)
            raise UserError(f"{mode} takes no --{given[0]}: it is a flag of {others}")
    if overrides and MODES[mode].section is None:
        key = overrides[0].partition("=")[0].lstrip("-")
        raise UserError(f"{mode} takes no config, and {key} is set: leave it out")


def _take_words(
    mode: str, words: list[str], workdir: str | None
) -> tuple[str | None, tuple[str, ...]]:
    """The shell and the runs that are named: `rnnzoo evaluate runs/santa-elman` will do."""
    kind, folders = MODES[mode].words, [] if workdir is None else [workdir]
    if kind == SHELL:
        if len(words) != 1 or words[0] not in SHELLS:
            raise UserError(f"for which shell? {mode} {'|'.join(SHELLS)}")
        return words[0], ()
    if words and not kind:
        near = f"is no mode ({did_you_mean(words[0], MODES)})"
        raise UserError(f"argument {words[0]!r} belongs to no flag and {near}: write --name=value")
    folders += words
    if "" in folders:
        raise UserError("--workdir is empty: give a path, or leave it out")
    if kind == RUN and len(folders) > 1:
        raise UserError(f"{mode} reads one run, and {len(folders)} are named: {', '.join(folders)}")
    return None, tuple(folders)


def help_text(mode: str | None = None) -> str:
    """What --help prints: of a mode, or all modes in a line each."""
    return _overview() if mode is None else _of_mode(mode)


def mode_of(words: Sequence[str]) -> str | None:
    """The mode that a command line names, as a word or a flag; None if it names none."""
    return next((name for word in words if (name := word.removeprefix("--mode=")) in MODES), None)


def _overview() -> str:
    modes = [(f"rnnzoo {name}", mode.summary) for name, mode in MODES.items()]
    certify = ("python -m rnnzoo.certify", "prints the certificate of a cell")
    codes = [(str(code), meaning) for code, meaning in EXIT_CODES.items()]
    return "\n".join(
        [
            "Trains a recurrent network to write, character by character, and lets it.",
            "",
            *_columns([*modes, certify]),
            "",
            "Each of them says with --help what it takes. Without a mode it is train, and",
            "python -m rnnzoo.main --mode=MODE is the same as rnnzoo MODE.",
            "\nFor example:",
            *(line for name in MODES for line in _examples(name)[:1]),
            "\nExit codes:",
            *_columns(codes),
            "\nEnvironment variables:",
            *_columns(list(ENVIRONMENT.items())),
        ]
    )


def _examples(mode: str) -> list[str]:
    return [f"  rnnzoo {mode} {words}".rstrip() for words in MODES[mode].examples]


def _of_mode(name: str) -> str:
    mode = MODES[name]
    words = f" [{mode.words}]" if mode.words else ""
    lines = [f"rnnzoo {name}{words} [FLAGS]: {mode.summary}.", ""]
    lines += _examples(name)
    named = {flag.usage: flag.help for flag in flags_of(name)}
    aliases = [f"--{f.alias} is --{f.name}." for f in flags_of(name) if f.alias]
    lines += ["\nFlags:", *_columns(list(named.items())), *(f"  {a}" for a in aliases)]
    if mode.section is not None:
        lines += ["\nConfig keys with their defaults (rnnzoo/config.py says what each one means):"]
        lines += [f"  --config.{key}={value!r}" for key, value in keys_of(name)]
        free = [section for section in configs.FREE if section.startswith(mode.section)]
        lines += [f"  --config.{section}.<option>=<value>" for section in free]
    return "\n".join(lines)


def _columns(rows: list[tuple[str, str]]) -> list[str]:
    width = max(len(first) for first, _ in rows)
    indent = " " * (width + 4)
    return [
        textwrap.fill(f"  {first:{width}}  {second}", 99, subsequent_indent=indent)
        for first, second in rows
    ]


def keys_of(mode: str) -> list[tuple[str, object]]:
    """The config keys that a mode can set, with their defaults."""
    section = MODES[mode].section
    keys = configs.flatten(configs.get_config())
    return [] if section is None else [(k, v) for k, v in keys if _within(k, section)]


def _within(key: str, section: str) -> bool:
    return not section or key.startswith(f"{section}.")


def _take_overrides(words: list[str]) -> tuple[list[str], list[str]]:
    """The words that set config keys, all as --config.key=value, and the others."""
    overrides, others = [], []
    left = collections.deque(words)
    while left:
        word = left.popleft()
        if not _OVERRIDE.match(word):
            others.append(word)
            continue
        if "=" not in word and left and not left[0].startswith("-"):
            word = f"{word}={left.popleft()}"
        overrides.append(word)
    return overrides, others


def override(config: ConfigDict, overrides: Sequence[str], only: str = "") -> ConfigDict:
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
        key, equals, text = _OVERRIDE.sub(r"\g<key>", word).partition("=")
        section, _, name = key.rpartition(".")
        if not _within(key, only):
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


def literal(text: str) -> Any:
    """The Python literal that the text spells, or else the text."""
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        return text
