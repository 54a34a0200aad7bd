"""Published numbers, met or not, with three seeds each; `python -m benchmarks.published`."""
