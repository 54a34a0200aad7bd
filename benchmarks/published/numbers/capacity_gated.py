"""Bits of random labels that a parameter of a gated cell holds: Collins et al. (2017).

    python -m benchmarks.published --numbers=capacity_gated

Cells with gates come to what `capacity` expects with four times its parameters, half its learning
rate and more updates. The reset gate stands before the product, as Cho et al. (2014) have it.
"""

import dataclasses

from benchmarks.published.number import TaskModel
from benchmarks.published.numbers import capacity


def get_config():
    """About 12,200 parameters each, and 4.6 labels for each of them."""
    return dataclasses.replace(
        capacity.get_config(),
        title="Bits that a parameter holds in cells with gates",
        options={"examples": 56000, "width": 60},
        models=[
            TaskModel("gru", capacity.FIVE, {"reset": "before"}, hidden_size=40),
            TaskModel("ugrnn", capacity.FIVE),
            TaskModel("mgu", capacity.FIVE),
        ],
        hidden_size=53,
        updates=280000,
        learning_rate=5e-3,
    )
