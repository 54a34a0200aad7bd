"""War and Peace by an Elman cell of 141 units: 1.446 nats, Karpathy, Johnson and Li (2015).

    python -m benchmarks.published --numbers=war_and_peace_elman

As many parameters as the LSTM of `war_and_peace`; the same text.
"""

from benchmarks.published.number import Expected, OfText


def get_config():
    """As configs/war_and_peace.py says."""
    return OfText(
        title="War and Peace, an Elman cell of 141 units",
        source="karpathy2015visualizing",
        config="war_and_peace",
        keys={"cell.name": "elman", "cell.hidden_size": 141},
        expected=Expected("about", 1.446, 0.03),
        part="test",
    )
