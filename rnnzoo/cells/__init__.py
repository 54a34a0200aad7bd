"""The built-in cells, one module per family; importing a family registers its cells."""

from rnnzoo.cells import (
    bistable,
    classic,
    continuous,
    deep,
    delta_rule,
    gated,
    gru_variants,
    linear,
    linear_attention,
    lstm_variants,
    orthogonal,
    reduced,
    selective,
    state_space,
    strongly_typed,
    wrappers,
)

__all__ = [
    "bistable",
    "classic",
    "continuous",
    "deep",
    "delta_rule",
    "gated",
    "gru_variants",
    "linear",
    "linear_attention",
    "lstm_variants",
    "orthogonal",
    "reduced",
    "selective",
    "state_space",
    "strongly_typed",
    "wrappers",
]
