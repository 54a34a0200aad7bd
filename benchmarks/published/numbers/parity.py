"""Parity to length 256, trained on lengths up to 40: Grazzi et al. (2025).

    python -m benchmarks.published --numbers=parity

They have, in scaled accuracy, mLSTM 0.087, sLSTM 1.000, and DeltaNet 0.017 with β in (0, 1), but
1.000 with β in (0, 2). A linear cell whose eigenvalues are all positive cannot, they prove.
"""

from benchmarks.published.number import Expected, OfTask, TaskModel

SOLVES, CANNOT = Expected("at least", 0.99), Expected("at most", 0.2)


def get_config():
    """One layer, the answer to the whole word."""
    return OfTask(
        title="Parity up to length 256, trained on 1 to 40",
        source="grazzi2025unlocking",
        task="parity",
        measured="scaled_accuracy",
        models=[
            *(TaskModel(cell, SOLVES) for cell in ("elman", "lstm", "gru", "slstm")),
            *(TaskModel(cell, CANNOT) for cell in ("mingru", "lru", "mamba", "gla", "mlstm")),
            TaskModel("deltanet", CANNOT),
            TaskModel("deltanet", SOLVES, {"allow_negative_eigenvalues": True}),
        ],
        hidden_size=64,
        embedding_size=64,
        updates=1000,
        learning_rate=5e-3,
        train_lengths=(1, 40),
        test_lengths=(40, 256),
    )
