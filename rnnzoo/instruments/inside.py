"""Every hidden unit and gate of a language model, character by character."""

import functools
import re
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import Jaxpr

from rnnzoo.instruments.gates import Gate, find_gates
from rnnzoo.loss import negative_log_likelihood
from rnnzoo.model import LanguageModel, Params, State
from rnnzoo.unroll.trace import bind, evaluate, read

MOST_UNITS = 1024  # of one signal, such as a matrix state; more are thinned out evenly
LSTM_LETTERS = {"hidden": "h", "cell": "c"}


class Signal(NamedTuple):
    """Numbers that a cell computes at each time step.

    Attributes:
      layer: of a stack, from 1.
      kind: 'state' or 'gate'.
      name: its letter in the cell's equation where the source tells it, such as 'h' or 'f'.
      units: how many numbers it has.
    """

    layer: int
    kind: str
    name: str
    units: int

    def __str__(self) -> str:
        """Such as 'layer 2, gate f'."""
        return f"layer {self.layer}, {self.kind} {self.name}"


class Inside(NamedTuple):
    """What a model did over a text of N characters.

    Attributes:
      nats: of each next character, shape [N - 1].
      entropies: of what the model expected of each, nats, shape [N - 1].
      signals: for each signal, its numbers after reading the character before, [N - 1, units].
      state: the model's state at the end.
    """

    nats: np.ndarray
    entropies: np.ndarray
    signals: dict[Signal, np.ndarray]
    state: State


def look_inside(
    model: LanguageModel, params: Params, ids: np.ndarray, state: State | None = None
) -> Inside:
    """Reads a text with a model and keeps all that its cells compute.

    What a step hands on as it is, such as a dropout mask, is left out, and a state of more than
    `MOST_UNITS` numbers is thinned out evenly. What a cell computes in loops of its own within a time
    step is not seen.

    Args:
      model: the language model.
      params: its parameters.
      ids: the text, shape [N].
      state: to begin with, of one row; None for the model's initial one.
    """
    if state is None:
        state = model.initial_state(params, 1)
    nats, entropies, values, state = _read(model, params, jnp.asarray(ids, int), state)
    kept = {s: np.asarray(v) for s, v in zip(_signals(model), values, strict=True)}
    return Inside(np.asarray(nats), np.asarray(entropies), kept, state)


@functools.partial(jax.jit, static_argnames="model")
def _read(model, params, ids, state):
    key = jax.random.key(0) if model.needs_key(params) else None
    closed = _trace(model, params, state)
    gates = {id(eqn): gate for eqn, gate in find_gates(closed.jaxpr, 1)}
    shown = _shown(closed.jaxpr, state)

    def step(state, now):
        t, before, target = now
        own_key = jax.random.key(0) if key is None else jax.random.fold_in(key, t)
        (logits, state), seen = _run(closed, gates, (params, own_key, before[None, None], state))
        expected = jax.nn.log_softmax(logits[0, 0])
        entropy = -jnp.sum(jnp.exp(expected) * expected)
        values = [_thin(v) for v in [*_parts(state, shown), *seen]]
        return state, (negative_log_likelihood(logits[0, 0], target), entropy, values)

    steps = jnp.arange(len(ids) - 1), ids[:-1], ids[1:]
    state, (nats, entropies, values) = lax.scan(step, state, steps)
    return nats, entropies, values, state


def _trace(model: LanguageModel, params: Params, state: State):
    """One time step as a jaxpr of (params, key, ids [1, 1], state)."""
    needs_key = model.needs_key(params)

    def step(params, key, ids, state):
        return model.apply(params, key if needs_key else None, ids, state)

    return jax.make_jaxpr(step)(params, jax.random.key(0), jnp.zeros((1, 1), int), state)


