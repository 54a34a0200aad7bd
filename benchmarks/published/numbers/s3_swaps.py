"""S3 by swaps alone to length 256, trained on lengths up to 40: Grazzi et al. (2025).

    python -m benchmarks.published --numbers=s3_swaps

Every move swaps two of the three things, or none: one reflection, which DeltaNet has for β near 2.
"""

from benchmarks.published.number import OfTask, TaskModel
from benchmarks.published.numbers.parity import CANNOT
from benchmarks.published.numbers.s3 import SOLVES


def get_config():
    """One layer, the answer to every prefix."""
    return OfTask(
        title="S3 by swaps alone up to length 256, trained on 1 to 40",
        source="grazzi2025unlocking",
        task="word_problem",
        options={"group": "S3", "moved": 2},
        measured="scaled_accuracy",
        models=[
            TaskModel("deltanet", SOLVES, {"allow_negative_eigenvalues": True}),
            TaskModel("deltanet", CANNOT),
        ],
        hidden_size=64,
        embedding_size=64,
        updates=1000,
        learning_rate=1e-2,
        train_lengths=(1, 40),
        test_lengths=(40, 256),
    )
