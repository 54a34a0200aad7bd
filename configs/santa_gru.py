"""The exercise with a gated cell.

    python -m rnnzoo.main --config=configs/santa_gru.py
"""

import pathlib
import runpy

SANTA = pathlib.Path(__file__).with_name("santa.py")


def get_config():
    """As configs/santa.py, but for the cell."""
    config = runpy.run_path(str(SANTA))["get_config"]()
    config.cell.name = "gru"
    return config
