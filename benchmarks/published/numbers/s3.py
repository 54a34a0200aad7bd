"""The word problem of S3 to length 256, trained on lengths up to 40: Grazzi et al. (2025).

    python -m benchmarks.published --numbers=s3

Cells with a nonlinear recurrence track the state, linear ones with positive eigenvalues do not.
DeltaNet with β in (0, 2) turns the state by one reflection at each step; a cycle of three things is
two, so that one layer of it cannot either, see `s3_swaps`.
"""

from benchmarks.published.number import Expected, OfTask, TaskModel
from benchmarks.published.numbers.parity import CANNOT

SOLVES = Expected("at least", 0.98)


def get_config():
    """One layer, the answer to every prefix."""
    return OfTask(
        title="The word problem of S3 up to length 256, trained on 1 to 40",
        source="grazzi2025unlocking",
        task="word_problem",
        options={"group": "S3"},
        measured="scaled_accuracy",
        models=[
            *(TaskModel(cell, SOLVES) for cell in ("elman", "lstm", "gru", "slstm")),
            *(TaskModel(cell, CANNOT) for cell in ("mingru", "deltanet", "mlstm", "lru", "gla")),
            TaskModel("mamba", CANNOT, hidden_size=32),
        ],
        hidden_size=64,
        embedding_size=64,
        updates=1000,
        learning_rate=1e-2,
        train_lengths=(1, 40),
        test_lengths=(40, 256),
    )
