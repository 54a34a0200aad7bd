"""Bistable cells."""
