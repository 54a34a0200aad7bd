"""Wrappers over any cell."""
