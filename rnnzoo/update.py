"""The compiled part of training: what a piece hands on to the next, and how it is updated.

All of it runs on every device of the mesh axis `ROWS`, each with its share of the batch's rows.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from rnnzoo import batches
from rnnzoo.devices import ROWS
from rnnzoo.loss import cross_entropy
from rnnzoo.model import LanguageModel, Params


class TrainState(NamedTuple):
    """What a piece hands on to the next one.

    Attributes:
      params: the model's parameters.
      optimizer_state: of optax.
      recurrent_state: h, of all B rows.
      key: the epoch's random key, for cells that draw random numbers.
      piece: the next piece's index in the stretch.
      nats: the epoch's loss so far, summed over its characters.
      characters: how many these are.
      finite: False once a loss or gradient was not: the parameters are those before it.
      skipped: how many of the epoch's pieces were passed over since theirs was not.

    With several seeds, each of these has a first axis for them.
    """

    params: Params
    optimizer_state: optax.OptState
    recurrent_state: jax.Array
    key: jax.Array
    piece: jax.Array
    nats: jax.Array
    characters: jax.Array
    finite: jax.Array
    skipped: jax.Array


def update(
    model: LanguageModel,
    optimizer: optax.GradientTransformation,
    skip: bool,
    state: TrainState,
    piece: batches.Stretch,
    characters: jax.Array,
) -> TrainState:
    """One step of gradient descent, on one piece: [T, B] inputs, targets and weights.

    Runs on each device of the mesh axis `ROWS`, with that device's rows of state and piece; all of
    the piece's rows together have so many `characters`. After a loss or gradient that is not finite
    nothing moves; with `skip`, training goes on with the next piece from the recurrent state as it was.
    """
    share = piece.weights.sum() / characters

    def loss_of(params):
        key = jax.random.fold_in(state.key, state.piece)
        key = jax.random.fold_in(key, lax.axis_index(ROWS))
        h = _from_learned_start(model, params, state)
        logits, h = model.apply(params, key, piece.inputs, h)
        return share * cross_entropy(logits, piece.targets, piece.weights), h

    (loss, h), gradient = jax.value_and_grad(loss_of, has_aux=True)(state.params)
    loss, gradient = lax.psum((loss, gradient), ROWS)
    steps, optimizer_state = optimizer.update(gradient, state.optimizer_state, state.params)

    # After a NaN or infinity, no parameter moves. The norm is the clipping's own: it costs nothing.
    finite = jnp.isfinite(loss + optax.tree.norm(gradient))
    keep = functools.partial(jax.tree.map, lambda new, old: jnp.where(finite, new, old))
    steps = jax.tree.map(lambda step: jnp.where(finite, step, 0), steps)

    characters = jnp.where(finite, characters, 0)
    return TrainState(
        params=optax.apply_updates(state.params, steps),
        optimizer_state=keep(optimizer_state, state.optimizer_state) if skip else optimizer_state,
        recurrent_state=keep(h, state.recurrent_state) if skip else h,
        key=state.key,
        piece=state.piece + (finite | skip),
        nats=state.nats + jnp.where(finite, loss * characters, 0),
        characters=state.characters + characters,
        finite=finite | skip,
        skipped=state.skipped + (skip & ~finite),
    )


def _from_learned_start(model: LanguageModel, params, state: TrainState):
    """The carried state, through which a learned initial state gets the first piece's gradient."""
    initial = model.initial_state(params, 1)

    def lead(carried, start):
        if not jnp.issubdtype(start.dtype, jnp.inexact):
            return carried
        moved = jnp.where(jnp.isfinite(start), start - lax.stop_gradient(start), 0)  # zero
        return carried + jnp.where(state.piece == 0, moved, 0)

    return jax.tree.map(lead, state.recurrent_state, initial)


def layout(mesh: Mesh, many: bool) -> TrainState:
    """How a state lies on the devices: whole on each, but for the rows of the recurrent state."""
    replicated = TrainState(*[P()] * len(TrainState._fields))
    return replicated._replace(recurrent_state=rows(mesh, int(many)))


def rows(mesh: Mesh, axis: int) -> P:
    """How arrays lie whose rows are that axis."""
    return P(*[None] * axis, ROWS) if mesh.size > 1 else P()


@functools.partial(
    jax.jit,
    static_argnames=("model", "optimizer", "truncation", "mesh", "skip"),
    donate_argnames="state",
)
def advance(
    model,
    optimizer,
    truncation,
    mesh,
    state: TrainState,
    stretch: batches.Stretch,
    stop,
    skip=False,
):
    """Updates on all pieces from `state.piece` up to `stop`, or to the first that is not finite.

    Both bounds are values, not shapes: one compilation serves an epoch of any number of calls. The
    old state's memory becomes the new one's. Several seeds have a stretch each, or one for all.
    """
    many, own_stretch = state.piece.ndim > 0, stretch.weights.ndim > 2
    *seeds, _, B = stretch.weights.shape
    characters = stretch.weights.reshape(*seeds, -1, truncation * B).sum(-1)

    def run(state, stretch, characters, stop):
        def next_piece(state, stretch, characters):
            piece = batches.piece(stretch, state.piece, truncation)
            return update(model, optimizer, skip, state, piece, characters[state.piece])

        if many:
            text = 0 if own_stretch else None
            next_piece = jax.vmap(next_piece, in_axes=(0, text, text))
        return lax.while_loop(
            lambda state: jnp.all(state.finite & (state.piece < stop)),
            lambda state: next_piece(state, stretch, characters),
            state,
        )

    lies = layout(mesh, many)
    in_specs = lies, rows(mesh, 1 + own_stretch), P(), P()
    run = jax.shard_map(run, mesh=mesh, in_specs=in_specs, out_specs=lies, check_vma=False)
    return run(state, stretch, characters, stop)


@functools.partial(
    jax.jit, static_argnames=("model", "batch_size", "mesh"), donate_argnames="state"
)
def begin_epoch(model, batch_size, mesh, state: TrainState, seeds, number) -> TrainState:
    def begin(state, seed):
        _, key = jax.random.split(epoch_key(seed, number))
        return state._replace(
            recurrent_state=model.initial_state(state.params, batch_size, key),
            key=key,
            piece=jnp.zeros_like(state.piece),
            nats=jnp.zeros_like(state.nats),
            characters=jnp.zeros_like(state.characters),
            skipped=jnp.zeros_like(state.skipped),
        )

    many = state.piece.ndim > 0
    state = (jax.vmap(begin) if many else begin)(state, seeds)
    sharding = NamedSharding(mesh, rows(mesh, int(many)))
    h = lax.with_sharding_constraint(state.recurrent_state, sharding)
    return state._replace(recurrent_state=h)


def epoch_key(seed, number) -> jax.Array:
    """The random key of an epoch; 0 is for what comes before the first."""
    return jax.random.fold_in(jax.random.key(seed), number)
