"""Sampling: the language model one character at a time, each drawn from what the model expects."""

import dataclasses
import functools
import math
import numbers
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from rnnzoo.errors import UserError
from rnnzoo.model import LanguageModel, Params
from rnnzoo.vocabulary import Vocabulary

CHUNK = 256  # the most time steps of one compiled call, around which Python takes as long as for 30
NOISE = 2**20  # the most random numbers of one call: with many texts, it takes fewer time steps
STREAMED = 32  # time steps of one call where a person waits for the text
WATCHED = 8  # where every step is looked at, too
MOST_TEXTS = 100_000  # whose noise for one call fits into memory


@dataclasses.dataclass(frozen=True)
class Options:
    """How a text is drawn.

    Attributes:
      length: number of new characters (bytes in a vocabulary of bytes).
      temperature: divides the logits; 0 always takes the most likely character.
      top_k: draw only from the k most likely characters; of equally likely ones, those first in the
        vocabulary.
      top_p: draw only from the most likely characters that together have at least this probability,
        as few as possible, counted after the temperature and `top_k`.
      count: B, the number of texts, drawn independently; at most `MOST_TEXTS`.
      seed: the same seed gives the same texts.
    """

    length: int
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    count: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises UserError, with the range that is allowed, if an option is outside it."""
        self._need_integer("length", 0)
        self._need_integer("count", 1, MOST_TEXTS)
        self._need_integer("seed", 0, 2**32 - 1)
        if self.top_k is not None:
            self._need_integer("top_k", 1)
        if not _is_real(self.temperature) or not 0 <= self.temperature < math.inf:
            raise UserError(
                f"temperature must be a finite number of at least 0, not {self.temperature!r}"
            )
        if self.top_p is not None and not (_is_real(self.top_p) and 0 < self.top_p <= 1):
            raise UserError(f"top_p must be above 0 and at most 1, not {self.top_p!r}")

    def _need_integer(self, name: str, least: int, most: float = math.inf) -> None:
        value = getattr(self, name)
        whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
        if not whole or not least <= int(value) <= most:
            up_to = "" if most == math.inf else f" and at most {most}"
            raise UserError(
                f"{name} must be a whole number of at least {least}{up_to}, not {value!r}"
            )


def _is_real(value) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def sample(
    model: LanguageModel,
    params: Params,
    vocabulary: Vocabulary,
    prompt: str = "",
    length: int = 200,
    **options: Any,
) -> list[str]:
    """Lets the model go on from a prompt.

    Args:
      model: the language model.
      params: its parameters.
      vocabulary: of the text that it was trained on.
      prompt: of any length. After an empty one the text begins as after a newline or, if the
        vocabulary has none, as after its first symbol.
      length: number of new characters.
      **options: `temperature`, `top_k`, `top_p`, `count` and `seed`: see `Options`.

    Returns:
      `count` texts, each the prompt and `length` new characters.

    Raises:
      UserError: an option is out of its range; the prompt has a character outside the vocabulary;
        or the model was not made for this vocabulary.
    """
    chosen = Options(length, **options)
    texts = [prompt] * chosen.count
    given, rule = _prepare(vocabulary, prompt, chosen)
    chunks = _chunks(model, params, vocabulary, given, rule, chosen, CHUNK)
    for new in _new_text(vocabulary, given, chosen, chunks):
        texts = [text + more for text, more in zip(texts, new, strict=True)]
    return texts


def stream_sample(
    model: LanguageModel,
    params: Params,
    vocabulary: Vocabulary,
    prompt: str = "",
    length: int = 200,
    **options: Any,
) -> Iterator[list[str]]:
    """The same texts as `sample`, piece by piece as they are drawn, for a terminal.

    Arguments and errors are those of `sample`; errors come from the call, not from the first piece.

    Returns:
      An iterator of lists: the next few characters of each of the `count` texts, the prompt not
      among them.
    """
    chosen = Options(length, **options)
    given, rule = _prepare(vocabulary, prompt, chosen)
    chunks = _chunks(model, params, vocabulary, given, rule, chosen, STREAMED)
    return _new_text(vocabulary, given, chosen, chunks)


class Steps(NamedTuple):
    """N time steps of B texts that are watched.

    Attributes:
      ids: the character that follows each step, the prompt's or a drawn one, shape [N, B].
      drawn: whether it was drawn, shape [N].
      expected: the probability that the model gives each character, shape [N, B, V].
      chances: that which each was drawn with, after temperature, `top_k` and `top_p`, [N, B, V].
      seen: what was looked at, each array [N, B, ...].
    """

    ids: np.ndarray
    drawn: np.ndarray
    expected: np.ndarray
    chances: np.ndarray
    seen: Any


def watch_sample(
    model: LanguageModel,
    params: Params,
    vocabulary: Vocabulary,
    prompt: str = "",
    length: int = 200,
    look: Callable[[Any], Any] = lambda state: state,
    **options: Any,
) -> Iterator[Steps]:
    """The same texts as `sample`, with what the model expected at each step, those of the prompt too.

    `look` gives what to keep of the state after each step, a tree of arrays; it is compiled with the
    step, so the same function should come again. All else, and the errors, as for `stream_sample`.

    Returns:
      An iterator over the steps, a few at a time.
    """
    chosen = Options(length, **options)
    given, rule = _prepare(vocabulary, prompt, chosen)
    chunks = _chunks(model, params, vocabulary, given, rule, chosen, WATCHED, look)
    return _steps(given, rule, chunks)


def _prepare(vocabulary, prompt, options: Options) -> tuple[np.ndarray, "_Rule"]:
    given = vocabulary.encode(prompt) if prompt else np.array([vocabulary.start_id], np.int32)
    return given, _Rule(
        temperature=min(float(options.temperature), 1e30),  # in float32, more would be infinite
        top_k=min(int(options.top_k or len(vocabulary)), len(vocabulary)),
        top_p=float(options.top_p or 1.0),
        allowed=np.arange(len(vocabulary)) != vocabulary.unknown_id,
    )


class _Record(NamedTuple):
    """What is kept of each of C steps.

    Attributes:
      drawn: the characters drawn, shape [C, B].
      logits: shape [C, B, V]; () where nobody looks.
      seen: what was looked at, each [C, B, ...]; () where nobody looks.
    """

    drawn: jax.Array
    logits: Any
    seen: Any


def _chunks(
    model, params, vocabulary, given, rule, options: Options, at_once: int, look=None
) -> Iterator[tuple[int, _Record]]:
    """Runs the model over the prompt and on; yields each time how many steps, and what was kept."""
    chunk = min(CHUNK, max(1, NOISE // (options.count * len(vocabulary))))
    at_once = min(at_once, chunk)
    restricted = rule.top_k < len(vocabulary) or rule.top_p < 1
    if look:  # what is looked at may be large; and one compiled function serves every rule
        chunk, restricted = at_once, True
    steps = len(given) - 1 + options.length if options.length else 0
    key = jax.random.key(options.seed)
    state = _initial_state(model, params, options.count)
    ids = np.zeros(options.count, np.int32)
    for start in range(0, steps, at_once):
        part = given[start : start + at_once]
        prompt = np.zeros(chunk, np.int32)
        prompt[: len(part)] = part
        stop = min(steps - start, at_once)
        state, ids, record = _advance(
            model, params, state, ids, prompt, len(part), start, stop, key, rule, restricted, look
        )
        yield stop, record


def _new_text(vocabulary, given, options: Options, chunks) -> Iterator[list[str]]:
    """The text that is new, piece by piece."""
    decoders = [vocabulary.decoder() for _ in range(options.count)]
    of_prompt, left = len(given) - 1, options.length
    for N, record in chunks:
        new = np.asarray(record.drawn)[of_prompt:N]
        of_prompt = max(of_prompt - N, 0)
        left -= len(new)
        if len(new):
            yield [d(row, left == 0) for d, row in zip(decoders, new.T, strict=True)]


def _steps(given, rule: "_Rule", chunks) -> Iterator[Steps]:
    """The steps with their probabilities."""
    following = given[1:]
    for N, record in chunks:
        found = *_probabilities(record.logits, rule), record.seen
        expected, chances, seen = jax.tree.map(lambda a, N=N: np.asarray(a)[:N], found)
        known, following = following[:N], following[N:]
        ids = np.array(record.drawn)[:N]
        ids[: len(known)] = known[:, None]
        yield Steps(ids, np.arange(N) >= len(known), expected, chances, seen)


class _Rule(NamedTuple):
    """The `Options` that a compiled step takes as values, so that changing them compiles nothing.

    Attributes:
      temperature: as in `Options`.
      top_k: V for no limit.
      top_p: 1 for no limit.
      allowed: which characters may be drawn at all, shape [V].
    """

    temperature: float | jax.Array
    top_k: int | jax.Array
    top_p: float | jax.Array
    allowed: np.ndarray | jax.Array


@functools.partial(jax.jit, static_argnames=("model", "count"))
def _initial_state(model: LanguageModel, params: Params, count: int):
    return model.initial_state(params, count)


@functools.partial(jax.jit, static_argnames=("model", "restricted", "look"))
def _advance(
    model, params, state, ids, prompt, given, start, stop, key, rule: _Rule, restricted: bool, look
):
    """Runs `stop` time steps of a chunk of C, reading the prompt while it lasts.

    Args:
      model: the language model; static.
      params: its parameters.
      state: its state before the chunk.
      ids: the characters drawn last, shape [B].
      prompt: this chunk's part of the prompt, padded, shape [C].
      given: how many characters that part has.
      start: the number of steps taken before this chunk.
      stop: at most C.
      key: of the whole text; folded in with a step's number, it is the same for chunks of any size.
      rule: how characters are drawn.
      restricted: whether its `top_k` or `top_p` are limits; static, since the sort that they need
        costs about as much as the cell.
      look: what to keep of the state after each step, see `watch_sample`; None to keep nothing, nor
        the logits; static.

    Returns:
      The state, the characters drawn last [B], and the `_Record` of all steps.
    """
    C, B, V = prompt.shape[0], ids.shape[0], rule.allowed.shape[0]
    keys = jax.vmap(lambda t: jax.random.split(jax.random.fold_in(key, t)))(start + jnp.arange(C))
    cell_keys, noise_keys = keys[:, 0], keys[:, 1]
    # All noise at once: drawn step by step it takes up to a third of the whole time.
    noise = jax.vmap(lambda k: jax.random.gumbel(k, (B, V)))(noise_keys)

    needs_key = model.needs_key(params)

    def kept(drawn, logits, state):
        if look is None:
            return _Record(drawn, (), ())
        return _Record(drawn, logits.astype(noise.dtype), look(state))

    def step(t, carry):
        state, ids, record = carry
        ids = jnp.where(t < given, prompt[t], ids)
        logits, state = model.apply(params, cell_keys[t] if needs_key else None, ids[None], state)
        if logits.shape[-1] != V:
            raise UserError(
                f"the model has {logits.shape[-1]} characters, the vocabulary {V}: "
                "load the vocabulary that was saved with the model"
            )
        ids = _draw(logits[0], noise[t], rule, restricted)
        new = kept(ids, logits[0], state)
        return state, ids, jax.tree.map(lambda all, one: all.at[t].set(one), record, new)

    shapes = jax.eval_shape(kept, ids, noise[0], state)
    record = jax.tree.map(lambda a: jnp.zeros((C, *a.shape), a.dtype), shapes)
    return lax.fori_loop(0, stop, step, (state, ids, record))


def _draw(logits: jax.Array, noise: jax.Array, rule: _Rule, restricted: bool) -> jax.Array:
    """Draws a character for each row by the Gumbel-max trick: logits and noise [B, V] to [B].

    The largest of logits / temperature + noise is that of logits + temperature * noise, too: at 0
    the likeliest, and no temperature is so small that dividing by it overflows.
    """
    temperature = rule.temperature
    logits = jnp.where(rule.allowed[None], logits.astype(noise.dtype), -jnp.inf)
    if restricted:
        kept = restrict(_scaled(logits, temperature), rule.top_k, rule.top_p) > -jnp.inf
        logits = jnp.where(kept, logits, -jnp.inf)
    scores = logits / jnp.maximum(temperature, 1) + jnp.minimum(temperature, 1) * noise
    return scores.argmax(axis=-1).astype(jnp.int32)


@jax.jit
def _probabilities(logits: jax.Array, rule: _Rule) -> tuple[jax.Array, jax.Array]:
    """What the model expects, and the chances in `_draw`, from logits [N, B, V]; both [N, B, V]."""
    rows = logits.reshape(-1, logits.shape[-1])
    allowed = jnp.where(rule.allowed[None], rows, -jnp.inf)
    top_k = jnp.where(rule.temperature > 0, rule.top_k, 1)
    chances = jax.nn.softmax(restrict(_scaled(allowed, rule.temperature), top_k, rule.top_p))
    return jax.nn.softmax(logits), chances.reshape(logits.shape)


def _scaled(logits: jax.Array, temperature: float | jax.Array) -> jax.Array:
    """Logits [B, V] divided by the temperature, the largest of each row being 0."""
    below = logits - logits.max(axis=-1, keepdims=True)
    return below / jnp.maximum(temperature, jnp.finfo(logits.dtype).tiny)


def restrict(logits: jax.Array, top_k: int | jax.Array, top_p: float | jax.Array) -> jax.Array:
    """Keeps the logits of the `top_k` likeliest and, of these, the fewest of probability `top_p`.

    Args:
      logits: shape [B, V].
      top_k: at least 1; V or more for no limit.
      top_p: above 0; 1 for no limit.

    Returns:
      The logits with -inf for the others, shape [B, V]. Of equal logits the first ones are kept.
    """
    ordered = -jnp.sort(-logits, axis=-1)
    among_k = jnp.arange(logits.shape[-1])[None] < top_k
    p = jax.nn.softmax(ordered, axis=-1, where=among_k)
    reached = jnp.cumsum(p, axis=-1) - p  # the probability of all that are likelier
    kept = (among_k & ((reached < top_p) | (top_p >= 1))).sum(axis=-1, keepdims=True)
    least = jnp.take_along_axis(ordered, kept - 1, axis=-1)
    above, equal = logits > least, logits == least
    room = kept - above.sum(axis=-1, keepdims=True)
    return jnp.where(above | (equal & (jnp.cumsum(equal, axis=-1) <= room)), logits, -jnp.inf)
