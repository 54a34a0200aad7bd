"""War and Peace by two GRUs of 53 units: 1.373 nats, Karpathy, Johnson and Li (2015).

    python -m benchmarks.published --numbers=war_and_peace_gru_2_layers

As many parameters as the one layer of `war_and_peace`.
"""

import dataclasses

from benchmarks.published.number import Expected
from benchmarks.published.numbers import war_and_peace_gru


def get_config():
    """As configs/war_and_peace.py says."""
    one_layer = war_and_peace_gru.get_config()
    return dataclasses.replace(
        one_layer,
        title="War and Peace, two GRUs of 53 units",
        keys=one_layer.keys | {"cell.layers": 2, "cell.hidden_size": 53},
        expected=Expected("about", 1.373, 0.03),
    )
