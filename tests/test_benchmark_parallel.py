import haiku as hk
import jax
import numpy as np
import pytest

import rnnzoo
from benchmarks import parallel
from rnnzoo.errors import UserError
from rnnzoo.unroll import unroll


def test_both_ways_are_timed(tiny_benchmarks, run_benchmark):
    sizes = {"sequence_lengths": "4,20", "hidden_size": 8, "batch_size": "2", "rounds": 1}
    table, result = run_benchmark(parallel, cells="mingru", **sizes)
    rows = result["rows"]
    assert len(rows) == 2 * 2 * 2
    assert {row["cell"] for row in rows} == {"mingru"} and "mingru" in table
    loops = [row for row in rows if row["strategy"] == "deferred"]
    assert all(row["times_loop"] == 1 and row["median_seconds"] > 0 for row in loops)


def test_a_cell_without_a_parallel_form_is_refused():
    assert "gru" not in parallel.parallel_cells()
    with pytest.raises(UserError, match="--cells=gru: this benchmark cannot run it: did you mean"):
        parallel.measure(["gru"], [4], 8, [1], 1)


def test_auto_takes_the_parallel_form_of_matrix_states_only(monkeypatch):
    class Both:
        prefers_parallel = False

        def __call__(self, x, h):
            return x, h

        def parallel(self, xs, h):
            return xs + 1, h

    xs = jax.numpy.zeros((32, 2))
    assert unroll(Both(), xs, xs[0])[0][0, 0] == 0
    monkeypatch.setattr(Both, "prefers_parallel", True)
    assert unroll(Both(), xs, xs[0])[0][0, 0] == 1
    assert unroll(Both(), xs[:8], xs[0])[0][0, 0] == 0
    monkeypatch.setattr(Both, "prefers_parallel", False)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert unroll(Both(), xs, xs[0])[0][0, 0] == 1


def test_the_parallel_form_does_not_mind_a_random_key():
    xs = jax.random.normal(jax.random.key(0), (32, 2, 8))

    def run(xs, strategy):
        core = rnnzoo.make("deltanet", 8)
        return unroll(core, xs, core.initial_state(2), strategy=strategy)

    model = hk.transform(run)
    params = model.init(jax.random.key(1), xs, "auto")
    outputs, expected = (model.apply(params, jax.random.key(2), xs, s) for s in ("auto", "plain"))
    for a, b in zip(jax.tree.leaves(outputs), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-12)
