"""A GRU on the help texts inside Python itself: no network, no file, under a minute.

python -m rnnzoo.main --config=configs/quickstart.py
"""

from rnnzoo.config import default_config


def get_config():
    """The defaults are the quickstart."""
    return default_config()
