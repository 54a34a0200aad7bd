"""Bits of random labels that a parameter of an LSTM holds: Collins et al. (2017).

    python -m benchmarks.published --numbers=capacity_lstm

The slowest of them to learn by heart: with more parameters and updates than `capacity_gated`, and
twice its learning rate.
"""

import dataclasses

from benchmarks.published.number import TaskModel
from benchmarks.published.numbers import capacity


def get_config():
    """About 21,000 parameters, and 4.5 labels for each of them."""
    return dataclasses.replace(
        capacity.get_config(),
        title="Bits that a parameter holds in an LSTM",
        options={"examples": 95000, "width": 60},
        models=[TaskModel("lstm", capacity.FIVE)],
        hidden_size=48,
        updates=480000,
    )
