"""Every way to unroll against the obvious Python loop: outputs, final state, every gradient."""

import functools

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, PartitionSpec

import rnnzoo
from rnnzoo.errors import UserError
from rnnzoo.unroll import product
from rnnzoo.unroll.chunked import _chunk_size

T, B, D, H = 7, 3, 4, 5  # 7 steps are chunks of 2, 2, 2 and 1


class Tied(hk.RNNCore):
    """One weight used twice in a step, a raw parameter, a peephole, a layer norm, pytrees everywhere."""

    def __call__(self, inputs, state):
        w = hk.get_parameter("w", (H, H), init=hk.initializers.RandomNormal(0.5))
        peephole = hk.get_parameter("p", (H,), init=hk.initializers.RandomNormal(0.5))
        u = hk.Linear(H)(inputs["x"])
        h, c, seen = state["h"], state["c"], state["seen"]
        c = jnp.tanh(h @ w + jnp.tanh(c @ w.T) + peephole * c + u * inputs["gain"])
        h = hk.LayerNorm(-1, True, True)(c @ w) + seen.mean(-1, keepdims=True)
        output = {"h": h, "readout": hk.Linear(2)(h), "count": state["count"]}
        return output, {"h": h, "c": c, "seen": inputs["x"], "count": state["count"] + 1}

    def initial_state(self, batch_size):
        zeros = jnp.zeros((H,) if batch_size is None else (batch_size, H))
        seen = jnp.zeros((D,) if batch_size is None else (batch_size, D))
        return {"h": zeros, "c": zeros, "seen": seen, "count": jnp.zeros((), int)}


class Matrix(hk.RNNCore):
    """A matrix state, written by an outer product and read by a query (linear attention)."""

    def __call__(self, x, S):
        q, k, v = (hk.Linear(H)(x) for _ in range(3))
        S = jax.nn.sigmoid(hk.Linear(H)(x))[..., None] * S + k[..., :, None] * v[..., None, :]
        return jnp.tanh((q[..., :, None] * S).sum(-2)), S

    def initial_state(self, batch_size):
        return jnp.zeros((H, H) if batch_size is None else (batch_size, H, H))


class Decaying(Matrix):
    """A matrix state of which each number decays at a rate of its own."""

    def __call__(self, x, S):
        q, k, d = (hk.Linear(H)(x) for _ in range(3))
        A = jnp.exp(jnp.broadcast_to(hk.get_parameter("A", (H, 1), init=jnp.ones), S.shape))
        S = jnp.exp(-A * jax.nn.softplus(d)[..., None, :]) * S + k[..., :, None] * q[..., None, :]
        return jnp.tanh((q[..., :, None] * S).sum(-2)), S


class Noisy(hk.RNNCore):
    """Draws random numbers at every step."""

    def __call__(self, x, h):
        h = jnp.tanh(hk.Linear(H)(x) + hk.Linear(H)(h) * hk.dropout(hk.next_rng_key(), 0.5, h))
        return h, h

    def initial_state(self, batch_size):
        return jnp.zeros((H,) if batch_size is None else (batch_size, H))


class SeparateGates(hk.RNNCore):
    """Gates that are layers of their own, of several sizes, and one that reads something else."""

    def __call__(self, x, h):
        f, i = (jax.nn.sigmoid(hk.Linear(H)(x) + hk.Linear(H)(h)) for _ in range(2))
        s = hk.Linear(1)(h)
        h = f * h + i * jnp.tanh(hk.Linear(H)(f * h) + s)
        return h[..., :2], h

    def initial_state(self, batch_size):
        return jnp.zeros((H,) if batch_size is None else (batch_size, H))


class Normalised(hk.RNNCore):
    """Gates that are cut out of layer norms, of the inputs and of the state."""

    def __call__(self, x, h):
        norm = lambda x: hk.LayerNorm(-1, True, True)(hk.Linear(2 * H)(x))  # noqa: E731
        f, g = jnp.split(norm(x) + norm(h), 2, axis=-1)
        first, second = jnp.split(x, 2, axis=-1)
        h = jax.nn.sigmoid(f) * h + jnp.tanh(g) * (first * second).sum(-1, keepdims=True)
        return h, h

    def initial_state(self, batch_size):
        return jnp.zeros((H,) if batch_size is None else (batch_size, H))


