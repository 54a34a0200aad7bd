"""The recurrent layer by itself, against those of other libraries: forward and backward.

    python -m benchmarks.layers
    python -m benchmarks.layers --peers=torch,flax --cells=lstm

Inputs are dense, [T, B, D] with D = H; the loss is the mean of the squared outputs, and the
gradients are by the inputs and all weights. The contenders of a cell:

  rnnzoo            `rnnzoo.unroll` of the registered cell
  rnnzoo, 2 devices the same, with the rows shared out over a CPU's cores, where there are enough
  plain lax.scan    the same cell with `strategy="plain"`
  haiku             Haiku's own core on `hk.dynamic_unroll`
  torch.nn          on one thread and on two; the faster is the one to compare with
  torchrecurrent    likewise
  flax, keras       jitted, as their users run them

Every contender's loss and gradients are checked against rnnzoo's first, with the weights mapped.
Haiku's cores fix another function for two of the cells; there they are checked, and compared in
time, against rnnzoo's cell with the options that make it that function.
"""

import functools
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import haiku as hk
import jax
import numpy as np
from absl import flags

import rnnzoo
from benchmarks import report, settings, workloads
from benchmarks.peers import NAMES, choose, haiku
from benchmarks.timing import first_call, interleave
from benchmarks.workloads import Layer
from rnnzoo.devices import rows_mesh, value_and_grad_by_rows
from rnnzoo.model import Params

CELLS = ("elman", "gru", "lstm")
PEERS = flags.DEFINE_list(
    "peers", ["all"], f"Some of {', '.join(NAMES)}, or 'all' that are installed."
)
TIME_STEPS = flags.DEFINE_integer("time_steps", 128, "T, the length of a sequence.", lower_bound=1)
USED = (
    settings.CELLS,
    PEERS,
    settings.HIDDEN_SIZE,
    TIME_STEPS,
    settings.BATCH_SIZE,
    settings.ROUNDS,
)


def inputs(T: int, B: int, D: int) -> jax.Array:
    """Inputs [T, B, D]."""
    return jax.random.normal(jax.random.key(1), (T, B, D))


def parameters(cell: str, H: int, options: Mapping[str, Any], xs: jax.Array) -> Params:
    """Parameters of rnnzoo's cell, random biases included: zeros would hide a wrong order."""

    def step(x):
        core = rnnzoo.make(cell, H, **options)
        return core(x, core.initial_state(x.shape[0]))

    params = hk.transform(step).init(jax.random.key(0), xs[0])
    rng = np.random.default_rng(0)
    return jax.tree.map(
        lambda a: 0.1 * rng.standard_normal(a.shape).astype(a.dtype) if a.ndim == 1 else a, params
    )


def contenders(
    cell: str, H: int, options: Mapping[str, Any], xs: jax.Array, among: list[ModuleType]
) -> dict[str, Layer]:
    """The layers that compute rnnzoo's cell with `options`; the first is rnnzoo's own."""

    def make_core():
        return rnnzoo.make(cell, H, **options)

    params = parameters(cell, H, options, xs)
    name = ", ".join(["rnnzoo", *(f"{k}={v}" for k, v in options.items())])
    found = {name: haiku.layer(make_core, rnnzoo.unroll, params, xs)}
    if (mesh := rows_mesh(xs.shape[1])).size > 1:
        by_rows = functools.partial(value_and_grad_by_rows, mesh=mesh)
        found[f"{name}, {mesh.size} devices"] = haiku.layer(
            make_core, rnnzoo.unroll, params, xs, differentiate=by_rows
        )
    if not options:
        found["plain lax.scan"] = haiku.layer(make_core, plain, params, xs)
    for peer in among:
        found |= peer.layers(cell, H, params, xs)
    return found


def plain(core, xs, state):
    """The step in a `lax.scan`, differentiated by JAX."""
    return rnnzoo.unroll(core, xs, state, strategy="plain")


def by_function(
    cell: str, among: Mapping[str, ModuleType]
) -> list[tuple[Mapping[str, Any], list[ModuleType]]]:
    """The options of rnnzoo's cell, and the peers that compute that function."""
    options = haiku.options(cell) if "haiku" in among else {}
    if not options:
        return [({}, list(among.values()))]
    return [({}, [p for p in among.values() if p is not haiku]), (options, [haiku])]


def check(layers: Mapping[str, Layer]) -> dict[str, float]:
    """Checks the layers' losses and gradients against the first's; seconds of their first calls.

    Raises:
      ArithmeticError: one computes another function.
    """
    seconds, results = {}, {}
    for name, layer in layers.items():
        seconds[name], results[name] = first_call(layer.call)
    _, d_xs, d_params = results[next(iter(layers))]
    workloads.check_same(
        {
            name: workloads.layer_figures(layer, results[name], d_xs, d_params)
            for name, layer in layers.items()
        }
    )
    return seconds


def measure(
    cells: list[str],
    peers: list[str],
    hidden_size: int,
    time_steps: int,
    batch_size: list[int],
    rounds: int,
) -> list[dict]:
    """Checks all contenders, and times those of a cell and batch size in one interleaved run.

    Args:
      cells: registered names, or 'all' for those that most peers have.
      peers: names of `benchmarks.peers`, or 'all' that are installed.
      hidden_size: H, also the number of input features.
      time_steps: T.
      batch_size: the sizes of B.
      rounds: samples of each contender.

    Returns:
      One row for each cell, batch size and contender: its times in seconds per forward and
      backward pass, microseconds per time step of all B rows, and `times_rnnzoo`, its median over
      that of rnnzoo with the same function.

    Raises:
      UserError: an unknown cell or peer, or a peer that is not installed.
      ArithmeticError: contenders do not compute the same function.
    """
    among, rows = choose(peers), []
    for cell in settings.cells(cells, CELLS):
        for B in batch_size:
            xs = inputs(time_steps, B, hidden_size)
            calls, first_calls, ours = {}, {}, {}
            for options, group in by_function(cell, among):
                layers = contenders(cell, hidden_size, options, xs, group)
                first_calls |= check(layers)
                calls |= {name: layer.call for name, layer in layers.items()}
                ours |= dict.fromkeys(layers, next(iter(layers)))
            timings = interleave(calls, rounds)
            rows += [
                {
                    "cell": cell,
                    "batch_size": B,
                    "contender": name,
                    "compared_with": ours[name],
                    "microseconds_per_step": 1e6 * timing.median / time_steps,
                    "times_rnnzoo": timing.median / timings[ours[name]].median,
                    "first_call_seconds": first_calls[name],
                    **timing.as_json(),
                }
                for name, timing in timings.items()
            ]
    return rows


def main() -> None:
    """Measures what the flags say, prints the table and writes the file."""
    asked = settings.values(USED)
    rows = measure(**asked)
    path = report.write("layers", asked, rows, settings.OUT.value)
    report.show(
        f"Forward and backward over {TIME_STEPS.value} dense inputs; a step is one of all B rows",
        ["cell", "B", "contender", "µs/step", "spread", "× rnnzoo's time", "first call"],
        [
            (
                row["cell"],
                str(row["batch_size"]),
                row["contender"],
                f"{row['microseconds_per_step']:,.1f}",
                report.spread(row),
                f"{row['times_rnnzoo']:.2f}",
                f"{row['first_call_seconds']:.1f} s",
            )
            for row in rows
        ],
        path,
    )


if __name__ == "__main__":
    settings.run(main, USED)
