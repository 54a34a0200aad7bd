"""Cells with deeper or structured transitions."""
