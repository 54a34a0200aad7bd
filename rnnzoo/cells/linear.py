"""Cells that are linear over time."""
