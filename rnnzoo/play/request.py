"""What a page may wish for: bounds in length and rate, and the reading of a request."""

import collections
import dataclasses
import json
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from rnnzoo.errors import UserError, did_you_mean, flat
from rnnzoo.sampler import Options

OPTIONS = ("length", "temperature", "top_k", "top_p", "seed")
FIELDS = ("run", "prompt", *OPTIONS)


@dataclasses.dataclass(frozen=True)
class Bounds:
    """How much the server does for a page.

    Attributes:
      prompt: characters of a prompt.
      length: new characters of a text.
      at_once: texts that are written at the same time.
      per_minute: texts that are begun within a minute.
      body: bytes of a request.
      seconds: for a request to arrive whole.
    """

    prompt: int = 2_000
    length: int = 2_000
    at_once: int = 12
    per_minute: int = 120
    body: int = 2**15
    seconds: float = 10.0


class Refused(Exception):
    """A request that is not answered; the message is one line: what, why and how to mend it."""

    def __init__(self, message: str, status: int = 400, field: str | None = None, wait: int = 0):
        """Names the HTTP status, the field it is about, and the seconds to wait."""
        super().__init__(message)
        self.status: int = status
        self.field: str | None = field
        self.wait: int = wait


class Wish(NamedTuple):
    """A request, checked.

    Attributes:
      run: its number.
      prompt: the text to go on from.
      options: of `sampler.Options`, with `length`.
    """

    run: int
    prompt: str
    options: dict[str, Any]


def read(body: bytes, runs: int, bounds: Bounds) -> Wish:
    """The wish that a request's body spells, for one of so many runs.

    Raises:
      Refused: it spells none, or goes beyond the bounds.
    """
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as e:
        raise Refused(f"the request is no JSON: {flat(e, 100)}: send an object") from e
    if not isinstance(fields, dict):
        raise Refused(f"the request is no JSON object: send one with {', '.join(FIELDS)}")
    for name in fields:
        if name not in FIELDS:
            raise Refused(f"there is no field {flat(repr(name), 40)}: {did_you_mean(name, FIELDS)}")
    run = fields.get("run", 0)
    if type(run) is not int or not 0 <= run < runs:
        raise Refused(f"run must be a whole number from 0 to {runs - 1}: {_not(run)}", field="run")
    prompt = fields.get("prompt", "")
    if not isinstance(prompt, str):
        raise Refused(f"prompt must be a text: {_not(prompt)}", field="prompt")
    if len(prompt) > bounds.prompt:
        raise Refused(
            f"the prompt has {len(prompt):,} characters, and {bounds.prompt:,} are the most: shorten it",
            field="prompt",
        )
    options = {"length": 200} | {k: fields[k] for k in OPTIONS if fields.get(k) is not None}
    for name, value in options.items():
        try:
            Options(**{"length": 1, name: value})
        except UserError as e:
            raise Refused(flat(e, 300), field=name) from e
    if not 1 <= options["length"] <= bounds.length:
        raise Refused(
            f"length must be from 1 to {bounds.length:,}: {_not(options['length'])}", field="length"
        )
    return Wish(run, prompt, options)


def _not(value) -> str:
    return f"it is {flat(repr(value), 40)}"


class Rate:
    """Counts what begins, and says when there is too much of it within some seconds."""

    def __init__(self, most: int, seconds: float, clock: Callable[[], float] = time.monotonic):
        """Allows `most` within any `seconds`."""
        self._seconds, self._clock = seconds, clock
        self._begun = collections.deque(maxlen=most)

    def wait(self) -> float:
        """Counts one more and returns 0, or else the seconds until there is room for it."""
        now = self._clock()
        if len(self._begun) == self._begun.maxlen and now - self._begun[0] < self._seconds:
            return self._seconds - (now - self._begun[0])
        self._begun.append(now)
        return 0.0
