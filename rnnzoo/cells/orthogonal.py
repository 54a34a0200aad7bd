"""Cells with orthogonal or independent recurrent weights."""
