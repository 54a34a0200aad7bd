"""Every test runs in double precision, on two virtual devices, with strict broadcasting where it can."""

import atexit
import itertools
import json
import os
import pathlib
import shutil
import signal
import tempfile

# Most of the tests' time is that of the compiler; a level that is given comes last, and so counts.
os.environ["XLA_FLAGS"] = (
    "--xla_backend_optimization_level=0 "
    + os.environ.get("XLA_FLAGS", "")
    + " --xla_force_host_platform_device_count=2"
)
os.environ.setdefault("JAX_PLATFORMS", "cpu")
if "RNNZOO_CACHE" not in os.environ:  # shared with the workers and programs that tests start
    os.environ["RNNZOO_CACHE"] = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, os.environ["RNNZOO_CACHE"], ignore_errors=True)

# A script that starts the tests in the background lets them, and what they start, ignore Ctrl-C.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

import jax
import pytest
from absl import flags
from absl.testing import flagsaver

jax.config.update("jax_enable_x64", True)
jax.devices()  # now, or the first training would make as many as its own config says


MAPPINGS = pathlib.Path("/proc/self/maps")
MOST_MAPPINGS = 20_000
TESTS_RUN = itertools.count()


@pytest.fixture(autouse=True)
def few_compiled_functions():
    """Lets go of compiled functions in time: Linux gives a process 65,530 mappings.

    XLA takes several for each function, and crashes where it gets no more. To count them takes a while.
    """
    yield
    if next(TESTS_RUN) % 10 or not MAPPINGS.exists():
        return
    if MAPPINGS.read_bytes().count(b"\n") > MOST_MAPPINGS:
        jax.clear_caches()


@pytest.fixture(scope="session")
def made_before():
    """Models and optimisers by what they were made from."""
    return {}


@pytest.fixture
def compiled_once(monkeypatch, made_before):
    """Trainings of the same model and optimiser share their compiled functions."""
    from rnnzoo import optimizers, runs

    def remembered(make, key):
        def call(*args, **kwargs):
            wanted = key(*args, **kwargs)
            if wanted not in made_before:
                made_before[wanted] = make(*args, **kwargs)
            return made_before[wanted]

        return call

    def of_model(config, V):
        return "model", V, repr((config.cell, config.model, config.train.batch_size))

    monkeypatch.setattr(runs, "make_model", remembered(runs.make_model, of_model))
    monkeypatch.setattr(
        optimizers,
        "make",
        remembered(optimizers.make, lambda *a, **k: repr((a, sorted(k.items())))),
    )


@pytest.fixture(scope="module")
def tiny_benchmarks():
    """One call is a sample, none waits for the one before, and the limits are of tiny products."""
    from benchmarks import limits, timing

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timing, "SAMPLE_SECONDS", 1e-9)
        patch.setattr(timing, "PAUSE_SECONDS", 0)
        tiny = {"LARGE": 8, "IN_LOOP": 4, "MATRICES": (4, 8), "MEMORY": 16, "LAYER": 2}
        for name, value in (tiny | {"CALL_FLOPS": 2**10, "CALL_BYTES": 2**10}).items():
            patch.setattr(limits, name, value)
        yield


@pytest.fixture
def run_benchmark(tmp_path, capsys):
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


@pytest.fixture(scope="module")
def browser():
    """Chromium, without a window, and without a word to its maker; skipped where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api")
    names = ("chromium", "chromium-browser", "google-chrome")
    chromium = next(filter(None, map(shutil.which, names)), None)
    if chromium is None:
        pytest.skip("there is no Chromium to show the page")
    quiet = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync "
    quiet += "--disable-background-networking --disable-component-update"
    with sync_api.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=chromium, args=quiet.split())
        yield browser
        browser.close()
