"""War and Peace by two Elman cells of 96 units: 1.401 nats, Karpathy, Johnson and Li (2015).

    python -m benchmarks.published --numbers=war_and_peace_elman_2_layers

As many parameters as the one layer of `war_and_peace`.
"""

import dataclasses

from benchmarks.published.number import Expected
from benchmarks.published.numbers import war_and_peace_elman


def get_config():
    """As configs/war_and_peace.py says."""
    one_layer = war_and_peace_elman.get_config()
    return dataclasses.replace(
        one_layer,
        title="War and Peace, two Elman cells of 96 units",
        keys=one_layer.keys | {"cell.layers": 2, "cell.hidden_size": 96},
        expected=Expected("about", 1.401, 0.03),
    )
