"""Bits of random labels that a parameter holds: Collins, Sohl-Dickstein and Sussillo (2017).

    python -m benchmarks.published --numbers=capacity

About 5 bits for each parameter, nearly the same in all cells, with the data set's size and twenty
other settings chosen by a search of thousands of trainings. Here they are guesses: see
docs/published.md.
"""

from benchmarks.published.number import Expected, Model, OfTask

FIVE = Expected("about", 5, 0.2)


def get_config():
    """About 500 parameters each, and 2,500 labels of sequences no longer than they must be."""
    return OfTask(
        title="Bits that a parameter holds",
        source="collins2017capacity",
        task="capacity",
        options={"examples": 2500},
        measured="bits_per_parameter",
        models=[
            Model("elman", FIVE, hidden_size=20),
            Model("gru", FIVE, hidden_size=12),
            Model("lstm", FIVE, hidden_size=10),
            Model("ugrnn", FIVE, hidden_size=14),
            Model("mgu", FIVE, hidden_size=14),
        ],
        hidden_size=16,
        batch_size=512,
        updates=40000,
        learning_rate=1e-2,
        train_lengths=(12, 12),
    )
