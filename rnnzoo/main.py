"""The command line's entry point: `python -m rnnzoo.main`, or `rnnzoo`."""

import dataclasses
import json
import shlex
import sys
from collections.abc import Callable
from typing import Any

import jax
from absl import app
from rich.console import Console

from rnnzoo import command_line, completion, distributed, log, registry, runs, sampler, session
from rnnzoo import config as configs
from rnnzoo import play as page
from rnnzoo import reproduce as reproduction
from rnnzoo import watch as watching
from rnnzoo.cache import keep_compiled_functions
from rnnzoo.devices import make_cpu_devices
from rnnzoo.errors import one_line_errors, show_tracebacks
from rnnzoo.host_memory import keep_freed_memory
from rnnzoo.loss import bits_per_character
from rnnzoo.modes import Arguments


def train(arguments: Arguments) -> None:
    """Trains by the config and says how to go on."""
    config = configs.load(arguments.config) if arguments.config else configs.get_config()
    config.cell.modules += arguments.cell_modules
    config = command_line.override(config, arguments.overrides)
    make_cpu_devices(config.cpu_devices)  # before the processes find each other
    together = arguments.coordinator, arguments.processes, arguments.process
    with distributed.joined(*together, arguments.distributed):
        console = _console(arguments)
        folder = session.train(config, arguments.workdir, arguments.fork, console)
    if not distributed.is_writer():
        return
    if arguments.quiet:
        last = log.read_metrics(folder)[-1]
        print(f"{folder}: {log.line(last, config.train.epochs)}")
        return
    named = shlex.quote(str(folder))
    print(f"sample:   python -m rnnzoo.main --mode=sample --workdir={named}")
    print(f"evaluate: python -m rnnzoo.main --mode=evaluate --workdir={named}")


def _console(arguments: Arguments) -> Console:
    return log.plain_console(quiet=arguments.quiet or arguments.json)


def sample(arguments: Arguments) -> None:
    """Prints samples of a run; on a terminal, a single one appears as it is drawn."""
    run = _open(arguments, section="sample")
    options = runs.sample_options(run.config)
    model = run.model, run.params, run.vocabulary
    if arguments.json:
        texts = list(sampler.sample(*model, **options))
        _print_json({"run": str(run.folder), "prompt": options["prompt"], "samples": texts})
        return
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
    losses = runs.evaluate(run, arguments.split)
    found = {part: {"nats": n, "bpc": bits_per_character(n)} for part, n in losses.items()}
    if arguments.json:
        _print_json({"run": str(run.folder), "parts": found})
        return
    for part, loss in found.items():
        print(f"{part:10}  {loss['nats']:.4f} nats  {loss['bpc']:.4f} bpc")


def cells(arguments: Arguments) -> None:
    """Lists every registered cell."""
    for module in arguments.cell_modules:
        registry.load_module(module)
    entries = [registry.entry(name) for name in registry.names()]
    if arguments.json:
        _print_json([registry.describe(entry) for entry in entries])
        return
    width = max(len(entry.name) for entry in entries)
    for family in sorted({entry.family for entry in entries}):
        print(f"{family.replace('_', ' ')}:")
        for entry in entries:
            if entry.family == family:
                print(f"  {entry.name:{width}}  {entry.summary}")
    if not arguments.quiet:
        print(f"{len(entries)} cells; python -m rnnzoo.certify NAME checks one")


def reproduce(arguments: Arguments) -> None:
    """Trains a run again and compares."""
    folder = runs.find_folder(arguments.workdir)
    epochs = reproduction.reproduce(folder, _console(arguments))
    if arguments.json:
        _print_json({"run": str(folder), "reproduced": True, "epochs": epochs})
        return
    print(f"reproduced: {epochs} epochs, the same losses and parameters to the bit")


def watch(arguments: Arguments) -> None:
    """Follows a run until it is complete."""
    folder = runs.find_folder(arguments.workdir)
    watching.watch(folder, arguments.interval, arguments.json, arguments.quiet)


def report(arguments: Arguments) -> None:
    """Writes a page about runs, figures, or both."""
    from rnnzoo import report as reports  # half a second, which no other mode should wait for

    paths = reports.write(arguments.runs, arguments.out, arguments.figures, arguments.cell_modules)
    pages = [path for path in paths if path.suffix == ".html"]
    for path in pages:
        print(path)
    if arguments.figures:
        print(f"{arguments.figures}: {len(paths) - len(pages)} figures")


def complete(arguments: Arguments) -> None:
    """Prints a shell's script for completion."""
    print(completion.script(arguments.shell or ""), end="")


def _print_json(found: Any) -> None:
    print(json.dumps(found, indent=2))


def play(arguments: Arguments) -> None:
    """Serves a local page on which runs go on from what a person types."""

    def open_run(folder: str | None) -> runs.Run:
        return _open(dataclasses.replace(arguments, workdir=folder), section="sample")

    page.serve(arguments.runs or (None,), open_run, arguments.port)


def _open(arguments: Arguments, section: str) -> runs.Run:
    """The run; of its config, the command line can change one section."""
    run = runs.open_run(runs.find_folder(arguments.workdir), arguments.cell_modules)
    config = run.config
    if arguments.config and section == "sample":  # the text stays the run's own
        config.sample = configs.load(arguments.config).sample
    return run._replace(config=command_line.override(config, arguments.overrides, section))


MODES: dict[str, Callable[[Arguments], None]] = {
    "train": train,
    "sample": sample,
    "evaluate": evaluate,
    "cells": cells,
    "reproduce": reproduce,
    "watch": watch,
    "play": play,
    "report": report,
    "completion": complete,
}


def main(arguments: Arguments) -> None:
    """Runs one mode; a person's mistake is one line and the exit code 2."""
    if arguments.verbose:
        jax.config.update("jax_log_compiles", True)
    with one_line_errors():
        MODES[arguments.mode](arguments)
        sys.stdout.flush()  # here, where a reader that has gone is no traceback


def parse(argv: list[str]) -> Arguments:
    """Reads the command line; --help is answered here."""
    if command_line.HELP & set(argv):
        print(command_line.help_text(command_line.mode_of(argv[1:])))
        sys.exit(0)
    show_tracebacks("--verbose" in argv)
    with one_line_errors():
        return command_line.parse(argv)


def run() -> None:
    """The console script."""
    keep_freed_memory()
    keep_compiled_functions()
    app.run(main, flags_parser=parse)


if __name__ == "__main__":
    run()
