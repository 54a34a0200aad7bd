"""War and Peace by two LSTMs of 45 units: 1.442 nats, Karpathy, Johnson and Li (2015).

    python -m benchmarks.published --numbers=war_and_peace_2_layers

The second of the paper's three depths. As its table has it, as many parameters as the one layer of
`war_and_peace`.
"""

import dataclasses

from benchmarks.published.number import Expected
from benchmarks.published.numbers import war_and_peace


def get_config():
    """As configs/war_and_peace.py says."""
    return dataclasses.replace(
        war_and_peace.get_config(),
        title="War and Peace, two LSTMs of 45 units",
        keys={"cell.layers": 2, "cell.hidden_size": 45},
        expected=Expected("about", 1.442, 0.03),
    )
