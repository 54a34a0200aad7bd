"""All time steps at once: each way against the step, in outputs, last state and every gradient."""

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rnnzoo
from rnnzoo.cells import chunks, selective
from rnnzoo.cells.convolution import convolved

T, ROWS, HEADS, K, V = 20, 2, 3, 4, 5  # 20 steps are chunks of 16 and of 4
E, N = 6, 3


def normal(number, *shape):
    return jax.random.normal(jax.random.key(number), shape)


def matrix_arguments(rows, heads_that_read, decays):
    q, k = (normal(i, T, *rows, heads_that_read, K) for i in range(2))
    v, S = normal(2, T, *rows, HEADS, V), normal(3, *rows, HEADS, K, V)
    return q, k, v, -jax.nn.softplus(normal(4, T, *rows, HEADS, decays)), S


def selective_arguments(rows):
    dt, v = jax.nn.softplus(normal(0, T, *rows, E)), normal(1, T, *rows, E)
    A, B, C = -jnp.exp(normal(2, E, N)), normal(3, T, *rows, N), normal(4, T, *rows, N)
    return dt, A, v, B, C, normal(5, *rows, E, N)


def matrix_steps(q, k, v, log_decay, S, previous):
    def step(S, now):
        o, S = chunks.step(*now, S, previous=previous)
        return S, o

    S, outputs = jax.lax.scan(step, S, (q, k, v, log_decay))
    return outputs, S


def selective_steps(dt, A, v, B, C, h):
    def step(h, now):
        dt, v, B, C = now
        a, b = selective.discretised(dt, A, v, B)
        h = a * h + b
        return h, selective.read(h, C)

    h, outputs = jax.lax.scan(step, h, (dt, v, B, C))
    return outputs, h


def convolution_arguments(rows):
    complexes = (normal(i, 2, *shape) for i, shape in enumerate([(E, N)] * 3 + [(*rows, E, N)]))
    a, b, C, h = (jax.lax.complex(*parts) for parts in complexes)
    return 0.9 * a / jnp.abs(a), b, C, normal(5, T, *rows, E), h


def convolution_steps(a, b, C, u, h):
    def step(h, u):
        h = a * h + b * u[..., None]
        return h, jnp.sum((C * h).real, -1)

    h, outputs = jax.lax.scan(step, h, u)
    return outputs, h


def everything(function, arguments, derivative):
    """Outputs and last state, and their derivatives by all arguments, or along them."""
    if derivative == "forward":
        return jax.jit(lambda *a: jax.jvp(function, a, a))(*arguments)

    def loss(*arguments):
        outputs, state = function(*arguments)
        return jnp.sum(jnp.sin(outputs)) + jnp.sum(jnp.cos(state)).real, (outputs, state)

    places = range(len(arguments))
    return jax.jit(jax.value_and_grad(loss, argnums=places, has_aux=True))(*arguments)


def assert_same(results, expected):
    for a, b in zip(jax.tree.leaves(results), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    "rows, derivative", [((), "backward"), ((ROWS,), "backward"), ((1,), "forward")]
)
@pytest.mark.parametrize(
    "heads_that_read, decays, previous", [(HEADS, K, False), (HEADS, K, True), (1, 1, False)]
)
def test_matrix_states(rows, derivative, heads_that_read, decays, previous):
    arguments = matrix_arguments(rows, heads_that_read, decays)
    expected = everything(lambda *a: matrix_steps(*a, previous), arguments, derivative)
    for way in (chunks.looped, chunks.chunked):
        found = everything(lambda *a, way=way: way(*a, previous=previous), arguments, derivative)
        assert_same(found, expected)


@pytest.mark.parametrize(
    "rows, derivative", [((), "backward"), ((ROWS,), "backward"), ((1,), "forward")]
)
def test_selective_states(rows, derivative):
    arguments = selective_arguments(rows)
    expected = everything(selective_steps, arguments, derivative)
    for way in (selective.looped, selective.associative):
        assert_same(everything(way, arguments, derivative), expected)


@pytest.mark.parametrize("size", [8, 32])  # blocks of 4, 8 and 8 steps, or one of 20
@pytest.mark.parametrize(
    "rows, derivative", [((), "backward"), ((ROWS,), "backward"), ((1,), "forward")]
)
def test_convolution(rows, derivative, size):
    arguments = convolution_arguments(rows)
    expected = everything(convolution_steps, arguments, derivative)
    found = everything(lambda *a: convolved(*a, size=size), arguments, derivative)
    assert_same(found, expected)


def test_a_loop_keeps_states_only_for_its_derivative():
    arguments = selective_arguments((ROWS,))
    linear = jax.make_jaxpr(lambda *a: jax.linearize(selective.looped, *a)[1])(*arguments)
    sizes = sorted((v.aval.size for v in linear.jaxpr.outvars), reverse=True)
    state = T * ROWS * E * N
    assert sizes[0] == state and sizes[1] < state


@pytest.mark.parametrize(
    "rows, decays, steps, platform, way",
    [
        ((), K, 1, "cpu", "looped"),
        ((1,), K, 1, "cpu", "looped"),
        ((2,), K, 1, "cpu", "chunked"),  # several rows share the chunks' arithmetic
        ((1,), 1, 1, "cpu", "chunked"),  # a decay per head is one quotient for all features
        ((1,), K, 2**13, "cpu", "chunked"),  # the states would not fit the cache
        ((1,), K, 1, "gpu", "chunked"),
    ],
)
def test_which_way_matrix_states_take(monkeypatch, rows, decays, steps, platform, way):
    monkeypatch.setattr(jax, "default_backend", lambda: platform)
    for name in ("looped", "chunked"):
        monkeypatch.setattr(chunks, name, lambda *_, name=name, **__: name)
    arguments = [
        jax.ShapeDtypeStruct((len(a) * steps, *a.shape[1:]), jnp.float32)
        for a in matrix_arguments(rows, HEADS, decays)[:4]
    ]
    S = jax.ShapeDtypeStruct((*rows, HEADS, K, V), jnp.float32)
    assert chunks.at_once(*arguments, S) == way


@pytest.mark.parametrize("platform", ["cpu", "gpu"])
@pytest.mark.parametrize("name", ["mamba", "hgrn2"])
def test_a_cell_is_the_same_on_all_platforms(monkeypatch, name, platform):
    xs = normal(0, T, 1, 4)

    def run(xs, strategy):
        core = rnnzoo.make(name, 8)
        return rnnzoo.unroll(core, xs, core.initial_state(1), strategy=strategy)

    model = hk.without_apply_rng(hk.transform(run))
    params = jax.jit(lambda: model.init(jax.random.key(1), xs, "plain"))()
    expected = jax.jit(lambda: model.apply(params, xs, "plain"))()
    monkeypatch.setattr(jax, "default_backend", lambda: platform)
    assert_same(jax.jit(lambda: model.apply(params, xs, "parallel"))(), expected)
