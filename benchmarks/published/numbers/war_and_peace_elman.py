"""War and Peace by an Elman cell of 141 units: 1.446 nats, Karpathy, Johnson and Li (2015).

    python -m benchmarks.published --numbers=war_and_peace_elman

As many parameters as the LSTM of `war_and_peace`; the same text.
"""

import dataclasses

from benchmarks.published.number import Expected
from benchmarks.published.numbers import war_and_peace


def get_config():
    """As configs/war_and_peace.py says."""
    return dataclasses.replace(
        war_and_peace.get_config(),
        title="War and Peace, an Elman cell of 141 units",
        keys={"cell.name": "elman", "cell.hidden_size": 141},
        expected=Expected("about", 1.446, 0.03),
    )
