"""War and Peace by an LSTM of 64 units: 1.449 nats on the test text, Karpathy, Johnson and Li (2015).

    python -m benchmarks.published --numbers=war_and_peace

The text has to be cut, see configs/war_and_peace.py, and is given by --path.
"""

from benchmarks.published.number import Expected, OfText


def get_config():
    """As configs/war_and_peace.py has it."""
    return OfText(
        title="War and Peace, an LSTM of 64 units",
        source="karpathy2015visualizing",
        config="war_and_peace",
        expected=Expected("about", 1.449, 0.03),
        part="test",
    )
