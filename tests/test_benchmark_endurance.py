import sys

import pytest

from benchmarks import endurance


def test_nothing_grows_in_a_short_run(run_benchmark, tmp_path):
    table, result = run_benchmark(endurance, updates=8_000, every=0.1)
    rows = result["rows"]
    assert "8,000 updates" in table
    assert (tmp_path / "results/out.png").read_bytes().startswith(b"\x89PNG")
    assert rows[-1]["updates"] == 8_000
    half = rows[len(rows) // 2 :]
    assert max(r["resident_bytes"] for r in half) < 1.3 * half[0]["resident_bytes"]
    assert max(r["open_files"] for r in half) < 40
    assert 0 < rows[-1]["checkpoints_bytes"] < 200_000


def test_a_training_that_fails_is_said(monkeypatch):
    monkeypatch.setattr(
        endurance, "command", lambda *_: [sys.executable, "-c", "raise SystemExit('no config')"]
    )
    with pytest.raises(RuntimeError, match="ended with code 1: no config"):
        endurance.measure(endurance.PIECES, 0.1)
