"""War and Peace by networks of Karpathy, Johnson and Li (2015): 1.277 to 1.540 nats on the test text.

    python -m benchmarks.published --numbers=war_and_peace

The whole first row of their table, in which all have as many parameters as an LSTM of 64 units: three
cells by one to three layers. And from the second row, an LSTM of 128 units. The text has to be cut, see
configs/war_and_peace.py, and is given by --path.
"""

from benchmarks.published.number import Expected, OfText, TextModel

CELLS = {
    "lstm": {"cell.name": "lstm"},
    "elman": {"cell.name": "elman"},
    "gru": {"cell.name": "gru", "cell.options.reset": "before"},
}
NETWORKS = (  # cell, layers, units, nats in the paper
    ("lstm", 1, 64, 1.449),
    ("lstm", 2, 45, 1.442),
    ("lstm", 3, 37, 1.540),
    ("elman", 1, 141, 1.446),
    ("elman", 2, 96, 1.401),
    ("elman", 3, 78, 1.396),
    ("gru", 1, 77, 1.398),
    ("gru", 2, 53, 1.373),
    ("gru", 3, 44, 1.472),
    ("lstm", 1, 128, 1.277),
)


def get_config():
    """As configs/war_and_peace.py has it, but for the network."""
    return OfText(
        title="War and Peace, networks by cell, depth and size",
        source="karpathy2015visualizing",
        models=[
            TextModel(
                "war_and_peace",
                Expected("about", nats, 0.03),
                CELLS[cell] | {"cell.layers": layers, "cell.hidden_size": units},
            )
            for cell, layers, units, nats in NETWORKS
        ],
        part="test",
    )
