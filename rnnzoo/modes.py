"""The tables of the command line: its modes, its flags, exit codes and environment variables.

`rnnzoo.command_line` reads the words by them; the help, the shell completion and the check that a mode
takes a flag come from them too. To add a mode: a row in `MODES`, a function in `rnnzoo.main`; to add a
flag: a field of `Arguments`.
"""

import dataclasses
from typing import Any, NamedTuple

RUN, RUNS, SHELL = "RUN", "RUN ...", "SHELL"  # what a mode's words may be
SHELLS = ("bash", "zsh", "fish")
PARTS = ("train", "validation", "test")


class Mode(NamedTuple):
    """What `rnnzoo MODE` does and takes.

    Attributes:
      summary: in one line.
      words: what its words name: '' for nothing, `RUN`, `RUNS` or `SHELL`.
      section: the section of the config that its flags may change; '' for all of it, None for none.
      examples: of its flags and words.
    """

    summary: str
    words: str = ""
    section: str | None = None
    examples: tuple[str, ...] = ()


MODES = {
    "train": Mode(
        "trains a model, or goes on with a training that was stopped",
        section="",
        examples=(
            "--config=santa",
            "--config.cell.name=lstm --config.corpus.path=my.txt",
            "--config=santa --workdir=runs/santa-elman",
        ),
    ),
    "sample": Mode(
        "prints samples of a run",
        words=RUN,
        section="sample",
        examples=('runs/santa-elman --config.sample.prompt="Santa Claus"',),
    ),
    "evaluate": Mode(
        "prints the loss of a run over whole parts of its text",
        words=RUN,
        section="corpus",
        examples=("runs/santa-elman", "runs/santa-elman --split=train --json"),
    ),
    "cells": Mode(
        "lists every cell",
        examples=("", "--cell_module=my_cells --json"),
    ),
    "reproduce": Mode(
        "trains a run once more and compares the two to the bit",
        words=RUN,
        examples=("runs/santa-elman",),
    ),
    "watch": Mode(
        "follows a run that trains in another process",
        words=RUN,
        examples=("runs/santa-elman", "runs/santa-elman --json"),
    ),
    "play": Mode(
        "serves a local page on which runs go on from what a person types",
        words=RUNS,
        section="sample",
        examples=("runs/santa-elman runs/santa-gru",),
    ),
    "report": Mode(
        "makes a page of curves, samples, gates and memory of runs",
        words=RUNS,
        examples=("runs/a runs/b --out=report.html", "runs/a runs/b --figures=figures"),
    ),
    "completion": Mode(
        "prints a script that completes all this in a shell",
        words=SHELL,
        examples=("bash", "zsh", "fish"),
    ),
}
ALL = tuple(MODES)
READERS = tuple(name for name, mode in MODES.items() if mode.words in (RUN, RUNS))


class Flag(NamedTuple):
    """A flag of the command line.

    Attributes:
      name: as it is written, after the two hyphens.
      help: what it means, in one line.
      modes: the modes that take it.
      kind: bool, int, float or str.
      default: its value if it is not given.
      value: what stands for its value in the help: FILE, FOLDER, MODULE, ...
      choices: the values it may have, if they are few.
      least: the least that a number may be.
      most: the most.
      many: whether it may be given several times.
      alias: another name of it, or ''.
    """

    name: str
    help: str
    modes: tuple[str, ...]
    kind: type = str
    default: Any = None
    value: str = ""
    choices: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None
    many: bool = False
    alias: str = ""

    @property
    def usage(self) -> str:
        """As the help writes it: --split=train|validation|test."""
        value = "|".join(self.choices) or self.value
        return f"--{self.name}={value}" if value else f"--{self.name}"


def _flag(help: str, modes: tuple[str, ...], name: str = "", **options: Any) -> Any:
    """A field of `Arguments` that a flag sets."""
    flag = Flag(name, help, modes, **options)
    if flag.kind is bool:
        flag = flag._replace(default=False)
    return dataclasses.field(default=flag.default, metadata={"flag": flag})


