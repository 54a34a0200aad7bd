"""Sampling one text, character by character: rnnzoo against a loop in PyTorch.

    python -m benchmarks.sampling

rnnzoo draws by `rnnzoo.sampler.sample`, PyTorch by the loop of `benchmarks.peers.torch.Sampler`
under `torch.inference_mode`, on one thread and on two; both from ids to text. That they expect the
same characters is checked on a random text, read step by step.
"""

from collections.abc import Callable

import jax

import rnnzoo
from benchmarks import peers, report, settings, workloads
from benchmarks.timing import first_call, interleave
from rnnzoo.model import language_model
from rnnzoo.sampler import sample

CELLS = ("elman", "stacked_elman", "gru", "lstm")
USED = (settings.CELLS, settings.HIDDEN_SIZE, settings.VOCABULARY_SIZE, settings.ROUNDS)
DRAWN = 256
CHECKED = 32  # characters of the random text
TEMPERATURE = 0.8


def contenders(cell: str, H: int, V: int, torch) -> dict[str, Callable[[], str]]:
    """Calls that draw a text, from the same parameters.

    Raises:
      ArithmeticError: they do not compute the same function.
    """
    model = language_model(lambda: rnnzoo.make(cell, H), V)
    params = jax.jit(model.init)(jax.random.key(0))
    vocabulary, peer = workloads.vocabulary(V), torch.Sampler(cell, params)

    text = workloads.random_piece(CHECKED, 1, V)
    nats, _ = workloads.loss(model, params, text, model.initial_state(params, 1))
    workloads.check_same({"rnnzoo": [nats], "torch": [peer.nats(text[:, 0])]})

    def ours():
        return sample(model, params, vocabulary, length=DRAWN, temperature=TEMPERATURE)

    def theirs(threads):
        return vocabulary.decode(peer.sample(vocabulary.start_id, DRAWN, TEMPERATURE, threads))

    return {
        "rnnzoo": ours,
        **{torch.with_threads("torch loop", n): lambda n=n: theirs(n) for n in torch.THREADS},
    }


def measure(cells: list[str], hidden_size: int, vocabulary_size: int, rounds: int) -> list[dict]:
    """Checks and times sampling, all contenders of a cell in one interleaved run.

    Args:
      cells: registered names that torch.nn has too, or 'all'.
      hidden_size: H.
      vocabulary_size: V.
      rounds: samples of each contender.

    Returns:
      One row for each cell and contender, with characters per second and `times_rnnzoo`, its
      median time over that of rnnzoo.

    Raises:
      UserError: an unknown cell, or PyTorch is not installed.
      ArithmeticError: the contenders do not compute the same function.
    """
    torch, rows = peers.load("torch"), []
    for cell in settings.cells(cells, CELLS, torch.LAYERS):
        calls = contenders(cell, hidden_size, vocabulary_size, torch)
        first_calls = {name: first_call(call)[0] for name, call in calls.items()}
        timings = interleave(calls, rounds)
        rows += [
            {
                "cell": cell,
                "contender": name,
                "characters_per_second": DRAWN / timing.median,
                "times_rnnzoo": timing.median / timings["rnnzoo"].median,
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
    path = report.write("sampling", asked, rows, settings.OUT.value)
    report.show(
        f"Sampling {DRAWN} characters of one text",
        ["cell", "contender", "characters/s", "spread", "× rnnzoo's time", "first call"],
        [
            (
                row["cell"],
                row["contender"],
                f"{row['characters_per_second']:,.0f}",
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
