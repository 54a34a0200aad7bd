"""Every registered cell, by the command that a person types; for minutes:

python -m pytest -m slow -n 2 tests/test_every_cell_trains.py
"""

import json
import math
import pathlib
import subprocess
import sys

import pytest

from rnnzoo import registry

ROOT = pathlib.Path(__file__).parents[1]
FEW = ("--config.train.epochs=20", "--config.train.max_subsequence_length=256")


@pytest.mark.slow
@pytest.mark.parametrize("name", registry.names())
def test_it_trains(name, tmp_path):
    words = ["--config=configs/quickstart.py", f"--config.cell.name={name}", *FEW]
    command = [sys.executable, "-m", "rnnzoo.main", *words, f"--workdir={tmp_path / 'run'}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    rows = [json.loads(x) for x in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    losses = [row["loss"] for row in rows]
    assert len(losses) == 20 and all(map(math.isfinite, losses))
    assert losses[-1] < losses[0] - 0.8  # of some 4.5 nats, a uniform guess