@dataclasses.dataclass(frozen=True)
class Arguments:
    """What the command line said: the table of all flags.

    Attributes:
      mode: one of `MODES`.
      runs: the folders of runs, as they were named.
      shell: one of `SHELLS`, for the mode 'completion'.
      overrides: the arguments that set single config keys, as they were written.
    """

    mode: str = "train"
    runs: tuple[str, ...] = ()
    shell: str | None = None
    overrides: tuple[str, ...] = ()

    workdir: str | None = _flag(
        "The run's folder, new or to go on with; a new run gets runs/<corpus>-<cell>.",
        ("train", *READERS),
        value="FOLDER",
        alias="run",
    )
    config: str | None = _flag(
        "A config by name (santa), or a file (.py, or a run's config.json); default: quickstart.",
        ("train", "sample", "play"),
        value="FILE",
    )
    cell_modules: tuple[str, ...] = _flag(
        "A Python module that registers cells; may be repeated.",
        ("train", "sample", "evaluate", "cells", "play", "report"),
        name="cell_module",
        value="MODULE",
        many=True,
        default=(),
    )
    split: str | None = _flag(
        "What to evaluate; default: all that training did not see.", ("evaluate",), choices=PARTS
    )
    fork: bool = _flag(
        "Go on from the run in --workdir with a changed config, in a new folder.",
        ("train",),
        kind=bool,
    )
    coordinator: str | None = _flag(
        "Of several processes that train one model: host:port of process 0.",
        ("train",),
        value="HOST:PORT",
    )
    processes: int | None = _flag(
        "How many these are.", ("train",), kind=int, value="NUMBER", least=1
    )
    process: int | None = _flag(
        "Which of them this is, from 0.", ("train",), kind=int, value="NUMBER", least=0
    )
    distributed: bool = _flag(
        "As these three, on SLURM, Kubernetes and TPU pods: JAX finds them out.",
        ("train",),
        kind=bool,
    )
    out: str | None = _flag("The page; default: report.html.", ("report",), value="FILE")
    figures: str | None = _flag(
        "A folder for the figures as PNG and SVG; without --out there is no page then.",
        ("report",),
        value="FOLDER",
    )
    port: int = _flag(
        "Where the page is served, on this machine alone; default: 8765; 0 for any that is free.",
        ("play",),
        kind=int,
        value="NUMBER",
        least=0,
        most=65535,
        default=8765,
    )
    interval: float = _flag(
        "How often to look for something new; default: 1 second.",
        ("watch",),
        kind=float,
        value="SECONDS",
        least=0.05,
        default=1.0,
    )
    json: bool = _flag(
        "Print JSON, for programs.",
        ("sample", "evaluate", "cells", "reproduce", "watch"),
        kind=bool,
    )
    quiet: bool = _flag("Print errors and the result only.", ALL, kind=bool)
    verbose: bool = _flag(
        "Print what JAX compiles, and where in the code an error comes from.", ALL, kind=bool
    )


def _table() -> dict[str, Flag]:
    flags = {f.name: f.metadata["flag"] for f in dataclasses.fields(Arguments) if f.metadata}
    return {name: flag._replace(name=flag.name or name) for name, flag in flags.items()}


FLAGS = _table()  # by the attribute of `Arguments`


def flags_of(mode: str) -> list[Flag]:
    """The flags that a mode takes."""
    return [flag for flag in FLAGS.values() if mode in flag.modes]


EXIT_CODES = {
    0: "all is well",
    1: "a crash, with its traceback; or a check of `rnnzoo.certify` that failed",
    2: "a mistake that can be mended, as the one line on standard error says",
    3: "another of the processes that train together has ended",
    130: "stopped by Ctrl-C; a training has saved what it needs to go on",
    141: "what read the output closed it",
    143: "stopped by SIGTERM; a training has saved what it needs to go on",
}

ENVIRONMENT = {
    "RNNZOO_CACHE": "the folder for fetched texts, long texts' ids and compiled functions",
    "NO_COLOR": "if it is set to anything, no colours on a terminal either",
    "COLUMNS": "the width of a terminal, if it is not to be asked",
    "JAX_PLATFORMS": "of JAX: what to compute on, such as cpu",
    "JAX_COMPILATION_CACHE_DIR": "of JAX: another folder for compiled functions",
    "JAX_ENABLE_COMPILATION_CACHE": "of JAX: 0 keeps no compiled functions",
}
