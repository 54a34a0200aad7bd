"""The recurrent layer by itself, against those of other libraries: forward and backward.

    python -m benchmarks.layers
    python -m benchmarks.layers --peers=torch,flax --cells=lstm
    python -m benchmarks.layers --cells=lstm --batch_size=16 --hidden_size=768 --time_steps=1024 \
        --dtype=bfloat16 --passes=forward --passes=both

Inputs are dense, [T, B, D] with D = H; the loss is the mean of the squared outputs, and the
gradients are by the inputs and all weights. The contenders of a cell:

  rnnzoo            `rnnzoo.unroll` of the registered cell
  rnnzoo, 2 devices the same, with the rows shared out over a CPU's cores, where there are enough
  plain lax.scan    the same cell with `strategy="plain"`
  haiku             Haiku's own core on `hk.dynamic_unroll`
  torch.nn          on one thread and on two; the faster is the one to compare with
  torchrecurrent    likewise
  flax, keras       jitted, as their users run them
  cudnn             on a GPU: `jax.experimental.rnn.lstm`
  whole_sequence    on a GPU: rnnzoo's cell in a prototype of a kernel, `benchmarks.whole_sequence`

On a GPU, PyTorch's layers are cuDNN's, and products of float32 are in TF32 on both sides when timed; the
check is made in float32's own precision.

Every contender's loss and gradients are checked against rnnzoo's first, with the weights mapped.
Haiku's cores fix another function for two of the cells; there they are checked, and compared in
time, against rnnzoo's cell with the options that make it that function.
"""

import contextlib
import functools
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

import rnnzoo
from benchmarks import report, settings, workloads
from benchmarks.peers import NAMES, ON_GPU, choose, haiku
from benchmarks.timing import first_call, interleave
from benchmarks.workloads import Layer
from rnnzoo.devices import rows_mesh, value_and_grad_by_rows
from rnnzoo.model import Params

CELLS = ("elman", "gru", "lstm")
PEERS = flags.DEFINE_list(
    "peers", ["all"], f"Some of {', '.join([*NAMES, *ON_GPU])}, or 'all' that are installed."
)
PASSES = flags.DEFINE_multi_enum(
    "passes",
    ["both"],
    ["forward", "both"],
    "Forward alone, or forward and backward; may be repeated.",
)
DTYPE = flags.DEFINE_enum(
    "dtype", "float32", ["float32", "bfloat16"], "The precision of inputs, weights and states."
)
TIME_STEPS = flags.DEFINE_integer("time_steps", 128, "T, the length of a sequence.", lower_bound=1)
USED = (
    settings.CELLS,
    PEERS,
    settings.HIDDEN_SIZE,
    TIME_STEPS,
    settings.BATCH_SIZE,
    PASSES,
    DTYPE,
    settings.ROUNDS,
)
CHECKED_STEPS = 128  # of layers in bfloat16, whose sums over time differ by far more than rounding


def inputs(T: int, B: int, D: int, dtype: Any = float) -> jax.Array:
    """Inputs [T, B, D]."""
    return jax.random.normal(jax.random.key(1), (T, B, D)).astype(dtype)


def parameters(cell: str, H: int, options: Mapping[str, Any], xs: jax.Array) -> Params:
    """Parameters of rnnzoo's cell, random biases included: zeros would hide a wrong order."""

    def step(x):
        core = rnnzoo.make(cell, H, **options)
        return core(x, core.initial_state(x.shape[0]))

    params = hk.transform(step).init(jax.random.key(0), xs[0])
    rng = np.random.default_rng(0)
    return jax.tree.map(
        lambda a: (0.1 * rng.standard_normal(a.shape) if a.ndim == 1 else a).astype(xs.dtype),
        params,
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
    # A GPU's products are of lower precision by default; a CPU's are not, and compile once.
    on_gpu = jax.default_backend() == "gpu"
    with jax.default_matmul_precision("highest") if on_gpu else contextlib.nullcontext():
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


def check_losses(layers: Mapping[str, Layer]) -> dict[str, float]:
    """Checks the losses of layers in bfloat16; seconds of their first calls.

    Raises:
      ArithmeticError: one computes another function.
    """
    seconds, losses = {}, {}
    for name, layer in layers.items():
        seconds[name], result = first_call(layer.call)
        losses[name] = [float(layer.read(result)[0])]
    workloads.check_same(losses, tolerance=1e-2)
    return seconds


def measure(
    cells: list[str],
    peers: list[str],
    hidden_size: int,
    time_steps: int,
    batch_size: list[int],
    rounds: int,
    passes: Sequence[str] = ("both",),
    dtype: str = "float32",
) -> list[dict]:
    """Checks all contenders, and times those of a cell and batch size in one interleaved run.

    In bfloat16, losses are checked, and gradients in float32 over at most `CHECKED_STEPS`.

    Args:
      cells: registered names, or 'all' for those that most peers have.
      peers: names of `benchmarks.peers`, or 'all' that are installed.
      hidden_size: H, also the number of input features.
      time_steps: T.
      batch_size: the sizes of B.
      rounds: samples of each contender.
      passes: 'forward' for that alone, 'both' for forward and backward.
      dtype: the precision of inputs, weights and states.

    Returns:
      One row for each cell, batch size, pass and contender: its times in seconds, microseconds per
      time step of all B rows, and `times_rnnzoo`, its median over that of rnnzoo with the same
      function.

    Raises:
      UserError: an unknown cell or peer, or a peer that is not installed.
      ArithmeticError: contenders do not compute the same function.
    """
    among, rows = choose(peers), []
    for cell in settings.cells(cells, CELLS):
        for B in batch_size:
            xs = inputs(time_steps, B, hidden_size, jnp.dtype(dtype))
            layers, first_calls, ours = {}, {}, {}
            for options, group in by_function(cell, among):
                alike = contenders(cell, hidden_size, options, xs, group)
                if dtype == "float32":
                    first_calls |= check(alike)
                else:
                    few = inputs(min(time_steps, CHECKED_STEPS), B, hidden_size)
                    check(contenders(cell, hidden_size, options, few, group))
                    first_calls |= check_losses(alike)
                layers |= alike
                ours |= dict.fromkeys(alike, next(iter(alike)))
            for each in passes:
                calls = {name: _call(layer, each) for name, layer in layers.items()}
                # What the check has compiled may be of another precision, and is not forward alone.
                warm = {name: first_call(call)[0] for name, call in calls.items()}
                timings = interleave(calls, rounds)
                rows += [
                    {
                        "cell": cell,
                        "batch_size": B,
                        "pass": each,
                        "contender": name,
                        "compared_with": ours[name],
                        "microseconds_per_step": 1e6 * timing.median / time_steps,
                        "times_rnnzoo": timing.median / timings[ours[name]].median,
                        "first_call_seconds": (first_calls if each == "both" else warm)[name],
                        **timing.as_json(),
                    }
                    for name, timing in timings.items()
                ]
    return rows


def _call(layer: Layer, each: str) -> Callable[[], Any]:
    return layer.call if each == "both" else layer.forward


def main() -> None:
    """Measures what the flags say, prints the table and writes the file."""
    asked = settings.values(USED)
    rows = measure(**asked)
    path = report.write("layers", asked, rows, settings.OUT.value)
    report.show(
        f"A layer over {TIME_STEPS.value} dense inputs; a step is one of all B rows",
        ["cell", "B", "pass", "contender", "µs/step", "spread", "× rnnzoo's time", "first call"],
        [
            (
                row["cell"],
                str(row["batch_size"]),
                row["pass"],
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
