"""Every test runs in double precision, on two virtual devices, with strict broadcasting where it can."""

import json
import os

import pytest
from absl import flags
from absl.testing import flagsaver

os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=2"
)
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax

jax.config.update("jax_enable_x64", True)


@pytest.fixture
def quick_samples(monkeypatch):
    """One call is a sample, and none waits for the one before."""
    from benchmarks import timing

    monkeypatch.setattr(timing, "SAMPLE_SECONDS", 1e-9)
    monkeypatch.setattr(timing, "PAUSE_SECONDS", 0)


@pytest.fixture
def run(tmp_path, capsys):
    """Runs a benchmark's main with flags; its table and its result file."""
    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()

    def run(benchmark, **values):
        out = tmp_path / "results" / "out.json"
        with flagsaver.as_parsed(out=str(out), **{k: str(v) for k, v in values.items()}):
            benchmark.main()
        return capsys.readouterr().out, json.loads(out.read_text(encoding="utf-8"))

    return run


@pytest.fixture
def checked_losses(monkeypatch):
    """What each benchmark hands to `check_same`, as it does so."""
    from benchmarks import workloads

    losses, check_same = [], workloads.check_same

    def record(by_contender):
        losses.append({name: [float(x) for x in found] for name, found in by_contender.items()})
        check_same(by_contender)

    monkeypatch.setattr(workloads, "check_same", record)
    return losses