CORES = {
    **{n: functools.partial(rnnzoo.make, n, H) for n in ("elman", "stacked_elman", "gru", "lstm")},
    "gru before": lambda: rnnzoo.make("gru", H, reset="before"),
    "stacked_elman delayed": lambda: rnnzoo.make("stacked_elman", H, delayed=True),
    "elman, gru": lambda: rnnzoo.make(["elman", "gru"], H),
    "hk.VanillaRNN": lambda: hk.VanillaRNN(H),
    "hk.GRU": lambda: hk.GRU(H),
    "hk.LSTM": lambda: hk.LSTM(H),
    "hk.DeepRNN": lambda: hk.DeepRNN([hk.LSTM(H), jnp.tanh, hk.Linear(3), hk.GRU(H)]),
    "skip connections": lambda: hk.deep_rnn_with_skip_connections([hk.LSTM(H), hk.GRU(3)]),
    "hk.ResetCore": lambda: hk.ResetCore(hk.LSTM(H)),
    "hk.IdentityCore": hk.IdentityCore,
    "tied": Tied,
    "matrix": Matrix,
    "decaying": Decaying,
    "noisy": Noisy,
    "separate gates": SeparateGates,
    "normalised": Normalised,
}


def inputs_for(name, batch, length=T):
    shape = (length,) if batch is None else (length, batch)
    x = jax.random.normal(jax.random.key(0), (*shape, D))
    if name == "hk.ResetCore":
        return x, jax.random.bernoulli(jax.random.key(1), 0.3, shape)
    return {"x": x, "gain": jnp.linspace(0.5, 1.5, length)} if name == "tied" else x


def build(make_core, batch, **options):
    """init and apply of: inputs -> outputs and final state, from a state that is not zero."""

    def run(inputs):
        core = make_core()
        state = core.initial_state(batch)
        state = jax.tree.map(lambda a: a + jnp.asarray(0.1).astype(a.dtype), state)
        return rnnzoo.unroll(core, inputs, state, **options)

    return hk.transform(run)


def loss_of(apply, inputs):
    """A function of the parameters and the inputs that every output and state number counts in."""
    leaves, structure = jax.tree.flatten(inputs)
    moving = [a for a in leaves if jnp.issubdtype(a.dtype, jnp.floating)]

    def loss(params, moving):
        rest = iter(moving)
        full = [next(rest) if jnp.issubdtype(a.dtype, jnp.floating) else a for a in leaves]
        results = apply(params, jax.random.key(2), jax.tree.unflatten(structure, full))
        floats = [a for a in jax.tree.leaves(results) if jnp.issubdtype(a.dtype, jnp.floating)]
        return sum(jnp.sum(jnp.sin(a + i)) for i, a in enumerate(floats)), results

    return loss, moving


def assert_same(actual, expected, tolerance=1e-12):
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def value_and_gradients(name, strategy, batch=B, **options):
    """Outputs, states and the gradients of parameters and inputs."""
    inputs = inputs_for(name, batch)
    model = build(CORES[name], batch, strategy=strategy, **options)
    params = model.init(jax.random.key(3), inputs)
    params = jax.tree.map(lambda a: a.astype(float) + 0.05, params)
    loss, moving = loss_of(model.apply, inputs)
    return jax.jit(jax.value_and_grad(loss, (0, 1), has_aux=True))(params, moving)


@pytest.mark.parametrize("name", CORES)
def test_deferred_equals_the_python_loop(name):
    assert_same(value_and_gradients(name, "deferred"), value_and_gradients(name, "python"))


@pytest.mark.parametrize("strategy", ["deferred", "chunked", "plain"])
@pytest.mark.parametrize("name", ["lstm", "stacked_elman delayed", "tied"])
def test_without_a_batch_in_reverse_with_all_states(name, strategy):
    options = {"batch": None, "reverse": True, "return_all_states": True}
    expected = value_and_gradients(name, "python", **options)
    assert_same(value_and_gradients(name, strategy, **options), expected)


