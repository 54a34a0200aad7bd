"""The exercise's second part: two Elman networks, one on top of the other.

    python -m rnnzoo.main --config=configs/santa_stacked.py

The upper one reads the lower one's new state; --config.cell.options.delayed=True gives it the
previous one instead, as the exercise prints the equation.
"""

import pathlib
import runpy

SANTA = pathlib.Path(__file__).with_name("santa.py")


def get_config():
    """As configs/santa.py, but for the cell."""
    config = runpy.run_path(str(SANTA))["get_config"]()
    config.cell.name = "stacked_elman"
    return config
