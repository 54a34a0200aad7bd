"""Tiny Shakespeare on a GPU: nanoGPT's recipe for one has 1.4697 nats, a Mamba 1.463.

    python -m benchmarks.published --numbers=shakespeare_gpu

The transformer there has 10.7 million parameters, and reads as many characters; here two LSTMs have 7.3.
"""

from benchmarks.published.number import Expected, OfText


def get_config():
    """As configs/shakespeare_gpu.py has it."""
    return OfText(
        title="Tiny Shakespeare on a GPU, 81.9 million characters read",
        source="karpathy2022nanogpt",
        config="shakespeare_gpu",
        expected=Expected("at most", 1.463),
    )