@pytest.mark.parametrize("batch", [None, 1])
@pytest.mark.parametrize("name", ["lstm", "separate gates"])
def test_a_single_row_reads_a_large_weight_in_parts(name, batch, monkeypatch):
    expected = value_and_gradients(name, "python", batch)
    monkeypatch.setattr(product, "ONE_CORE", 0)
    monkeypatch.setattr(product, "PARTS", 5)  # divides H
    assert_same(value_and_gradients(name, "deferred", batch), expected)


@pytest.mark.parametrize("name", ["hk.ResetCore", "noisy", "matrix"])
def test_chunked_equals_deferred(name):
    assert_same(value_and_gradients(name, "chunked"), value_and_gradients(name, "deferred"))


@pytest.mark.parametrize("name", ["hk.GRU", "hk.LSTM", "hk.DeepRNN"])
def test_is_a_drop_in_for_dynamic_unroll(name):
    inputs = inputs_for(name, B)
    for options in ({}, {"time_major": False}, {"reverse": True}, {"return_all_states": True}):

        def run(unroll, inputs, options=options):
            core = CORES[name]()
            batch = inputs.shape[1 if options.get("time_major", True) else 0]
            return unroll(core, inputs, core.initial_state(batch), **options)

        theirs = hk.transform(functools.partial(run, hk.dynamic_unroll))
        ours = hk.transform(functools.partial(run, rnnzoo.unroll))
        params = theirs.init(jax.random.key(0), inputs)
        assert_same(ours.init(jax.random.key(0), inputs), params, 0)
        assert_same(ours.apply(params, None, inputs), theirs.apply(params, None, inputs))


def elman_loss(strategy="auto", length=T):
    """The loss of an Elman cell as a function of its parameters, and parameters."""
    inputs = inputs_for("elman", B, length)
    model = build(CORES["elman"], B, strategy=strategy)
    params = model.init(jax.random.key(0), inputs)
    loss, moving = loss_of(model.apply, inputs)
    return lambda params: loss(params, moving)[0], params


def test_one_step():
    loss, params = elman_loss(length=1)
    expected, _ = elman_loss("python", length=1)
    assert_same(jax.grad(loss)(params), jax.grad(expected)(params))


def test_forward_mode_and_second_derivatives():
    (loss, params), (expected, _) = elman_loss(), elman_loss("plain")
    for derivative in (jax.jacfwd, lambda f: jax.jacfwd(jax.grad(f)), jax.hessian):
        actual = derivative(lambda w: loss(params | {"elman/W": w}))(params["elman/W"])
        assert_same(
            actual, derivative(lambda w: expected(params | {"elman/W": w}))(params["elman/W"])
        )


def test_gradient_of_a_gradient_penalty():
    (loss, params), (expected, _) = elman_loss(), elman_loss("plain")

    def penalty(f):
        return lambda p: sum(jnp.sum(g**2) for g in jax.tree.leaves(jax.grad(f)(p)))

    assert_same(jax.grad(penalty(loss))(params), jax.grad(penalty(expected))(params))


def test_gradient_of_the_initial_state_alone():
    def loss(h, strategy):
        def run(x):
            return rnnzoo.unroll(rnnzoo.make("gru", H), x, h, strategy=strategy)

        model = hk.transform(run)
        params = model.init(jax.random.key(0), inputs_for("gru", B))
        return jnp.sum(jnp.sin(model.apply(params, None, inputs_for("gru", B))[0]))

    h = jnp.ones((B, H))
    assert_same(jax.grad(loss)(h, "deferred"), jax.grad(loss)(h, "plain"))


def test_vmap_over_seeds():
    loss, _ = elman_loss()
    inputs = inputs_for("elman", B)
    keys = jax.random.split(jax.random.key(5), 3)
    many = jax.vmap(lambda key: build(CORES["elman"], B).init(key, inputs))(keys)
    gradients = jax.vmap(jax.grad(loss))(many)
    for i in range(3):
        one = jax.tree.map(lambda a, i=i: a[i], (many, gradients))
        assert_same(jax.grad(loss)(one[0]), one[1])


