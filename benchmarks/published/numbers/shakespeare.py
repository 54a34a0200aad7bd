"""Tiny Shakespeare in as many characters as nanoGPT's recipe for a CPU, which comes to 1.88 nats.

    python -m benchmarks.published --numbers=shakespeare

There a transformer of 0.8 million parameters reads 2,000 x 12 x 64 characters; here an LSTM does.
"""

from benchmarks.published.number import Expected, OfText, TextModel


def get_config():
    """As configs/shakespeare.py has it."""
    return OfText(
        title="Tiny Shakespeare, 1,536,000 characters read",
        source="karpathy2022nanogpt",
        models=[TextModel("shakespeare", Expected("at most", 1.75))],
    )
