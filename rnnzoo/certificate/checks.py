"""A cell's certificate: one battery of checks, the same for every cell in the registry and for yours.

Each check is a function of a `Subject`; it returns, or raises `Failed` or `NotApplicable` with the
reason. What every faster way is compared with is a plain scan, and that with the Python loop.
"""

import dataclasses
import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax

from rnnzoo.certificate.subject import Subject, counting_all, flat, jit, normal
from rnnzoo.errors import UserError
from rnnzoo.loss import cross_entropy
from rnnzoo.model import language_model

LONG, FEW = 2000, 6
TOLERANCE = 1e-8  # in float64, relative to the largest number of an array or to 1


class Failed(Exception):
    """The cell does not have the property; the message says what was found."""


class NotApplicable(Exception):
    """The property does not concern this cell; the message says why."""


@dataclasses.dataclass(frozen=True)
class Result:
    """What a check found.

    Attributes:
      check: the check's name.
      verdict: 'passed', 'failed' or 'not applicable'.
      reason: why it is not 'passed'.
    """

    check: str
    verdict: str
    reason: str = ""


def _path(path) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=".")


def _compare(found, expected, what: str, tolerance: float = TOLERANCE) -> None:
    """Raises `Failed` with the largest difference, if one is beyond the tolerance."""
    pairs = zip(jax.tree.leaves_with_path(found), jax.tree.leaves(expected), strict=True)
    for (path, a), b in pairs:
        if a.dtype == jax.dtypes.float0:
            continue
        a, b = (np.asarray(v, np.result_type(v.dtype, np.float64)) for v in (a, b))
        if a.shape != b.shape:
            raise Failed(f"{what} {_path(path)} has shape {a.shape}, not {b.shape}")
        difference = np.max(np.abs(a - b), initial=0) / max(1, np.max(np.abs(b), initial=0))
        if not difference <= tolerance:
            raise Failed(f"{what} {_path(path)} differs by {difference:.1e} (relative)".strip())


def _compare_gradients(found, expected, what: str) -> None:
    (_, results), gradients = found
    (_, results_e), gradients_e = expected
    for part, a, b in zip(("outputs", "last state"), results, results_e, strict=True):
        _compare(a, b, f"{what}: {part}")
    parts = ("parameters", "inputs", "initial state")
    for part, a, b in zip(parts, gradients, gradients_e, strict=True):
        _compare(a, b, f"{what}: gradient of the {part}")


def equals_reference(subject: Subject) -> None:
    """An independent implementation gives the same outputs, last state and every gradient."""
    if subject.reference is None:
        raise NotApplicable("no independent implementation is at hand: give one by --reference")

    def loss(params, xs, offset):
        def step(state, x):
            output, state = subject.reference(flat(params), x, state)
            return state, output

        start = subject.start(params, offset)
        state, outputs = jax.lax.scan(step, start, xs)
        return counting_all((outputs, state)), (outputs, state)

    theirs = jit(jax.value_and_grad(loss, (0, 1, 2), has_aux=True, allow_int=True))
    _compare_gradients(subject.expected, theirs(*subject.arguments), "reference")


def strategies_agree(subject: Subject) -> None:
    """The Python loop, a scan and every faster way give the same outputs, last state and gradients."""
    for strategy in subject.strategies:
        found = subject.gradients(strategy)(*subject.arguments)
        _compare_gradients(found, subject.expected, f"strategy {strategy!r}")
    if subject.key is not None:
        return  # the core would draw other random numbers
    params, xs, offset = subject.arguments
    step = jit(functools.partial(subject.run, strategy="python"))
    state, outputs = subject.start(params, offset), []
    for x in xs:
        output, state = step(params, x[None], state)
        outputs.append(output)
    (_, (whole, last)), _ = subject.expected
    joined = jax.tree.map(lambda *each: jnp.concatenate(each), *outputs)
    _compare(joined, whole, "a Python loop: outputs")
    _compare(state, last, "a Python loop: last state")


def carries_over_a_cut(subject: Subject) -> None:
    """Two halves of a sequence, the state carried over, are the whole: the state is all there is."""
    if subject.key is not None:
        raise NotApplicable("the core draws other random numbers in each half")
    params, xs, offset = subject.arguments
    half = len(xs) // 2
    (_, (whole, last)), _ = subject.expected
    strategy = subject.strategies[-1]
    run = jit(functools.partial(subject.run, strategy=strategy))
    first, state = run(params, xs[:half], subject.start(params, offset))
    second, state = run(params, xs[half:], state)
    joined = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), first, second)
    _compare(joined, whole, f"{strategy!r} in two halves: outputs")
    _compare(state, last, f"{strategy!r} in two halves: last state")