def test_shard_map_over_the_batch():
    x = jax.random.normal(jax.random.key(0), (T, 4, D))

    def loss(strategy):
        def run(x):
            core = rnnzoo.make("lstm", H)
            return rnnzoo.unroll(core, x, core.initial_state(x.shape[1]), strategy=strategy)[0]

        model = hk.transform(run)
        return model, lambda p, x: jnp.sum(jnp.sin(model.apply(p, None, x)))

    model, one = loss("plain")
    params = model.init(jax.random.key(1), x)
    mesh = Mesh(np.array(jax.devices()[:2]), ("batch",))
    two = jax.shard_map(
        lambda p, x: jax.lax.psum(loss("deferred")[1](p, x), "batch"),
        mesh=mesh,
        in_specs=(PartitionSpec(), PartitionSpec(None, "batch")),
        out_specs=PartitionSpec(),
        check_vma=False,
    )
    assert_same(jax.jit(jax.grad(two))(params, x), jax.grad(one)(params, x))


def test_bfloat16():
    x = inputs_for("lstm", B).astype(jnp.bfloat16)

    def run(x, strategy):
        core = rnnzoo.make("lstm", H)
        state = jax.tree.map(lambda a: a.astype(x.dtype), core.initial_state(B))
        return rnnzoo.unroll(core, x, state, strategy=strategy)

    fast = hk.transform(functools.partial(run, strategy="deferred"))
    slow = hk.transform(functools.partial(run, strategy="plain"))
    params = fast.init(jax.random.key(0), x)
    outputs, expected = fast.apply(params, None, x), slow.apply(params, None, x)
    assert {a.dtype for a in jax.tree.leaves((params, outputs))} == {jnp.dtype(jnp.bfloat16)}
    for a, b in zip(jax.tree.leaves(outputs), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a.astype(float), b.astype(float), atol=0.02)


def test_plain_functions_need_no_transform():
    x = inputs_for("elman", B)
    outputs, state = rnnzoo.unroll(lambda x, h: (h, h + x), x, jnp.zeros((B, D)))
    np.testing.assert_allclose(outputs[1:], jnp.cumsum(x, 0)[:-1])
    np.testing.assert_allclose(state, x.sum(0))


def loops_of(make_core):
    """The scans of an unroll, and the shapes of the weights in each."""
    x = inputs_for("hk.LSTM", B)
    model = build(make_core, B)
    params = model.init(jax.random.key(0), x)

    def scans(jaxpr):
        for e in jaxpr.eqns:
            if e.primitive.name == "scan":
                yield e
                continue
            for inner in map(lambda p: getattr(p, "jaxpr", p), e.params.values()):
                if hasattr(inner, "eqns"):
                    yield from scans(inner)

    loops = list(scans(jax.make_jaxpr(lambda p: model.apply(p, None, x))(params).jaxpr))
    bodies = [loop.params["jaxpr"].jaxpr.eqns for loop in loops]
    return loops, [[q.invars[1].aval.shape for q in b if "dot" in q.primitive.name] for b in bodies]


def test_what_needs_no_state_leaves_the_loop():
    """A stack's loops hold a single product: the input projections are outside, for all T at once."""
    loops, weights = loops_of(lambda: hk.DeepRNN([hk.LSTM(H), hk.LSTM(H)]))
    assert weights == [[(H, 4 * H)]] * 2  # of all gates: no weight of the inputs among them
    assert (T, B, D) not in {v.aval.shape for loop in loops for v in loop.invars}


def test_gates_of_one_operand_are_one_product_however_they_are_written():
    _, weights = loops_of(SeparateGates)
    assert weights == [[(H, 2 * H + 1), (H, H)]]  # f, i and s read h; the last reads f * h


def test_what_is_needed_whole_is_not_made_in_pieces_too():
    _, weights = loops_of(Normalised)
    assert weights == [[(H, 2 * H)]]


@pytest.mark.parametrize("make_core", [Matrix, Decaying])
def test_a_matrix_state_is_not_kept_for_every_step(make_core):
    x = inputs_for("matrix", B)
    model = build(make_core, B)
    params = model.init(jax.random.key(0), x)
    jaxpr = jax.make_jaxpr(lambda p: model.apply(p, None, x))(params)
    assert f"[{T},{B},{H},{H}]" not in str(jaxpr)


