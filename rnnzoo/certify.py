"""The certificate of a cell, your own too: is it right, how large is it, how fast.

    python -m rnnzoo.certify gru lstm
    python -m rnnzoo.certify my_cell --cell_module=my_cells --option=depth=2
    python -m rnnzoo.certify my_cell --cell_module=my_cells --reference=my_cells:my_step
    python -m rnnzoo.certify gru --json

The reference is one time step as the paper has it, `my_step(p, x, state) -> (output, next state)`, in
jax.numpy without Haiku; p are the cell's parameters by short names, such as p["U/w"] and p["W"]. The
exit code is 1 if a check failed. All checks: `rnnzoo.certificate.checks`.
"""

import functools
import importlib
import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp
from absl import flags
from rich.console import Console
from rich.markup import escape
from rich.table import Table

import rnnzoo
from rnnzoo import certificate, cost, registry
from rnnzoo.command_line import literal
from rnnzoo.errors import UserError, flat, one_line_errors, show_tracebacks
from rnnzoo.host_memory import keep_freed_memory

Certificate = dict[str, Any]  # for JSON: docs/command_line.md
MakeCore = Callable[[], hk.RNNCore]
MARKS = {"passed": "green", "failed": "bold red", "not applicable": "dim"}


def _flags() -> flags.FlagValues:
    own = flags.FlagValues()
    own.set_gnu_getopt()
    define = {"flag_values": own}
    flags.DEFINE_multi_string("cell_module", [], "A Python module that registers cells.", **define)
    flags.DEFINE_multi_string("option", [], "An option of the cell, as name=value.", **define)
    flags.DEFINE_string("reference", None, "One step as the paper has it, module:name.", **define)
    flags.DEFINE_integer("hidden_size", 8, "H in the checks.", lower_bound=1, **define)
    flags.DEFINE_integer("speed_hidden_size", 256, "H and D of the timing; 0 skips it.", **define)
    flags.DEFINE_bool("json", False, "Print JSON, for programs.", **define)
    flags.DEFINE_bool("quiet", False, "Print whether each cell passed, and errors.", **define)
    flags.DEFINE_bool("verbose", False, "Print what JAX compiles, and tracebacks.", **define)
    return own


def find_reference(name: str | None) -> certificate.Reference | None:
    """The function called 'module:name'.

    Raises:
      UserError: there is none.
    """
    if name is None:
        return None
    module, _, function = name.partition(":")
    try:
        return getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as e:
        raise UserError(f"--reference={name}: give module:function ({e})") from e


def size(make_core: MakeCore, hidden_size: int) -> dict[str, int]:
    """Parameters, operations and bytes of one time step at D = H and batch 1."""
    found = cost.of_cell(make_core, hidden_size, 1)
    return {
        "hidden_size": hidden_size,
        "parameters": found.parameters,
        "flops_in_products": found.forward_flops,
        "bytes_of_weights": sum(found.forward_loops),
    }


def steps_per_second(
    make_core: MakeCore, hidden_size: int, batch_size: int, length: int = 64
) -> float:
    """Time steps per second, forward and backward, on inputs [64, B, H]; the median of a second."""

    def run(xs):
        core = make_core()
        outputs, _ = rnnzoo.unroll(core, xs, core.initial_state(batch_size))
        return jnp.sum(outputs**2)

    model = hk.transform(run)
    xs = jax.random.normal(jax.random.key(0), (length, batch_size, hidden_size))
    params = jax.jit(model.init)(jax.random.key(1), xs)
    step = jax.jit(jax.value_and_grad(model.apply, (0, 2)))
    call = functools.partial(step, params, jax.random.key(2), xs)
    jax.block_until_ready(call())
    times, start = [], time.perf_counter()
    while time.perf_counter() - start < 1 or len(times) < 3:
        before = time.perf_counter()
        jax.block_until_ready(call())
        times.append(time.perf_counter() - before)
    return length / statistics.median(times)


def certify(name: str, own: flags.FlagValues) -> Certificate:
    """The certificate of one cell: which checks it passed, its size and speed."""
    options = {}
    for text in own.option:
        option, _, value = text.partition("=")
        options[option] = literal(value)
    reference = find_reference(own.reference)
    make = functools.partial(registry.make, name, **options)
    registry.entry(name)  # an unknown name is no failed check
    subject = certificate.Subject(functools.partial(make, own.hidden_size), reference)
    checks = []
    for check, function in certificate.CHECKS.items():
        result = certificate.check(check, subject)
        meaning = result.reason or (function.__doc__ or "").splitlines()[0]
        checks.append({"check": check, "verdict": result.verdict, "meaning": meaning})
    found: Certificate = {
        "name": name,
        "passed": all(check["verdict"] != "failed" for check in checks),
        "checks": checks,
        "size": None,
        "steps_per_second": None,
    }
    if H := own.speed_hidden_size:
        make_core = functools.partial(make, H)
        speeds = {str(B): steps_per_second(make_core, H, B) for B in (1, 32)}
        found |= {"size": size(make_core, H), "steps_per_second": speeds}
    return found


def show(found: Certificate, console: Console) -> None:
    """Prints a certificate for a person."""
    table = Table("check", "verdict", "what it means, or what was found", title=found["name"])
    for check in found["checks"]:
        verdict = f"[{MARKS[check['verdict']]}]{check['verdict']}[/]"
        table.add_row(check["check"].replace("_", " "), verdict, escape(check["meaning"]))
    console.print(table)
    if s := found["size"]:
        console.print(
            f"H = D = {s['hidden_size']}: {s['parameters']:,} parameters; a time step has "
            f"{s['flops_in_products']:,} FLOPs in products, and its loop reads "
            f"{s['bytes_of_weights']:,} bytes of weights"
        )
        for B, speed in found["steps_per_second"].items():
            console.print(f"batch {B}: {speed:,.0f} time steps/s, forward and backward, T = 64")


def main(own: flags.FlagValues, names: list[str]) -> None:
    """Prints the certificates; exits with 1 if a check failed."""
    show_tracebacks(own.verbose)
    if own.verbose:
        jax.config.update("jax_log_compiles", True)
    with one_line_errors():
        for module in own.cell_module:
            registry.load_module(module)
        if not names:
            raise UserError("which cell? for example: python -m rnnzoo.certify gru")
        found, console = [], Console()
        for name in names:
            found.append(certify(name, own))
            if own.quiet and not own.json:
                print(f"{name}: {'passed' if found[-1]['passed'] else 'failed'}")
            elif not own.json:
                show(found[-1], console)
        if own.json:
            print(json.dumps(found, indent=2))
        if not all(cell["passed"] for cell in found):
            sys.exit(1)


def run() -> None:
    """The program."""
    own = _flags()
    if {"--help", "-h"} & set(sys.argv):
        print(f"{__doc__}\n{own.get_help()}")
        return
    with one_line_errors():
        try:
            names = own(sys.argv)[1:]
        except flags.Error as e:
            raise UserError(flat(e)) from e
    keep_freed_memory()
    main(own, names)


if __name__ == "__main__":
    run()
