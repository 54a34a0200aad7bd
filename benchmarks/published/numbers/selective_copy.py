"""Selective copying by one to three layers of minGRU: Feng et al. (2024).

    python -m benchmarks.published --numbers=selective_copy

They have 37.0, 96.8 and 99.5 % with one, two and three layers, at a length of 4,096 with 16
symbols of a vocabulary of 16. Ours are 64 steps, 4 symbols, and a vocabulary of 6.
"""

from benchmarks.published.number import Expected, OfTask, TaskModel


def get_config():
    """Layers of 64 units; what has more than one of them solves it."""
    return OfTask(
        title="Selective copying of 4 symbols among 64",
        source="feng2024were",
        task="selective_copy",
        measured="accuracy",
        models=[
            TaskModel("mingru", Expected("at most", 0.9), layers=1),
            TaskModel("mingru", Expected("at least", 0.968), layers=2),
            TaskModel("mingru", Expected("at least", 0.995), layers=3),
        ],
        hidden_size=64,
        updates=2000,
        learning_rate=1e-2,
    )