def test_what_stays_the_same_is_not_made_at_every_step():
    (loop,), _ = loops_of(Decaying)
    made = [e.primitive.name for e in loop.params["jaxpr"].jaxpr.eqns]
    assert made.count("exp") == 1  # of the decays; A, just as large, is made once


class Counting(hk.RNNCore):
    """Keeps Haiku state besides its own."""

    def __call__(self, x, h):
        count = hk.get_state("count", (), init=jnp.zeros)
        hk.set_state("count", count + 1)
        return h + x, h + count

    def initial_state(self, batch_size):
        return jnp.zeros((batch_size, D))


def counting(strategy):
    def run(x):
        core = Counting()
        return rnnzoo.unroll(core, x, core.initial_state(B), strategy=strategy)

    return hk.transform_with_state(run)


def test_haiku_state_takes_the_plain_way():
    x = inputs_for("elman", B)
    params, state = counting("auto").init(jax.random.key(0), x)
    state = jax.tree.map(jnp.zeros_like, state)
    (_, h), state = counting("auto").apply(params, state, None, x)
    assert float(state["counting"]["count"]) == T
    np.testing.assert_allclose(h, T * (T - 1) / 2)
    with pytest.raises(UserError, match=r"keeps Haiku state.*'plain'"):
        counting("deferred").apply(params, state, None, x)


def test_side_effects_take_the_plain_way(capfd):
    def core(x, h):
        jax.debug.print("a step")
        return h, h + x

    x = inputs_for("elman", B)
    jax.block_until_ready(rnnzoo.unroll(core, x, x[0]))
    jax.effects_barrier()
    assert capfd.readouterr().out.count("a step") == T
    with pytest.raises(UserError, match="side effects"):
        rnnzoo.unroll(core, x, x[0], strategy="chunked")


@pytest.mark.parametrize(
    "core, inputs, options, message",
    [
        (lambda x, h: (h, h), (), {}, "need a time axis"),
        (lambda x, h: (h, h), (np.ones((3, 2)), np.ones((4, 2))), {}, "number of time steps"),
        (lambda x, h: (h, (h, h)), np.ones((3, 2)), {}, "structure"),
        (lambda x, h: (h, h[:1]), np.ones((3, 2)), {}, r"float64\[2\] before .* float64\[1\]"),
        (lambda x, h: (h, h.astype("float32")), np.ones((3, 2)), {}, "float32"),
        (lambda x, h: (h, h), np.ones((3, 2)), {"strategy": "defered"}, "did you mean 'deferred'"),
    ],
)
def test_errors_are_one_clear_line(core, inputs, options, message):
    with pytest.raises(UserError, match=message) as e:
        rnnzoo.unroll(core, inputs, jnp.zeros(2), **options)
    assert "\n" not in str(e.value)


@pytest.mark.parametrize("length, size", [(1, 1), (7, 2), (64, 8), (8192, 128), (20, 4), (101, 10)])
def test_chunks_of_about_the_square_root(length, size):
    assert _chunk_size(length) == size


def test_one_hot_inputs_are_looked_up():
    """The same numbers as with products, and none of the inputs' products in the forward pass."""
    ids = jnp.array([[0, 3], [1, -1], [9, 2], [2, 2]])  # two are outside of the four

    def run(ids, strategy):
        core = rnnzoo.make("gru", H)
        step = lambda ids, h: core(jax.nn.one_hot(ids, D), h)  # noqa: E731
        return rnnzoo.unroll(step, ids, core.initial_state(2), strategy=strategy)[0]

    fast = hk.transform(functools.partial(run, strategy="deferred"))
    slow = hk.transform(functools.partial(run, strategy="plain"))
    params = jax.tree.map(lambda a: a.astype(float) + 0.05, fast.init(jax.random.key(0), ids))

    def loss(model):
        return lambda p: jnp.sum(jnp.sin(model.apply(p, None, ids)))

    assert_same(jax.value_and_grad(loss(fast))(params), jax.value_and_grad(loss(slow))(params))
    text = str(jax.make_jaxpr(lambda p: fast.apply(p, None, ids))(params))
    assert "gather" in text and text.count("dot_general[") == 1  # the gates' product with h
