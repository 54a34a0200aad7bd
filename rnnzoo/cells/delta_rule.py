"""Cells with the delta rule."""