def is_causal(subject: Subject) -> None:
    """A change of the input at t leaves the outputs before t as they were, and changes later ones."""
    params, xs, offset = subject.arguments
    t = len(xs) // 2
    (_, (before, _)), _ = subject.expected
    for strategy in ("plain", *subject.strategies):
        value = subject.gradients(strategy)
        (_, (outputs, _)), _ = value(params, xs.at[t].add(1.0), offset)
        earlier = jax.tree.map(lambda a: a[:t], outputs)
        what = f"strategy {strategy!r}: with another input at step {t}, an earlier output"
        _compare(earlier, jax.tree.map(lambda a: a[:t], before), what)
        same = jax.tree.map(lambda a, b: bool(jnp.all(a[t:] == b[t:])), outputs, before)
        if all(jax.tree.leaves(same)):
            raise Failed(f"strategy {strategy!r}: no output depends on the inputs")


def every_parameter_has_a_gradient(subject: Subject) -> None:
    """No parameter is dead: each array of them has an effect on the outputs or the state."""
    _, (gradients, _, _) = subject.expected
    dead = [n for n, g in flat(gradients).items() if not np.any(np.asarray(g))]
    if dead:
        raise Failed(f"no effect on any output or state: {', '.join(dead)}")


def gradients_match_differences(subject: Subject) -> None:
    """Along random directions the gradients give what finite differences of the loss give."""
    value, arguments = subject.gradients("plain"), subject.arguments
    _, gradients = subject.expected
    for part, name in enumerate(("parameters", "inputs", "initial state")):
        leaves, structure = jax.tree.flatten(arguments[part])
        moving = [jnp.issubdtype(a.dtype, jnp.inexact) for a in leaves]
        directions = [
            normal(5 + i, a.shape) * m for i, (a, m) in enumerate(zip(leaves, moving, strict=True))
        ]

        def shifted(by, part=part, leaves=leaves, directions=directions, structure=structure):
            moved = [(a + by * d).astype(a.dtype) for a, d in zip(leaves, directions, strict=True)]
            return (*arguments[:part], structure.unflatten(moved), *arguments[part + 1 :])

        found = sum(
            float(jnp.sum(g * d).real)
            for g, d, m in zip(jax.tree.leaves(gradients[part]), directions, moving, strict=True)
            if m
        )
        step = 1e-6
        (up, _), _ = value(*shifted(step))
        (down, _), _ = value(*shifted(-step))
        expected = float(up - down) / (2 * step)
        if not math.isclose(found, expected, rel_tol=1e-4, abs_tol=1e-6):
            raise Failed(f"gradient of the {name}: {found:.8g}, by differences {expected:.8g}")


def _float32(tree, dtype=np.float32):
    """Real numbers in a smaller type; complex ones in its closest."""

    def cast(a):
        if jnp.iscomplexobj(a):
            return np.asarray(a).astype(np.complex64)
        return np.asarray(a).astype(dtype) if jnp.issubdtype(a.dtype, jnp.floating) else a

    return jax.tree.map(cast, tree)


def stays_finite(subject: Subject) -> None:
    """In float32, outputs, state and gradients are finite after 2,000 steps, for inputs of 1e4 too."""
    params = _float32(subject.initial_params)
    long = np.resize(_float32(subject.inputs(100)), (LONG, subject.batch_size, subject.input_size))
    zero = _float32(jax.tree.map(jnp.zeros_like, subject.offset))
    zero = jax.tree.map(lambda a: a if a.dtype != np.int64 else a.astype(np.int32), zero)
    with jax.enable_x64(False):
        value = Subject.gradients.__wrapped__(subject, "auto")
        for size in (1.0, 1e4):
            (_, (outputs, state)), gradients = value(params, long * np.float32(size), zero)
            named = {"outputs": outputs, "last state": state, "gradients": gradients}
            for path, a in jax.tree.leaves_with_path(named):
                if a.dtype != jax.dtypes.float0 and not np.all(np.isfinite(np.asarray(a))):
                    kind = "NaN" if np.any(np.isnan(np.asarray(a))) else "infinite"
                    raise Failed(f"inputs of size {size:g}, {LONG} steps: {kind} in {_path(path)}")


