"""War and Peace by an LSTM of 128 units: 1.277 nats, Karpathy, Johnson and Li (2015).

    python -m benchmarks.published --numbers=war_and_peace_128

The second of the paper's four sizes, of one layer.
"""

import dataclasses

from benchmarks.published.number import Expected
from benchmarks.published.numbers import war_and_peace


def get_config():
    """As configs/war_and_peace.py says."""
    return dataclasses.replace(
        war_and_peace.get_config(),
        title="War and Peace, an LSTM of 128 units",
        keys={"cell.hidden_size": 128},
        expected=Expected("about", 1.277, 0.03),
    )
