"""Selective state-space cells."""
