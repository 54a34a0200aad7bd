"""Copy memory at T = 1,000: Bai, Kolter and Koltun (2018), table 1.

    python -m benchmarks.published --numbers=copy

With about 16,000 parameters they have LSTM 0.0204, and that is what can be had without any memory,
10 ln 8 / 1020.
"""

from benchmarks.published.number import Expected, OfTask, TaskModel


def get_config():
    """An LSTM of 17,650 parameters."""
    return OfTask(
        title="Copy memory at T = 1,000",
        source="bai2018empirical",
        task="copy",
        measured="loss",
        models=[TaskModel("lstm", Expected("about", 0.0204, 0.05))],
        hidden_size=60,
        batch_size=8,
        updates=1000,
        learning_rate=1e-2,
        train_lengths=(1000, 1000),
    )
