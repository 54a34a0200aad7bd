"""The compiled part of training: what a piece hands on to the next, and how it is updated.

All of it runs on every device of the mesh axis `ROWS`, each with its share of the batch's rows. The
optimiser's state lies whole on each, or by option in slices: of Adam's moments, each device then keeps
and updates its slice only (stage 1 of ZeRO, Rajbhandari et al. 2020).
"""

import dataclasses
import functools
import operator
from typing import Any, ClassVar, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from rnnzoo import batches
from rnnzoo.devices import ROWS
from rnnzoo.loss import mean_loss
from rnnzoo.model import LanguageModel, Params, State, count_parameters

# Parameters of each seed up to which a CPU computes all seeds at once, or with a single row in any case.
# With more, the products of as many pairs of matrices take longer together than one after the other.
AT_ONCE = 20_000


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


class Reading(Protocol):
    """How the pieces of an epoch are come by; hashable, since compiled functions depend on it.

    Attributes:
      carried: whether the recurrent state goes on from piece to piece, or begins anew with each.
    """

    carried: ClassVar[bool]

    @property
    def truncation(self) -> int:
        """T, time steps of a piece."""

    def read(self, stretch: batches.Stretch, key: jax.Array, index: jax.Array) -> batches.Piece:
        """A device's rows of a piece; the key is that piece's and that device's."""

    def count(self, piece: batches.Piece, lengths: jax.Array, index: jax.Array) -> jax.Array:
        """The characters of the piece in the rows of all devices, whose lengths are given."""


@dataclasses.dataclass(frozen=True)
class TextReading:
    """Pieces of a text, one after the other."""

    truncation: int
    carried: ClassVar[bool] = True

    def read(self, stretch: batches.Stretch, key: jax.Array, index: jax.Array) -> batches.Piece:
        """See `Reading`."""
        del key
        return batches.piece(stretch, index, self.truncation)

    def count(self, piece: batches.Piece, lengths: jax.Array, index: jax.Array) -> jax.Array:
        """See `Reading`."""
        del piece
        T = self.truncation
        return jnp.clip(lengths - index * T, 0, T).sum().astype(float)


def loss_and_gradient(
    model: LanguageModel,
    reading: Reading,
    state: TrainState,
    stretch: batches.Stretch,
    lengths: jax.Array,
) -> tuple[jax.Array, Params, State, jax.Array]:
    """Loss, gradient, the next recurrent state, and the number of characters, on the next piece.

    Runs on each device of the mesh axis `ROWS`, with that device's rows of state and stretch, and the
    lengths of all rows. Loss and gradient are those of all rows.
    """
    key = jax.random.fold_in(state.key, state.piece)
    key = jax.random.fold_in(key, lax.axis_index(ROWS))
    piece = reading.read(stretch, key, state.piece)
    characters = reading.count(piece, lengths, state.piece)
    share = piece.weights.sum() / characters

    def loss_of(params):
        if reading.carried:
            h = _from_learned_start(model, params, state)
        else:
            h = model.initial_state(params, piece.inputs.shape[1], key)
        outputs, h = model.apply(params, key, piece.inputs, h)
        return share * mean_loss(outputs, piece.targets, piece.weights), h

    (loss, h), gradient = jax.value_and_grad(loss_of, has_aux=True)(state.params)
    return *lax.psum((loss, gradient), ROWS), h, characters


