"""All time steps at once, or one after the other: for cells that can do both, which is faster?

    python -m benchmarks.parallel
    python -m benchmarks.parallel --cells=mingru,gla --sequence_lengths=8192 --batch_size=1

Inputs are dense, [T, B, D] with D = H. The cell's own `parallel` against the loop of
`strategy="deferred"`, forward alone and forward with backward; from the figures comes the rule by
which `rnnzoo.unroll` chooses.
"""

import functools

import haiku as hk
import jax
import jax.numpy as jnp

import rnnzoo
from benchmarks import report, settings
from benchmarks.timing import first_call, interleave
from rnnzoo import registry

STRATEGIES = ("deferred", "parallel")
SEQUENCE_LENGTHS = settings.define_numbers(
    "sequence_lengths", [64, 1024], "T, lengths of sequences: a list."
)
USED = (
    settings.CELLS,
    SEQUENCE_LENGTHS,
    settings.HIDDEN_SIZE,
    settings.BATCH_SIZE,
    settings.ROUNDS,
)


def parallel_cells() -> list[str]:
    """The registered cells that can compute all time steps at once."""
    found = []
    for name in registry.names():
        probe = hk.transform(lambda name=name: hasattr(registry.make(name, 8), "parallel"))
        if probe.apply({}, jax.random.key(0)):
            found.append(name)
    return found


def calls(cell: str, H: int, T: int, B: int) -> dict[tuple[str, str], functools.partial]:
    """By (strategy, 'forward' or 'training'): a compiled call that returns its arrays."""
    xs = jax.random.normal(jax.random.key(0), (T, B, H))
    found = {}
    for strategy in STRATEGIES:

        def loss(xs, strategy=strategy):
            core = rnnzoo.make(cell, H)
            outputs, _ = rnnzoo.unroll(core, xs, core.initial_state(B), strategy=strategy)
            return jnp.mean(outputs**2)

        model = hk.without_apply_rng(hk.transform(loss))
        params = jax.jit(model.init)(jax.random.key(1), xs)
        training = jax.jit(jax.value_and_grad(model.apply, (0, 1)))
        found[strategy, "forward"] = functools.partial(jax.jit(model.apply), params, xs)
        found[strategy, "training"] = functools.partial(training, params, xs)
    return found


def measure(
    cells: list[str],
    sequence_lengths: list[int],
    hidden_size: int,
    batch_size: list[int],
    rounds: int,
) -> list[dict]:
    """Times both ways of each cell in turn.

    Args:
      cells: registered names; 'all' for those that have `parallel`.
      sequence_lengths: the sizes of T.
      hidden_size: H, also the number of input features.
      batch_size: the sizes of B.
      rounds: samples of each.

    Returns:
      One row for each cell, T, B, kind of work and strategy: its times in seconds per sequence of
      all B rows, and `times_loop`, its median over that of the loop.

    Raises:
      UserError: an unknown cell, or one that has no `parallel`.
    """
    able, rows = parallel_cells(), []
    for cell in settings.cells(cells, able, able):
        for T in sequence_lengths:
            for B in batch_size:
                contenders = calls(cell, hidden_size, T, B)
                for call in contenders.values():
                    first_call(call)
                timings = interleave(contenders, rounds)
                rows += [
                    {
                        "cell": cell,
                        "time_steps": T,
                        "batch_size": B,
                        "work": work,
                        "strategy": strategy,
                        "times_loop": timing.median / timings["deferred", work].median,
                        **timing.as_json(),
                    }
                    for (strategy, work), timing in timings.items()
                ]
    return rows


def main() -> None:
    """Measures what the flags say, prints the table and writes the file."""
    asked = settings.values(USED)
    rows = measure(**asked)
    path = report.write("parallel", asked, rows, settings.OUT.value)
    report.show(
        "Forward, and forward with backward, over dense inputs",
        ["cell", "T", "B", "work", "strategy", "ms", "spread", "× the loop's time"],
        [
            (
                row["cell"],
                f"{row['time_steps']}",
                f"{row['batch_size']}",
                row["work"],
                row["strategy"],
                f"{1e3 * row['median_seconds']:,.2f}",
                report.spread(row),
                f"{row['times_loop']:.2f}",
            )
            for row in rows
        ],
        path,
    )


if __name__ == "__main__":
    settings.run(main, USED)
