"""What the range of β does to DeltaNet on parity: Grazzi et al. (2025).

    python -m benchmarks.published --numbers=parity_deltanet

They have 0.017 in scaled accuracy with β in (0, 1), and 1.000 in (0, 2). The setting is that of
`parity` but for a learning rate twice as high: the state turns by 1 - β, whose limit -1 is what lasts
for 256 bits, and β comes near 2 the sooner.
"""

import dataclasses

from benchmarks.published.number import TaskModel
from benchmarks.published.numbers import parity


def get_config():
    """Both ranges."""
    return dataclasses.replace(
        parity.get_config(),
        title="Parity, and the range of β",
        models=[
            TaskModel("deltanet", parity.SOLVES, {"allow_negative_eigenvalues": True}),
            TaskModel("deltanet", parity.CANNOT),
        ],
        learning_rate=1e-2,
    )
