"""The timer: contenders take turns (A B C A B C ...), so that drift hurts all alike."""

import math
import time
from collections.abc import Callable, Hashable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from rich.progress import Progress

PAUSE_SECONDS = 0.02  # torch's idle OpenMP threads keep a core busy for half as long
SAMPLE_SECONDS = 0.02  # a sample shorter than this would measure the clock and the scheduler


class Timing(NamedTuple):
    """What one contender took, without its first call.

    Attributes:
      samples: seconds per call, one figure for each round.
    """

    samples: tuple[float, ...]

    @property
    def median(self) -> float:
        """Seconds per call, the median over the rounds."""
        return float(np.median(self.samples))

    @property
    def quartiles(self) -> tuple[float, float]:
        """Seconds per call, the first and third quartile over the rounds."""
        low, high = np.percentile(self.samples, [25, 75])
        return float(low), float(high)

    def divided(self, parts: int) -> "Timing":
        """The timing of one of so many equal parts of the call."""
        return Timing(tuple(seconds / parts for seconds in self.samples))

    def as_json(self) -> dict[str, Any]:
        """The figures that a result file keeps."""
        return {"median_seconds": self.median, "quartiles_seconds": list(self.quartiles)}


def first_call(call: Callable[[], Any]) -> tuple[float, Any]:
    """The seconds of a first call (tracing, compilation and one execution) and what it returned."""
    start = time.perf_counter()
    result = jax.block_until_ready(call())
    return time.perf_counter() - start, result


def compile(jitted: Callable, *arguments) -> tuple[float, jax.stages.Compiled]:
    """The seconds that a jitted function takes to be traced and compiled, and what comes of it."""
    start = time.perf_counter()
    compiled = jitted.lower(*arguments).compile()
    return time.perf_counter() - start, compiled


def interleave(
    contenders: Mapping[Hashable, Callable[[], Any]], rounds: int
) -> dict[Hashable, Timing]:
    """Times the contenders in turn, each having had its first call.

    A sample is as many calls in a row as fill `SAMPLE_SECONDS`, waited for at their end, as a
    training loop would.

    Args:
      contenders: calls without arguments by name; each returns the arrays to wait for.
      rounds: samples of each contender.

    Returns:
      The timings, under the same names.
    """
    # A warm call tells how many fill a sample.
    calls = {name: math.ceil(SAMPLE_SECONDS / _seconds(c, 1)) for name, c in contenders.items()}
    samples = {name: [] for name in contenders}
    # No refreshing thread: it would take part in the measurement.
    with Progress(auto_refresh=False, transient=True) as progress:
        task = progress.add_task("timing", total=rounds)
        for _ in range(rounds):
            for name, call in contenders.items():
                time.sleep(PAUSE_SECONDS)  # so that nothing of the contender before still runs
                samples[name].append(_seconds(call, calls[name]) / calls[name])
            progress.update(task, advance=1, refresh=progress.console.is_terminal)
    return {name: Timing(tuple(seconds)) for name, seconds in samples.items()}


def _seconds(call: Callable[[], Any], times: int) -> float:
    start = time.perf_counter()
    for _ in range(times):
        result = call()
    jax.block_until_ready(result)
    return time.perf_counter() - start
