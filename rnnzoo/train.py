"""Training by truncated backpropagation through time.

An epoch is one stretch of text (`batches.Stretch`), read in pieces of `truncation` characters:

    h = initial state
    for each piece:                                    # h goes on from piece to piece ...
        loss, h = the model on the piece, from h
        params -= optimizer(gradient of loss)          # ... but the gradient stops at its beginning

The loop over the pieces is compiled, with everything it needs on the device. Python calls it a few
times a second at most, to show progress. Several devices share out the rows of the batch; each holds
all parameters, and the sum of the devices' gradients moves them.
"""

import dataclasses
import functools
import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jax.sharding import Mesh, NamedSharding, Sharding
from jax.sharding import PartitionSpec as P

from rnnzoo import batches
from rnnzoo.devices import ROWS, rows_mesh
from rnnzoo.errors import UserError, did_you_mean
from rnnzoo.loss import cross_entropy
from rnnzoo.model import LanguageModel, Params, check_start

CHARACTERS_PER_CALL = 16_384  # of one compiled call: so long an interruption waits


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
    piece: batches.Piece,
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


def _layout(mesh: Mesh) -> TrainState:
    """How a state lies on the devices: whole on each, but for the rows of the recurrent state."""
    rows = P(ROWS) if mesh.size > 1 else P()
    return TrainState(*[P()] * len(TrainState._fields))._replace(recurrent_state=rows)


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
    old state's memory becomes the new one's.
    """

    def run(state, stretch, lengths, stop):
        def next_piece(state):
            piece = batches.piece(stretch, state.piece, truncation)
            characters = jnp.clip(lengths - state.piece * truncation, 0, truncation).sum()
            return update(model, optimizer, skip, state, piece, characters.astype(float))

        return lax.while_loop(lambda state: state.finite & (state.piece < stop), next_piece, state)

    layout = _layout(mesh)
    in_specs = layout, batches.Stretch(ids=P(), starts=P(ROWS), lengths=P(ROWS)), P(), P()
    run = jax.shard_map(run, mesh=mesh, in_specs=in_specs, out_specs=layout, check_vma=False)
    return run(state, stretch, stretch.lengths, stop)


@functools.partial(jax.jit, static_argnames=("model", "batch_size"), donate_argnames="state")
def _begin_epoch(model, batch_size, state: TrainState, key) -> TrainState:
    return state._replace(
        recurrent_state=model.initial_state(state.params, batch_size, key),
        key=key,
        piece=jnp.zeros_like(state.piece),
        nats=jnp.zeros_like(state.nats),
        characters=jnp.zeros_like(state.characters),
        skipped=jnp.zeros_like(state.skipped),
    )


class Source(NamedTuple):
    """Where an epoch's stretch comes from.

    Attributes:
      text: where to place it -> the text's ids, shape [N].
      draw: random key -> the rows' starts and lengths, see `batches.Stretch`.
      pieces: how many pieces of `truncation` time steps it has.
      batch_size: B, its rows.
      truncation: time steps of a piece.
    """

    text: Callable[[Sharding], jax.Array]
    draw: Callable[[jax.Array], tuple[jax.Array, jax.Array]]
    pieces: int
    batch_size: int
    truncation: int


SAMPLINGS = ("subsequence", "stream")


def source(
    ids: np.ndarray,
    sampling: str,
    batch_size: int,
    truncation: int,
    max_subsequence_length: int,
) -> Source:
    """What an epoch reads of a text; the text moves to the device.

    Args:
      ids: the text, shape [N].
      sampling: 'subsequence', another random stretch for each row in each epoch; or 'stream', the
        whole text in parallel rows.
      batch_size: B.
      truncation: how many characters back the gradient goes.
      max_subsequence_length: characters of a row in an epoch of 'subsequence'.

    Raises:
      UserError: an unknown sampling, or sizes that do not fit the text.
    """
    if sampling not in SAMPLINGS:
        raise UserError(f"train.sampling {sampling!r}: {did_you_mean(sampling, SAMPLINGS)}")
    N, B, length = len(ids), batch_size, max_subsequence_length
    if sampling == "stream":
        batches.check_stream(N, B, truncation)
        rows = batches.stream(N, B)
        longest, draw = -(-(N - 1) // B), lambda key: rows
    else:
        batches.check_subsequence(N, B, length, truncation)
        longest, draw = length, lambda key: _subsequence(key, N, B, length)
    # A CPU reads aligned memory where it is: a memory-mapped text is not copied.
    text = functools.cache(functools.partial(jax.device_put, ids))
    return Source(text, draw, batches.number_of_pieces(longest, truncation), B, truncation)


_subsequence = jax.jit(batches.subsequence, static_argnums=(1, 2, 3))


class Epoch(NamedTuple):
    """The outcome of an epoch.

    Attributes:
      loss: nats per character, over the epoch.
      chars_per_second: the training's speed, without compilation.
      pieces: how many were read; fewer than the stretch has if it stopped early.
      finite: False if the piece after these gave a loss or gradient that was not.
    """

    loss: float
    chars_per_second: float
    pieces: int
    finite: bool
    skipped: int


@dataclasses.dataclass(frozen=True)
class Trainer:
    """Trains a model, epoch by epoch.

    Everything random comes from the seed and the epoch's number: an epoch sees the same stretch
    whatever came before it.

    Attributes:
      model: the language model.
      optimizer: of optax.
      source: where the text comes from.
      seed: of the initial parameters and all else that is random.
      devices: how many may share out the rows, see `rnnzoo.devices.rows_mesh`. They change the
        result by rounding only, but for a cell that draws random numbers.
      skip: whether a piece whose loss or gradient is not finite is passed over; else it ends the epoch.
    """

    model: LanguageModel
    optimizer: optax.GradientTransformation
    source: Source
    seed: int = 0
    devices: int = 0
    skip: bool = False

    @functools.cached_property
    def mesh(self) -> Mesh:
        """The devices that train; one, if the recurrent state cannot be cut into rows."""
        B = self.source.batch_size
        params = jax.eval_shape(self.model.init, self._key(0))
        h = jax.eval_shape(lambda p: self.model.initial_state(p, B), params)
        in_rows = all(leaf.shape[:1] == (B,) for leaf in jax.tree.leaves(h))
        return rows_mesh(B, self.devices if in_rows else 1)

    def start(self) -> TrainState:
        """The state before the first epoch, with everything compiled that an epoch calls.

        Raises:
          UserError: the cell's parameters or its state are not finite from the beginning.
        """
        initial = jax.jit(self._initial)()
        check_start(initial.params, initial.recurrent_state)
        state, stretch = self._begin(self._placed(initial), 0)
        return self._advance(state, stretch, 0)  # no piece: compiles, and changes nothing

    def _initial(self) -> TrainState:
        params = self.model.init(self._key(0))
        return TrainState(
            params=params,
            optimizer_state=self.optimizer.init(params),
            recurrent_state=self.model.initial_state(params, self.source.batch_size),
            key=self._key(0),
            piece=jnp.zeros((), jnp.int32),
            nats=jnp.zeros(()),
            characters=jnp.zeros(()),
            finite=jnp.array(True),
            skipped=jnp.zeros((), jnp.int32),
        )

    def _placed(self, state: TrainState) -> TrainState:
        """The state on the devices that train."""
        shardings = TrainState(*(NamedSharding(self.mesh, spec) for spec in _layout(self.mesh)))
        return jax.device_put(state, shardings)

    def save(self, state: TrainState) -> dict[str, Any]:
        """All that `resume` needs, as trees of plain arrays: the parameters, and the rest."""
        rest = state._replace(key=jax.random.key_data(state.key))._asdict()
        return {"params": rest.pop("params"), "training": rest}

    def saved_shapes(self) -> dict[str, Any]:
        """The shapes and dtypes of what `save` returns."""
        return jax.eval_shape(lambda: self.save(self._initial()))

    def resume(self, saved: dict[str, Any]) -> TrainState:
        """The state that was saved, to the bit."""
        state = TrainState(params=saved["params"], **saved["training"])
        return self._placed(state._replace(key=jax.random.wrap_key_data(state.key)))

    def epoch(
        self,
        state: TrainState,
        number: int,
        keep_going: Callable[[int], bool] = lambda pieces: True,
        within: bool = False,
    ) -> tuple[TrainState, Epoch]:
        """Trains for one epoch.

        Args:
          state: from `start`, `resume` or the epoch before; it cannot be used again.
          number: the epoch's, from 1.
          keep_going: called now and then with the number of pieces done; False ends the epoch.
          within: whether the state is from within this epoch, to be gone on with.

        Returns:
          The new state and the epoch's outcome.
        """
        begun = time.perf_counter()
        if within:
            stretch, first = self._stretch(number), int(state.piece)
        else:
            (state, stretch), first = self._begin(state, number), 0
        read = float(state.characters)
        per_piece = self.source.batch_size * self.source.truncation
        step = max(1, CHARACTERS_PER_CALL // per_piece)
        for done in range(first, self.source.pieces, step):
            stop = min(done + step, self.source.pieces)
            state = self._advance(state, stretch, stop)
            if not state.finite or not keep_going(stop):  # waits for the device
                break
        seconds = time.perf_counter() - begun
        nats, characters = float(state.nats), float(state.characters)
        return state, Epoch(
            loss=nats / characters if characters else math.nan,
            chars_per_second=(characters - read) / seconds,
            pieces=int(state.piece),
            finite=bool(state.finite),
            skipped=int(state.skipped),
        )

    def params(self, state: TrainState) -> Params:
        """The parameters, on one device; to be used before the state is handed on."""
        return jax.tree.map(lambda a: a.addressable_data(0), state.params)

    def _begin(self, state, number):
        _, cell_key = jax.random.split(self._key(number))
        state = _begin_epoch(self.model, self.source.batch_size, state, cell_key)
        return state, self._stretch(number)

    def _stretch(self, number):
        draw_key, _ = jax.random.split(self._key(number))
        text = self.source.text(NamedSharding(self.mesh, P()))
        return batches.Stretch(text, *self.source.draw(draw_key))

    def _advance(self, state, stretch, stop):
        fixed = self.model, self.optimizer, self.source.truncation, self.mesh
        return advance(*fixed, state, stretch, np.int32(stop), self.skip)

    def _key(self, number):
        return jax.random.fold_in(jax.random.key(self.seed), number)