def works_in_bfloat16(subject: Subject) -> None:
    """Parameters, inputs and state in bfloat16 give outputs in it, near those in float64."""
    to_bf16 = functools.partial(_float32, dtype=jnp.bfloat16)
    params, xs = to_bf16(subject.params), to_bf16(subject.inputs(subject.steps)[:FEW])
    with jax.enable_x64(False):
        state = to_bf16(jax.tree.map(np.asarray, subject.initial_state(params)))
        state = jax.tree.map(lambda a: a.astype(np.int32) if a.dtype == np.int64 else a, state)

        def loss(params, xs):
            results = subject.run(params, xs, state, "auto", subject.key)
            return counting_all(results), results

        value = jit(jax.value_and_grad(loss, has_aux=True))
        (_, (outputs, _)), gradients = value(params, xs)
    for path, a in jax.tree.leaves_with_path(outputs):
        if jnp.issubdtype(a.dtype, jnp.floating) and a.dtype != jnp.bfloat16:
            raise Failed(f"output {_path(path)} is {a.dtype}: a constant or parameter is not bf16")
    zero = jax.tree.map(jnp.zeros_like, subject.offset)
    (_, (exact, _)), _ = subject.gradients("plain")(*subject.arguments[:2], zero)
    exact = jax.tree.map(lambda a: a[:FEW], exact)
    _compare(outputs, exact, "outputs", tolerance=0.15)
    for name, g in flat(gradients).items():
        if not np.all(np.isfinite(np.asarray(g, np.float32))):
            raise Failed(f"the gradient of {name} is not finite")


def compiles_once(subject: Subject) -> None:
    """A second call with other numbers does not compile again."""
    value = subject.gradients("deferred")
    for seed in range(2):
        value(subject.params, subject.inputs(subject.steps, seed), subject.offset)
    if (times := value._cache_size()) > 1:
        raise Failed(f"calls on inputs of one shape were compiled {times} times")


def works_under_vmap_and_unbatched(subject: Subject) -> None:
    """A row alone, without a batch axis, and under vmap, is what it is in a batch."""
    if subject.key is not None:
        raise NotApplicable("the core draws other random numbers for each row")
    xs, params = subject.inputs(1), subject.params

    def run(xs, batch_size):
        return subject.run(params, xs, subject.initial_state(params, batch_size), "python")

    batched = jit(lambda: run(xs, subject.batch_size))()
    mapped = jit(lambda: jax.vmap(lambda row: run(row, None), 1, (1, 0))(xs))()
    _compare(mapped, batched, "vmap over rows without a batch axis, against a batch:")
    alone = jit(lambda: run(xs[:, :1], 1))()
    first = batched[0][:, :1], jax.tree.map(lambda a: a[:1], batched[1])
    _compare(alone, first, "a batch of one, against a batch:")


def learns(subject: Subject) -> None:
    """Trained for a second to repeat an earlier character, its loss falls clearly below its first."""
    reports = []
    for delay in (1, 2):  # a dilated cell does not see the previous one, but the one before
        begun, ended = _train_to_repeat(subject, delay)
        if ended < 0.8 * begun:
            return
        reports.append(f"delay {delay}: {begun:.2f} nats untrained, {ended:.2f} trained")
    raise Failed("; ".join(reports))


def _train_to_repeat(subject: Subject, delay: int, updates: int = 300) -> tuple[float, float]:
    """The losses in nats at the start and at the end of a short training, characters at random."""
    V, steps, rows = 4, 16, 8  # so many that `unroll` takes the way that it takes in earnest
    texts = np.random.default_rng(0).integers(V, size=(updates, steps, rows))
    with jax.enable_x64(False):
        model = language_model(subject.make_core, V)
        params = jit(model.init)(jax.random.key(0))
        optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(2e-2))

        def loss(params, ids):  # with a key, as the trainer has one
            logits, _ = model.apply(
                params, jax.random.key(1), ids, model.initial_state(params, rows)
            )
            return cross_entropy(logits[delay:], ids[:-delay])

        def update(carry, ids):
            params, memory = carry
            value, gradient = jax.value_and_grad(loss)(params, ids)
            change, memory = optimizer.update(gradient, memory, params)
            return (optax.apply_updates(params, change), memory), value

        train = jit(lambda p: jax.lax.scan(update, (p, optimizer.init(p)), texts)[1])
        losses = np.asarray(train(params))
    return float(losses[0]), float(losses[-20:].mean())


CHECKS: dict[str, Callable[[Subject], None]] = {
    check.__name__: check
    for check in (
        equals_reference,
        strategies_agree,
        carries_over_a_cut,
        is_causal,
        every_parameter_has_a_gradient,
        gradients_match_differences,
        stays_finite,
        works_in_bfloat16,
        compiles_once,
        works_under_vmap_and_unbatched,
        learns,
    )
}


def check(name: str, subject: Subject) -> Result:
    """Runs one check; a core that breaks within it has failed it.

    Args:
      name: a key of `CHECKS`.
      subject: the core; its compiled functions serve all checks.
    """
    try:
        with jax.enable_x64(True):
            CHECKS[name](subject)
    except NotApplicable as e:
        return Result(name, "not applicable", str(e))
    except (Failed, UserError) as e:
        return Result(name, "failed", str(e))
    except Exception as e:
        return Result(name, "failed", f"{type(e).__name__}: {' '.join(str(e).split())[:200]}")
    return Result(name, "passed")
