"""Tiny Shakespeare on a GPU with less than half as many parameters: 3.3 million.

python -m benchmarks.published --numbers=shakespeare_gpu_512
"""

from benchmarks.published.number import Expected, OfText


def get_config():
    """As configs/shakespeare_gpu.py has it, with fewer units and less dropout."""
    return OfText(
        title="Tiny Shakespeare on a GPU, 81.9 million characters read, layers of 512 units",
        source="karpathy2022nanogpt",
        config="shakespeare_gpu",
        keys={
            "cell.hidden_size": 512,
            "cell.options.rate": 0.2,
            "cell.options.output_rate": 0.4,
        },
        expected=Expected("at most", 1.463),
    )
