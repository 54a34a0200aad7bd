"""The certificate of a cell, your own too: is it right, how large is it, how fast.

    python -m rnnzoo.certify gru lstm
    python -m rnnzoo.certify my_cell --cell_module=my_cells --option=depth=2
    python -m rnnzoo.certify my_cell --cell_module=my_cells --reference=my_cells:my_step

The reference is one time step as the paper has it, `my_step(p, x, state) -> (output, next state)`, in
jax.numpy without Haiku; p are the cell's parameters by short names, such as p["U/w"] and p["W"]. The
exit code is 1 if a check failed. All checks: `rnnzoo.certificate.checks`.
"""

import functools
import importlib
import statistics
import sys
import time

import haiku as hk
import jax
import jax.numpy as jnp
from absl import flags
from rich.console import Console
from rich.table import Table

import rnnzoo
from rnnzoo import certificate, cost, registry
from rnnzoo.command_line import literal
from rnnzoo.errors import UserError, flat, one_line_errors
from rnnzoo.host_memory import keep_freed_memory

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


def size(make_core, hidden_size: int) -> str:
    """Parameters, operations and bytes of one time step at D = H and batch 1, as a line."""
    found = cost.of_cell(make_core, hidden_size, 1)
    weights = sum(found.forward_loops)
    return (
        f"H = D = {hidden_size}: {found.parameters:,} parameters; a time step has "
        f"{found.forward_flops:,} FLOPs in products, and its loop reads {weights:,} bytes of weights"
    )


def steps_per_second(make_core, hidden_size: int, batch_size: int, length: int = 64) -> float:
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


def certify(name: str, own: flags.FlagValues, console: Console) -> bool:
    """Prints the certificate of one cell; whether no check failed."""
    options = {}
    for text in own.option:
        option, _, value = text.partition("=")
        options[option] = literal(value)
    reference = find_reference(own.reference)
    make = functools.partial(registry.make, name, **options)
    registry.entry(name)  # an unknown name is no failed check
    subject = certificate.Subject(functools.partial(make, own.hidden_size), reference)
    table = Table("check", "verdict", "what it means, or what was found", title=name)
    failed = False
    for check, function in certificate.CHECKS.items():
        result = certificate.check(check, subject)
        failed |= result.verdict == "failed"
        meaning = result.reason or function.__doc__.splitlines()[0]
        style = MARKS[result.verdict]
        table.add_row(check.replace("_", " "), f"[{style}]{result.verdict}[/]", meaning)
    console.print(table)
    if H := own.speed_hidden_size:
        console.print(size(functools.partial(make, H), H))
        for batch_size in (1, 32):
            speed = steps_per_second(functools.partial(make, H), H, batch_size)
            console.print(
                f"batch {batch_size}: {speed:,.0f} time steps/s, forward and backward, T = 64"
            )
    return not failed


def main(own: flags.FlagValues, names: list[str]) -> None:
    """Prints the certificates; exits with 1 if a check failed."""
    with one_line_errors():
        for module in own.cell_module:
            registry.load_module(module)
        if not names:
            raise UserError("which cell? for example: python -m rnnzoo.certify gru")
        console = Console()
        if not all([certify(name, own, console) for name in names]):
            sys.exit(1)


def run() -> None:
    """The program."""
    own = _flags()
    if {"--help", "-h"} & set(sys.argv):
        print(f"{__doc__}\n{own.main_module_help()}")
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
