"""The command line's entry point: `python -m rnnzoo.main`, or `rnnzoo`."""

import shlex
import sys

from absl import app

from rnnzoo import command_line, distributed, registry, runs, sampler, session
from rnnzoo import config as configs
from rnnzoo import play as page
from rnnzoo import reproduce as reproduction
from rnnzoo.cache import keep_compiled_functions
from rnnzoo.command_line import Arguments
from rnnzoo.devices import make_cpu_devices
from rnnzoo.errors import one_line_errors
from rnnzoo.host_memory import keep_freed_memory
from rnnzoo.loss import bits_per_character


def train(arguments: Arguments) -> None:
    """Trains by the config and says how to go on."""
    config = configs.load(arguments.config) if arguments.config else configs.get_config()
    config.cell.modules += tuple(arguments.cell_modules)
    config = command_line.override(config, arguments.overrides)
    make_cpu_devices(config.cpu_devices)  # before the processes find each other
    together = arguments.coordinator, arguments.processes, arguments.process
    with distributed.joined(*together, arguments.distributed):
        folder = shlex.quote(str(session.train(config, arguments.workdir, arguments.fork)))
    if not distributed.is_writer():
        return
    print(f"sample:   python -m rnnzoo.main --mode=sample --workdir={folder}")
    print(f"evaluate: python -m rnnzoo.main --mode=evaluate --workdir={folder}")


def sample(arguments: Arguments) -> None:
    """Prints samples of a run; on a terminal, a single one appears as it is drawn."""
    run = _open(arguments, section="sample")
    options = runs.sample_options(run.config)
    model = run.model, run.params, run.vocabulary
    if options["count"] > 1 or not sys.stdout.isatty():
        for i, text in enumerate(sampler.sample(*model, **options), 1):
            print(f"--- {i}\n{text}" if options["count"] > 1 else text)
        return
    pieces = sampler.stream_sample(*model, **options)
    print(options["prompt"], end="", flush=True)
    for (new,) in pieces:
        print(new, end="", flush=True)
    print()


def evaluate(arguments: Arguments) -> None:
    """Prints the loss of a run over whole parts of its text."""
    run = _open(arguments, section="corpus")
    for part, nats in runs.evaluate(run, arguments.split).items():
        bpc = bits_per_character(nats)
        print(f"{part:10}  {nats:.4f} nats  {bpc:.4f} bpc")


def cells(arguments: Arguments) -> None:
    """Lists every registered cell."""
    for module in arguments.cell_modules:
        registry.load_module(module)
    entries = [registry.entry(name) for name in registry.names()]
    width = max(len(entry.name) for entry in entries)
    for family in sorted({entry.family for entry in entries}):
        print(f"{family.replace('_', ' ')}:")
        for entry in entries:
            if entry.family == family:
                print(f"  {entry.name:{width}}  {entry.summary}")
    print(f"{len(entries)} cells; python -m rnnzoo.certify NAME checks one")


def reproduce(arguments: Arguments) -> None:
    """Trains a run again and compares."""
    print(reproduction.reproduce(runs.find_folder(arguments.workdir)))


def play(arguments: Arguments) -> None:
    """Serves a local page on which runs go on from what a person types."""

    def open_run(folder: str | None) -> runs.Run:
        return _open(arguments._replace(workdir=folder), section="sample")

    page.serve(arguments.runs or (None,), open_run, arguments.port)


def _open(arguments: Arguments, section: str) -> runs.Run:
    """The run; of its config, the command line can change one section."""
    run = runs.open_run(runs.find_folder(arguments.workdir), arguments.cell_modules)
    config = run.config
    if arguments.config and section == "sample":  # the text stays the run's own
        config.sample = configs.load(arguments.config).sample
    return run._replace(config=command_line.override(config, arguments.overrides, section))


MODES = {
    "train": train,
    "sample": sample,
    "evaluate": evaluate,
    "cells": cells,
    "reproduce": reproduce,
    "play": play,
}


def main(arguments: Arguments) -> None:
    """Runs one mode; a person's mistake is one line and the exit code 2."""
    with one_line_errors():
        MODES[arguments.mode](arguments)


def parse(argv: list[str]) -> Arguments:
    """Reads the command line; --help is answered here."""
    if {"--help", "-help", "-h", "-?"} & set(argv):
        print(command_line.help_text())
        sys.exit(0)
    with one_line_errors():
        return command_line.parse(argv)


def run() -> None:
    """The console script."""
    keep_freed_memory()
    keep_compiled_functions()
    app.run(main, flags_parser=parse)


if __name__ == "__main__":
    run()
