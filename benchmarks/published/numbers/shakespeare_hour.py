"""Tiny Shakespeare in an hour of a CPU: nanoGPT's recipe for a GPU has 1.4697 nats, a Mamba 1.463.

    python -m benchmarks.published --numbers=shakespeare_hour

The transformer there has 10.7 million parameters and reads 81.9 million characters, the Mamba some 2
million; here two LSTMs of 1.3 million read 20 million. Half an hour for each seed on one core.
"""

from benchmarks.published.number import Expected, OfText, TextModel


def get_config():
    """As configs/shakespeare_hour.py has it."""
    return OfText(
        title="Tiny Shakespeare, an hour of two CPU cores",
        source="karpathy2022nanogpt",
        models=[TextModel("shakespeare_hour", Expected("at most", 1.463))],
    )
