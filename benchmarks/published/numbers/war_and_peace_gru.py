"""War and Peace by a GRU of 77 units: 1.398 nats, Karpathy, Johnson and Li (2015).

    python -m benchmarks.published --numbers=war_and_peace_gru

As many parameters as the LSTM of `war_and_peace`.
"""

import dataclasses

from benchmarks.published.number import Expected
from benchmarks.published.numbers import war_and_peace


def get_config():
    """As configs/war_and_peace.py says."""
    return dataclasses.replace(
        war_and_peace.get_config(),
        title="War and Peace, a GRU of 77 units",
        keys={"cell.name": "gru", "cell.hidden_size": 77, "cell.options.reset": "before"},
        expected=Expected("about", 1.398, 0.03),
    )
