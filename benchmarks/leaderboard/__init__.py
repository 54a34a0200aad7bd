"""The leaderboard: cells × tasks × seeds at matched parameters; `python -m benchmarks.leaderboard`."""
