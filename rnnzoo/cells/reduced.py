"""Gated cells reduced to fewer gates or products."""
