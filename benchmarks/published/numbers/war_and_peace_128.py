"""War and Peace by an LSTM of 128 units: 1.277 nats, Karpathy, Johnson and Li (2015).

    python -m benchmarks.published --numbers=war_and_peace_128

The second of the paper's four sizes, of one layer.
"""

from benchmarks.published.number import Expected, OfText


def get_config():
    """As configs/war_and_peace.py says."""
    return OfText(
        title="War and Peace, an LSTM of 128 units",
        source="karpathy2015visualizing",
        config="war_and_peace",
        keys={"cell.hidden_size": 128},
        expected=Expected("about", 1.277, 0.03),
        part="test",
    )
