"""Tiny Shakespeare on a GPU: nanoGPT's recipe for one has 1.4697 nats, a Mamba 1.463.

    python -m benchmarks.published --numbers=shakespeare_gpu

The transformer there has 10.7 million parameters, and reads as many characters; here two LSTMs have 7.3
or, with fewer units and less dropout, 3.3.
"""

from benchmarks.published.number import Expected, OfText, TextModel

SMALLER = {"cell.hidden_size": 512, "cell.options.rate": 0.2, "cell.options.output_rate": 0.4}


def get_config():
    """As configs/shakespeare_gpu.py has it, and with fewer units."""
    best = Expected("at most", 1.463)
    return OfText(
        title="Tiny Shakespeare on a GPU, 81.9 million characters read",
        source="karpathy2022nanogpt",
        models=[TextModel("shakespeare_gpu", best), TextModel("shakespeare_gpu", best, SMALLER)],
    )
