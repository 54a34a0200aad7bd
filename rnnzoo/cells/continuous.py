"""Cells from differential equations."""
