"""The exercise with a gated cell.

python -m rnnzoo.main --config=configs/santa_gru.py
"""

import pathlib

from rnnzoo.config import load


def get_config():
    """As configs/santa.py, but for the cell."""
    config = load(pathlib.Path(__file__).with_name("santa.py"))
    config.cell.name = "gru"
    return config
