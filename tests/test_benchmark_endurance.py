import pytest

from benchmarks import endurance


def test_nothing_grows_in_a_short_run(run_benchmark, tmp_path):
    table, result = run_benchmark(endurance, updates=10_000, every=0.2)
    rows = result["rows"]
    assert "10,000 updates" in table
    assert (tmp_path / "results/out.png").read_bytes().startswith(b"\x89PNG")
    assert rows[-1]["updates"] == 10_000
    half = rows[len(rows) // 2 :]
    assert max(r["resident_bytes"] for r in half) < 1.3 * half[0]["resident_bytes"]
    assert max(r["open_files"] for r in half) < 40
    assert 0 < rows[-1]["checkpoints_bytes"] < 200_000


def test_a_training_that_fails_is_said(monkeypatch):
    monkeypatch.setattr(endurance, "TRUNCATION", 0)
    with pytest.raises(RuntimeError, match=r"train\.truncation must be at least 1"):
        endurance.measure(endurance.PIECES, 0.1)
