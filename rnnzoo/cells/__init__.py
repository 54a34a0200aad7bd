"""The built-in cells, one module per family; importing a family registers its cells."""

from rnnzoo.cells import (
    classic,
    continuous,
    deep,
    gated,
    gru_mutations,
    gru_variants,
    linear,
    liquid,
    lstm_memory,
    lstm_variants,
    orthogonal,
    state_space,
    wrappers,
)

__all__ = [
    "classic",
    "continuous",
    "deep",
    "gated",
    "gru_mutations",
    "gru_variants",
    "linear",
    "liquid",
    "lstm_memory",
    "lstm_variants",
    "orthogonal",
    "state_space",
    "wrappers",
]
