"""Training by truncated backpropagation through time.

An epoch is one stretch of text (`batches.Stretch`), read in pieces of `truncation` characters:

    h = initial state
    for each piece:                                    # h goes on from piece to piece ...
        loss, h = the model on the piece, from h
        params -= optimizer(gradient of loss)          # ... but the gradient stops at its beginning

The loop over the pieces is compiled, with everything it needs on the device. Python calls it a few
times a second at most, to show progress. Several devices share out the rows of the batch, be they
of one process or of many; each holds all parameters, and the sum of the devices' gradients moves them.

Several seeds train as one program, by `jax.vmap` or, where a CPU is faster so, in turn. Everything in
the state then has one more axis, the first, and each seed has its own parameters, text and random
numbers, as if it were alone.
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
from jax.sharding import Mesh, NamedSharding, Sharding
from jax.sharding import PartitionSpec as P
from jax.typing import ArrayLike

from rnnzoo import batches, distributed
from rnnzoo.devices import rows_mesh
from rnnzoo.errors import UserError, did_you_mean
from rnnzoo.model import LanguageModel, Params, check_start
from rnnzoo.update import (
    Reading,
    TextReading,
    TrainState,
    advance,
    begin_epoch,
    epoch_key,
    layout,
    rows,
)

CHARACTERS_PER_CALL = 16_384  # of one compiled call: so long an interruption waits
ACCELERATOR_FACTOR = 16  # times as many on a GPU or TPU, which is idle between two calls


class Source(NamedTuple):
    """Where an epoch's stretch comes from.

    Attributes:
      text: where to place it -> the text's ids, shape [N].
      draw: random key -> the rows' starts and lengths, see `batches.Stretch`.
      pieces: how many pieces it has.
      batch_size: B, its rows.
      reading: how they are read.
    """

    text: Callable[[Sharding], jax.Array]
    draw: Callable[[jax.Array], tuple[ArrayLike, ArrayLike]]
    pieces: int
    batch_size: int
    reading: Reading


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
        places = batches.stream(N, B)
        longest, draw = -(-(N - 1) // B), lambda key: places
    else:
        batches.check_subsequence(N, B, length, truncation)
        longest, draw = length, lambda key: _subsequence(key, N, B, length)
    # A CPU reads aligned memory where it is: a memory-mapped text is not copied.
    text = functools.cache(functools.partial(distributed.place, ids))
    pieces = batches.number_of_pieces(longest, truncation)
    return Source(text, draw, pieces, B, TextReading(truncation))


_subsequence = jax.jit(batches.subsequence, static_argnums=(1, 2, 3))


class Epoch(NamedTuple):
    """The outcome of an epoch.

    Attributes:
      losses: of each seed: nats per character, over the epoch.
      chars_per_second: the training's speed, without compilation, of all seeds together.
      pieces: how many were read; fewer than the stretch has if it stopped early.
      finite: False if the piece after these gave a loss or gradient that was not, for any seed.
      skipped: how many pieces were passed over, those of all seeds together.
    """

    losses: tuple[float, ...]
    chars_per_second: float
    pieces: int
    finite: bool
    skipped: int

    @property
    def loss(self) -> float:
        """Nats per character, the mean over the seeds."""
        return math.fsum(self.losses) / len(self.losses)


@dataclasses.dataclass(frozen=True)
class Trainer:
    """Trains a model, epoch by epoch.

    Everything random comes from the seed and the epoch's number: an epoch sees the same stretch
    whatever came before it.

    Attributes:
      model: the language model.
      optimizer: of optax.
      source: where the text comes from.
      seed: of the initial parameters and all else that is random; the first, if there are several.
      devices: how many may share out the rows, see `rnnzoo.devices.rows_mesh`. They change the
        result by rounding only, but for a cell that draws random numbers.
      skip: whether a piece whose loss or gradient is not finite is passed over; else it ends the epoch.
      seeds: how many models train at once, with this seed and those after it.
      slices: whether the devices share out the optimiser's state too, see `rnnzoo.update`.
    """

    model: LanguageModel
    optimizer: optax.GradientTransformation
    source: Source
    seed: int = 0
    devices: int = 0
    skip: bool = False
    seeds: int = 1
    slices: bool = False

    @functools.cached_property
    def mesh(self) -> Mesh:
        """The devices that train; one, if the recurrent state cannot be cut into rows."""
        B = self.source.batch_size
        params = jax.eval_shape(self.model.init, self._key(0))
        h = jax.eval_shape(lambda p: self.model.initial_state(p, B), params)
        in_rows = all(leaf.shape[:1] == (B,) for leaf in jax.tree.leaves(h))
        if not in_rows and distributed.processes() > 1:
            raise UserError(
                "this cell's recurrent state has no rows that processes could share out: train it "
                "in one process"
            )
        return rows_mesh(B, self.devices if in_rows else 1)

    def start(self) -> TrainState:
        """The state before the first epoch, with everything compiled that an epoch calls.

        Raises:
          UserError: the cell's parameters or its state are not finite from the beginning.
        """
        initial = jax.jit(self._initial, out_shardings=self._shardings)()
        check_start(initial.params, distributed.whole(initial.recurrent_state))
        state, stretch = self._begin(initial, 0)
        return self._advance(state, stretch, 0)  # no piece: compiles, and changes nothing

    def _initial(self) -> TrainState:
        def initial(seed):
            key = epoch_key(seed, 0)
            params = self.model.init(key)
            return TrainState(
                params=params,
                optimizer_state=self.optimizer.init(params),
                recurrent_state=self.model.initial_state(params, self.source.batch_size),
                key=key,
                piece=jnp.zeros((), jnp.int32),
                nats=jnp.zeros(()),
                characters=jnp.zeros(()),
                finite=jnp.array(True),
                skipped=jnp.zeros((), jnp.int32),
            )

        # One after the other: on a CPU, orthogonal matrices of several at once may wait for ever.
        seeds = self._seeds
        return initial(seeds) if self.seeds == 1 else jax.lax.map(initial, seeds)

    @property
    def _shardings(self) -> TrainState:
        state = jax.eval_shape(self._initial).optimizer_state if self.slices else None
        specs = layout(self.mesh, self.seeds > 1, state)
        return jax.tree.map(lambda spec: NamedSharding(self.mesh, spec), specs)

    def save(self, state: TrainState) -> dict[str, Any]:
        """All that `resume` needs, as trees of plain arrays: the parameters, and the rest."""
        rest = state._replace(key=jax.random.key_data(state.key))._asdict()
        return {"params": rest.pop("params"), "training": rest}

    def saved_shapes(self) -> dict[str, Any]:
        """The shapes and dtypes of what `save` returns."""
        return jax.eval_shape(lambda: self.save(self._initial()))

    def resume(self, saved: dict[str, Any]) -> TrainState:
        """The state that was saved, to the bit; on as many devices and processes as there are now.

        One that stopped at a number that is not finite is as it was before, and goes on.
        """
        state = TrainState(params=saved["params"], **saved["training"])
        state = state._replace(finite=np.ones_like(state.finite))
        state = distributed.place(state, self._shardings)
        return state._replace(key=jax.random.wrap_key_data(state.key))

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
            stretch, first = self._stretch(number), _pieces(state)
        else:
            (state, stretch), first = self._begin(state, number), 0
        read = _sum(state.characters)
        step = self._pieces_per_call
        for done in range(first, self.source.pieces, step):
            stop = min(done + step, self.source.pieces)
            state = self._advance(state, stretch, stop)
            if not np.all(state.finite) or not keep_going(stop):  # waits for the device
                break
        seconds = time.perf_counter() - begun
        nats, characters = np.atleast_1d(state.nats), np.atleast_1d(state.characters)
        return state, Epoch(
            losses=tuple(
                float(n) / float(c) if c else math.nan
                for n, c in zip(nats, characters, strict=True)
            ),
            chars_per_second=(_sum(state.characters) - read) / seconds,
            pieces=_pieces(state),
            finite=bool(np.all(state.finite)),
            skipped=int(_sum(state.skipped)),
        )

    def params(self, state: TrainState, index: int = 0) -> Params:
        """A seed's parameters, on one device; to be used before the state is handed on."""
        params = jax.tree.map(lambda a: a.addressable_data(0), state.params)
        return params if self.seeds == 1 else jax.tree.map(lambda a: a[index], params)

    @property
    def _pieces_per_call(self) -> int:
        per_piece = self.source.batch_size * self.source.reading.truncation * self.seeds
        # Processes take time to agree at the end of each call: with more, there are fewer ends.
        characters = CHARACTERS_PER_CALL * distributed.processes()
        if self.mesh.devices.flat[0].platform != "cpu":
            characters *= ACCELERATOR_FACTOR
        return max(1, characters // per_piece)

    def _begin(self, state, number):
        fixed = self.model, self.source.batch_size, self.mesh
        state = begin_epoch(*fixed, state, self._seeds, np.uint32(number))
        return state, self._stretch(number)

    def _stretch(self, number):
        """Where the epoch's rows are, on the devices that train on them, and the text, on all."""
        keys = [jax.random.split(epoch_key(seed, number))[0] for seed in np.atleast_1d(self._seeds)]
        drawn = [self.source.draw(key) for key in keys]
        places = drawn[0] if self.seeds == 1 else jax.tree.map(_stack, *drawn)
        on_rows = NamedSharding(self.mesh, rows(self.mesh, int(self.seeds > 1)))
        text = self.source.text(NamedSharding(self.mesh, P()))
        return batches.Stretch(text, *distributed.place(places, on_rows))

    def _advance(self, state, stretch, stop):
        fixed = self.model, self.optimizer, self.source.reading, self.mesh
        return advance(*fixed, state, stretch, np.int32(stop), self.skip, self.slices)

    @property
    def _seeds(self):
        """The seed or, if there are several, an array of them."""
        first = np.uint32(self.seed)
        return first if self.seeds == 1 else first + np.arange(self.seeds, dtype=np.uint32)

    def _key(self, number):
        return epoch_key(self.seed, number)


def _stack(*arrays):
    return jnp.stack(arrays)


def _pieces(state: TrainState) -> int:
    """How many pieces of the epoch are done, by every seed."""
    return int(np.min(state.piece))


def _sum(array: jax.Array) -> float:
    return float(np.sum(array))
