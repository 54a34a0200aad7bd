"""Steps per second of every registered cell: forward, training step and sampling.

    python -m benchmarks.steps_per_second

A step is one time step of the whole batch: characters/s = steps/s times B. Forward and training
take one piece of T characters in one compiled call; training is the loss, its gradient and a
clipped Adam update, in donated buffers. Sampling draws `DRAWN` characters by
`rnnzoo.sampler.sample`, the way from ids to text included.

Beside the speed stand the time to compile, the memory, the parameters, and the share of the machine's
limit that is reached: `benchmarks.cost` counts the products and the weights to be read,
`benchmarks.limits` measures in the same run how fast that can go, and the least time so found is set
against the time taken. Of sampling, which compiles within its first call, there is the speed alone.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax

import rnnzoo
from benchmarks import limits, report, settings, timing, workloads
from rnnzoo import cost
from rnnzoo.model import LanguageModel, Params, language_model
from rnnzoo.sampler import sample

USED = (
    settings.CELLS,
    settings.HIDDEN_SIZE,
    settings.TRUNCATION,
    settings.VOCABULARY_SIZE,
    settings.BATCH_SIZE,
    settings.ROUNDS,
)
WORK = ("forward", "training", "sampling")
DRAWN = 128


class Work(NamedTuple):
    """A call, and what is known before it is timed.

    Attributes:
      steps: the time steps that it takes.
      call: does it.
      compile_seconds: tracing and compilation; None where the first call does that too.
      peak_bytes: the memory it needs; None where it is not known.
    """

    steps: int
    call: Callable[[], Any]
    compile_seconds: float | None = None
    peak_bytes: int | None = None


def works(model: LanguageModel, params: Params, T: int, B: int, V: int) -> dict[str, Work]:
    """The model's calls by kind of work; those but sampling are compiled here."""
    ids, key = workloads.random_piece(T, B, V), jax.random.key(0)
    arguments = (params, key, ids[:-1], model.initial_state(params, B))
    forward_seconds, forward = timing.compile(jax.jit(model.apply), *arguments)
    carry = workloads.start(model, params, B)
    update_seconds, update = timing.compile(workloads.jitted_update(model), carry, ids)
    train = workloads.repeated(update, carry, ids)
    vocabulary = workloads.vocabulary(V)
    return {
        "forward": Work(T, lambda: forward(*arguments), forward_seconds, peak_bytes(forward)),
        "training": Work(T, train, update_seconds, peak_bytes(update)),
        "sampling": Work(DRAWN, lambda: sample(model, params, vocabulary, length=DRAWN, count=B)),
    }


def peak_bytes(compiled: jax.stages.Compiled) -> int:
    """XLA's own count of the memory of a call: arguments, results and temporaries.

    A donated buffer is argument and result in one, and counts once.
    """
    memory = compiled.memory_analysis()
    results = memory.output_size_in_bytes - memory.alias_size_in_bytes
    return memory.argument_size_in_bytes + results + memory.temp_size_in_bytes


def measure(
    cells: list[str],
    hidden_size: int,
    truncation: int,
    vocabulary_size: int,
    batch_size: list[int],
    rounds: int,
) -> list[dict]:
    """Times all work of all cells, and the machine's limits, in one interleaved run.

    Args:
      cells: registered names, or 'all' among them.
      hidden_size: H.
      truncation: T, characters of a piece.
      vocabulary_size: V.
      batch_size: the sizes of B.
      rounds: samples of each.

    Returns:
      One row for each cell, batch size and kind of work.

    Raises:
      UserError: an unknown cell, or none.
    """
    work, costs, first_calls = {}, {}, {}
    for cell in settings.cells(cells, rnnzoo.names()):
        make_core = functools.partial(rnnzoo.make, cell, hidden_size)
        model = language_model(make_core, vocabulary_size)
        params = jax.jit(model.init)(jax.random.key(0))
        for B in batch_size:
            costs[cell, B] = cost.of_language_model(make_core, vocabulary_size, B)
            for kind, w in works(model, params, truncation, B, vocabulary_size).items():
                work[cell, B, kind] = w
                first_calls[cell, B, kind], _ = timing.first_call(w.call)
    calls = {name: w.call for name, w in work.items()}
    calls |= {probe: probe.call for probe in limits.probes(batch_size)}
    timings = timing.interleave(calls, rounds)
    machine = limits.Limits.of(timings)
    return [
        {
            "cell": cell,
            "batch_size": B,
            "work": kind,
            **_figures(w, first_calls[cell, B, kind], timings[cell, B, kind].median, B),
            **_against(machine, costs[cell, B], kind, w, timings[cell, B, kind].median),
            **timings[cell, B, kind].as_json(),
        }
        for (cell, B, kind), w in work.items()
    ]


def _figures(work: Work, first_call_seconds: float, seconds: float, B: int) -> dict[str, Any]:
    """A row's speed, and what the work took before it could run at that speed."""
    compiled = work.compile_seconds is not None
    return {
        "steps_per_second": work.steps / seconds,
        "characters_per_second": work.steps * B / seconds,
        "first_call_seconds": first_call_seconds + (work.compile_seconds or 0),
        "compile_seconds": work.compile_seconds,
        "first_execution_seconds": first_call_seconds if compiled else None,
        "peak_bytes": work.peak_bytes,
    }


def _against(
    machine: limits.Limits, counted: cost.Cost, kind: str, work: Work, seconds: float
) -> dict[str, Any]:
    """A row's parameters and, but for sampling, its limit."""
    row = {"parameters": counted.parameters}
    if kind == "forward":
        flops, loops = counted.forward_flops, counted.forward_loops
    elif kind == "training":
        flops, loops = counted.training_flops, counted.training_loops
    else:
        return row
    return row | machine.against(flops, loops, work.steps, seconds)


def main() -> None:
    """Measures what the flags say, prints the table and writes the file."""
    asked = settings.values(USED)
    rows = measure(**asked)
    path = report.write("steps_per_second", asked, rows, settings.OUT.value)
    lines = {}
    for row in rows:  # those of one cell and batch size, in the order of WORK, make a line
        of_one = lines.setdefault((row["cell"], str(row["batch_size"])), {})
        of_one[row["work"]] = row
    report.show(
        "Steps per second; a step is one time step of all B rows. The last columns are of training",
        ["cell", "B", *WORK, "of limit", "compile", "MiB", "parameters"],
        [(*name, *_line(of_one)) for name, of_one in lines.items()],
        path,
    )


def _line(of_one: dict[str, dict]) -> list[str]:
    """The figures of one cell and batch size, of which the file has more."""
    training = of_one["training"]
    return [
        *(f"{of_one[w]['steps_per_second']:,.0f} {report.spread(of_one[w])}" for w in WORK),
        f"{training['limit_fraction']:.0%}",
        f"{training['compile_seconds']:.1f} s",
        f"{training['peak_bytes'] / 2**20:,.1f}",
        f"{training['parameters']:,}",
    ]


if __name__ == "__main__":
    settings.run(main, USED)
