"""Bits of random labels that a parameter holds: Collins, Sohl-Dickstein and Sussillo (2017).

    python -m benchmarks.published --numbers=capacity

About 5 bits for each parameter, nearly the same in all cells, with the data set's size and twenty
other settings chosen for each cell by a search of thousands of trainings. Here they are the best of
some twenty for an Elman cell, and the same for all; `capacity_gated` and `capacity_lstm` have what
cells with gates want.
"""

from benchmarks.published.number import Expected, OfTask, TaskModel

FIVE = Expected("about", 5, 0.2)


def get_config():
    """About 3,400 parameters each, and nearly 5 labels for each of them."""
    return OfTask(
        title="Bits that a parameter holds",
        source="collins2017capacity",
        task="capacity",
        options={"examples": 16600, "width": 40},
        measured="bits_per_parameter",
        models=[
            TaskModel("elman", FIVE, hidden_size=40),
            TaskModel("gru", FIVE, hidden_size=19),
            TaskModel("lstm", FIVE, hidden_size=15),
            TaskModel("ugrnn", FIVE, hidden_size=25),
            TaskModel("mgu", FIVE, hidden_size=25),
        ],
        hidden_size=40,
        batch_size=512,
        updates=80000,
        learning_rate=1e-2,
        train_lengths=(3, 3),
    )