def updated(
    optimizer: optax.GradientTransformation,
    skip: bool,
    state: TrainState,
    loss: jax.Array,
    gradient: Params,
    h: jax.Array,
    characters: jax.Array,
) -> TrainState:
    """One step of gradient descent, with what `loss_and_gradient` gave.

    After a loss or gradient that is not finite nothing moves; with `skip`, training goes on with the
    next piece.
    """
    steps, optimizer_state = optimizer.update(gradient, state.optimizer_state, state.params)

    # After a NaN or infinity, nothing moves. The norm is the clipping's own: it costs nothing.
    finite = jnp.isfinite(loss + optax.tree.norm(gradient))
    keep = functools.partial(jax.tree.map, lambda new, old: jnp.where(finite, new, old))
    steps = jax.tree.map(lambda step: jnp.where(finite, step, 0), steps)

    characters = jnp.where(finite, characters, 0)
    return TrainState(
        params=optax.apply_updates(state.params, steps),
        optimizer_state=keep(optimizer_state, state.optimizer_state),
        recurrent_state=keep(h, state.recurrent_state),
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
        zero = jnp.where(jnp.isfinite(start), start - lax.stop_gradient(start), 0)
        return carried + jnp.where(state.piece == 0, zero, 0)

    return jax.tree.map(lead, state.recurrent_state, initial)


def layout(mesh: Mesh, many: bool, optimizer_state: optax.OptState | None = None) -> TrainState:
    """How a state lies on the devices: whole on each, but for the rows of the recurrent state.

    Args:
      mesh: the devices.
      many: whether there are several seeds.
      optimizer_state: given if it is to lie in slices, along the first axis of each array that can
        be cut evenly; it may be shapes only.
    """
    whole = TrainState(*[P()] * len(TrainState._fields))
    lies = whole._replace(recurrent_state=rows(mesh, int(many)))
    if optimizer_state is None:
        return lies

    def slices(a):
        axes = (i for i, size in enumerate(a.shape) if size and size % mesh.size == 0)
        axis = next(axes, None)
        return P() if axis is None else P(*[None] * axis, ROWS)

    return lies._replace(optimizer_state=jax.tree.map(slices, optimizer_state))


def rows(mesh: Mesh, axis: int) -> P:
    """How arrays lie whose rows are that axis."""
    return P(*[None] * axis, ROWS) if mesh.size > 1 else P()


@functools.partial(
    jax.jit,
    static_argnames=("model", "optimizer", "reading", "mesh", "skip", "slices"),
    donate_argnames="state",
)
def advance(
    model,
    optimizer,
    reading: Reading,
    mesh,
    state: TrainState,
    stretch: batches.Stretch,
    stop,
    skip=False,
    slices=False,
):
    """Updates on all pieces from `state.piece` up to `stop`, or to the first that is not finite.

    Both bounds are values, not shapes: one compilation serves an epoch of any number of calls. The
    old state's memory becomes the new one's. Several seeds have rows of their own in the one text. With
    `slices`, the optimiser's state lies in slices.
    """
    many = state.piece.ndim > 0
    lies, places = layout(mesh, many), rows(mesh, int(many))
    on_rows = functools.partial(jax.shard_map, mesh=mesh, check_vma=False)
    in_specs = lies, batches.Stretch(ids=P(), starts=places, lengths=places), P()

    def for_each_seed(function, *axes):
        if not many:
            return function
        own = count_parameters(state.params) // state.piece.size
        large = own > AT_ONCE and stretch.starts.shape[-1] > mesh.size
        in_turn = large and mesh.devices.flat[0].platform == "cpu"
        return _in_turn(function, axes) if in_turn else jax.vmap(function, axes)

    own_rows = batches.Stretch(ids=None, starts=0, lengths=0)

    def gradient_of(state, stretch, lengths):
        return loss_and_gradient(model, reading, state, stretch, lengths)

    def move(state, found):
        return updated(optimizer, skip, state, *found)

    def run(state, stretch, lengths, stop):
        def next_piece(state, stretch, lengths):
            return move(state, gradient_of(state, stretch, lengths))

        next_piece = for_each_seed(next_piece, 0, own_rows, 0)
        return _until(stop, lambda state: next_piece(state, stretch, lengths), state)

    if not slices:  # the whole loop runs on each device
        run = on_rows(run, in_specs=(*in_specs, P()), out_specs=lies)
        return run(state, stretch, stretch.lengths, stop)

    # The gradients alone do; XLA shares out the rest as the optimiser's slices demand it.
    specs = layout(mesh, many, state.optimizer_state)
    shardings = jax.tree.map(lambda spec: NamedSharding(mesh, spec), specs)
    out_specs = P(), P(), lies.recurrent_state, P()
    gradients = for_each_seed(gradient_of, 0, own_rows, 0)
    gradients = on_rows(gradients, in_specs=in_specs, out_specs=out_specs)

    def next_piece(state):
        found = gradients(state._replace(optimizer_state=()), stretch, stretch.lengths)
        state = for_each_seed(move, 0, 0)(state, found)
        return lax.with_sharding_constraint(state, shardings)

    return _until(stop, next_piece, lax.with_sharding_constraint(state, shardings))


def _in_turn(function, axes):
    """`jax.vmap(function, axes)` as a loop; the first argument has the axis 0."""
    is_none = functools.partial(operator.is_, None)

    def mapped(*arguments):
        each = jax.tree.broadcast(axes, arguments, is_leaf=is_none)

        def one(index):
            pick = lambda axis, a: a if axis is None else a[index]  # noqa: E731
            return function(*jax.tree.map(pick, each, arguments, is_leaf=is_none))

        return lax.map(one, jnp.arange(len(jax.tree.leaves(arguments[0])[0])))

    return mapped


def _until(stop, next_piece, state: TrainState) -> TrainState:
    """The loop over pieces."""
    return lax.while_loop(
        lambda state: jnp.all(state.finite & (state.piece < stop)), next_piece, state
    )


@functools.partial(
    jax.jit, static_argnames=("model", "batch_size", "mesh"), donate_argnames="state"
)
def begin_epoch(model, batch_size, mesh, state: TrainState, seeds, number) -> TrainState:
    """The state before the first piece of an epoch of that number, with nothing read yet."""

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


def epoch_key(seed: Any, number: Any) -> jax.Array:
    """The random key of an epoch; 0 is for what comes before the first."""
    return jax.random.fold_in(jax.random.key(seed), number)