def _run(closed, gates: dict[int, Gate], arguments) -> tuple[Any, list]:
    """Evaluates a traced step; what it returns, and the values of its gates."""
    seen = []

    def keep(eqn, operands):
        if (gate := gates.get(id(eqn))) is None:
            return None
        results = bind(eqn, operands)
        seen.extend(jnp.split(results[0], len(gate.names), axis=-1))
        return results

    jaxpr, leaves = closed.jaxpr, jax.tree.leaves(arguments)
    env = dict(zip(jaxpr.constvars, closed.consts, strict=True))
    env |= zip(jaxpr.invars, leaves, strict=True)
    evaluate(jaxpr.eqns, env, keep)
    logits, *state = (read(env, v) for v in jaxpr.outvars)
    return (logits, jax.tree.unflatten(jax.tree.structure(arguments[-1]), state)), seen


def _shown(jaxpr: Jaxpr, state: State) -> list[bool]:
    """Which parts of a state are shown: several numbers each, which the traced step does not hand on."""
    leaves = jax.tree.leaves(state)
    before, after = (v[len(v) - len(leaves) :] for v in (jaxpr.invars, jaxpr.outvars))
    return [
        jnp.issubdtype(leaf.dtype, jnp.inexact) and leaf.size > 1 and old is not new
        for leaf, old, new in zip(leaves, before, after, strict=True)
    ]


def _parts(state: State, shown: list[bool]) -> list[jax.Array]:
    """The parts of a state of one row that are shown; of complex numbers, the real ones."""
    return [a.real for a, seen in zip(jax.tree.leaves(state), shown, strict=True) if seen]


def _thin(values: jax.Array) -> jax.Array:
    values = values.reshape(-1).astype(float)
    return values[:: -(-values.size // MOST_UNITS)]


@functools.lru_cache(maxsize=16)  # a training looks again and again
def _signals(model: LanguageModel) -> tuple[Signal, ...]:
    """What the columns of `_read` are."""
    found: list[Signal] = []

    def describe(params):
        state = model.initial_state(params, 1)
        closed = _trace(model, params, state)
        layers = _layers(closed.jaxpr.eqns)
        found.extend(_states(state, _shown(closed.jaxpr, state), len(layers) > 1))
        found.extend(_gates(closed.jaxpr, layers))

    jax.eval_shape(describe, jax.eval_shape(model.init, jax.random.key(0)))
    return tuple(_told_apart(found))


def _states(state: State, shown: list[bool], is_stack: bool):
    for (path, leaf), seen in zip(jax.tree.leaves_with_path(state), shown, strict=True):
        if seen:
            layer, path = (path[0].idx + 1, path[1:]) if is_stack else (1, path)
            yield Signal(layer, "state", _state_name(path), _thinned(leaf.size))


def _gates(jaxpr: Jaxpr, layers: list[str]):
    for eqn, gate in find_gates(jaxpr, 1):
        result: Any = eqn.outvars[0].aval
        units = _thinned(result.size // len(gate.names))
        layer = layers.index(_layer_of(gate.module)) + 1 if len(layers) > 1 else 1
        yield from (Signal(layer, "gate", name, units) for name in gate.names)


def _thinned(units: int) -> int:
    return -(-units // -(-units // MOST_UNITS))


def _state_name(path) -> str:
    if not path:
        return "h"
    name = jax.tree_util.keystr(path, simple=True, separator=".")
    return LSTM_LETTERS.get(name, name)


STACK = re.compile(r"stack/([^/]+)")


def _layer_of(module: str) -> str:
    found = STACK.search(module)
    return found[1] if found else ""


def _layers(eqns) -> list[str]:
    """The modules of a stack from the lowest on; a single one for what is no stack."""
    found = dict.fromkeys(_layer_of(str(eqn.source_info.name_stack)) for eqn in eqns)
    return [name for name in found if name] or [""]


def _told_apart(signals: list[Signal]) -> list[Signal]:
    """Signals of one layer, kind and name get a number."""
    found = []
    for signal in signals:
        same = sum(s[:2] == signal[:2] and s.name.split(" ")[0] == signal.name for s in found)
        found.append(signal._replace(name=f"{signal.name} {same + 1}") if same else signal)
    return found
