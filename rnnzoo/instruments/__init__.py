"""Instruments: what a trained recurrent network does inside, measured on a text.

* `inside`: every hidden unit and gate, character by character
* `gates`: which of a cell's numbers are gates, and how saturated they are
* `probes`: which units tell what, such as being inside a quotation
* `memory`: how far back gradients, and what was read, reach
"""

from rnnzoo.instruments.inside import Inside, Signal, look_inside

__all__ = ["Inside", "Signal", "look_inside"]
