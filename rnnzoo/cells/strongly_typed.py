"""Strongly-typed cells."""
