"""Memory of a gradient against the length T of the sequence: default against chunks.

    python -m benchmarks.memory

`unroll(..., strategy="chunked")` keeps the state only at the borders of chunks and computes what
lies between a second time in the backward pass. The figures are XLA's own memory analysis of the
compiled gradient: the bytes it needs besides its arguments and results. Nothing is run. The loss
reads the last state only: outputs that it reads at every step take memory that grows with T anyway.
"""

import pathlib
from collections.abc import Sequence

import haiku as hk
import jax
import jax.numpy as jnp
from matplotlib.figure import Figure

import rnnzoo
from benchmarks import report, settings
from rnnzoo import registry

LENGTHS = settings.define_numbers("lengths", [2**i for i in range(8, 15)], "The values of T.")
USED = (settings.CELL, settings.HIDDEN_SIZE, settings.BATCH_SIZE, LENGTHS)
STRATEGIES = ("auto", "chunked")


def gradient_bytes(cell: str, H: int, T: int, B: int, strategy: str) -> int:
    """XLA's temporary bytes for the gradient of the last state, with inputs [T, B, H]."""

    def loss(xs):
        core = rnnzoo.make(cell, H)
        _, state = rnnzoo.unroll(core, xs, core.initial_state(B), strategy=strategy)
        return sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(state))

    init, apply = hk.transform(loss)
    key = jax.random.key(0)
    xs = jax.eval_shape(lambda: jnp.zeros((T, B, H)))
    params = jax.eval_shape(init, key, xs)
    compiled = jax.jit(jax.grad(apply)).lower(params, key, xs).compile()
    return compiled.memory_analysis().temp_size_in_bytes


def measure(cell: str, hidden_size: int, batch_size: list[int], lengths: list[int]) -> list[dict]:
    """The memory of each strategy at each length.

    Args:
      cell: a registered name.
      hidden_size: H, also the number of input features.
      batch_size: the sizes of B.
      lengths: the values of T.

    Returns:
      One row for each batch size, strategy and length, with `temporary_bytes`.

    Raises:
      UserError: an unknown cell.
    """
    registry.entry(cell)
    return [
        {
            "batch_size": B,
            "strategy": strategy,
            "length": T,
            "temporary_bytes": gradient_bytes(cell, hidden_size, T, B, strategy),
        }
        for B in batch_size
        for strategy in STRATEGIES
        for T in sorted(set(lengths))
    ]


def plot(rows: Sequence[dict], path: pathlib.Path) -> None:
    """Draws bytes against T on logarithmic axes; each chunked line beside the √T from its start."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for (B, strategy), line in _lines(rows).items():
        axes.plot(*zip(*line.items(), strict=True), "o-", label=f"{strategy}, B = {B}")
        if strategy == "chunked":
            first = min(line)
            axes.plot(list(line), [line[first] * (T / first) ** 0.5 for T in line], "k:")
    axes.plot([], [], "k:", label="√T")
    axes.set_xscale("log", base=2)
    axes.set(yscale="log", xlabel="T (time steps)", ylabel="temporary bytes")
    axes.legend()
    figure.savefig(path, dpi=150)


def _lines(rows: Sequence[dict]) -> dict[tuple[int, str], dict[int, int]]:
    """For each batch size and strategy the bytes by length."""
    lines = {}
    for row in rows:
        line = lines.setdefault((row["batch_size"], row["strategy"]), {})
        line[row["length"]] = row["temporary_bytes"]
    return lines


def main() -> None:
    """Measures what the flags say, prints the table, writes the file and the plot beside it."""
    asked = settings.values(USED)
    rows = measure(**asked)
    path = report.write("memory", asked, rows, settings.OUT.value)
    plot(rows, path.with_suffix(".png"))
    report.show(
        f"Temporary memory of a gradient of {settings.CELL.value}, MiB",
        ["strategy", "B", *(f"T={T:,}" for T in sorted(set(LENGTHS.value)))],
        [
            (strategy, str(B), *(f"{size / 2**20:,.1f}" for size in line.values()))
            for (B, strategy), line in _lines(rows).items()
        ],
        path,
    )


if __name__ == "__main__":
    settings.run(main, USED)
