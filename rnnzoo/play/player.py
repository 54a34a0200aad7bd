"""A run that is played: what it writes, character by character, with all that a page shows of it."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from rnnzoo.model import LanguageModel, count_parameters
from rnnzoo.play.display import OUTPUT, Array, displaying, shown
from rnnzoo.runs import Run, sample_options
from rnnzoo.sampler import Steps, watch_sample
from rnnzoo.vocabulary import REPLACEMENT, Vocabulary

ALTERNATIVES = 8


class Player:
    """A run, and how it is shown. It keeps nothing between two texts, so threads can share it."""

    def __init__(self, run: Run):
        """Takes two steps, which compiles them, and shows whether the output is a part of the state."""
        config = run.config
        self.run = run
        self.layers: int = len(config.cell.name.split(",")) * config.cell.layers
        self.model: LanguageModel
        self.not_shown: int  # arrays
        self.model, arrays, self.not_shown = displaying(run.model, run.params, self.layers)
        (steps,) = self._watch("", length=2)
        self.arrays: dict[int, Array] = _without_twins(arrays, steps.seen)
        self.symbols: list[str] = _names(run.vocabulary)

    def describe(self) -> dict[str, Any]:
        """What the page says of it, as JSON."""
        cell, options = self.run.config.cell, sample_options(self.run.config)
        return {
            "name": str(self.run.folder),
            "cell": cell.name,
            "layers": self.layers,
            "hidden_size": cell.hidden_size,
            "parameters": count_parameters(self.run.params),
            "characters": len(self.run.vocabulary),
            "unit": self.run.vocabulary.unit,
            "arrays": [array._asdict() for array in self.arrays.values()],
            "not_shown": self.not_shown,
            "sample": {k: v for k, v in options.items() if k != "count"},
        }

    def play(self, prompt: str, **options: Any) -> Iterator[list[dict[str, Any]]]:
        """The prompt and a new text, piece by piece, each character with what was expected of it.

        Args:
          prompt: as for `sampler.sample`, which gives the same text.
          **options: those of `sampler.Options`, but for `count`.

        Returns:
          An iterator of lists of characters, as JSON. A character has
            text: what it adds to the text; of bytes, "" until they are a whole character;
            name: itself, or of a byte that is no printable one, its number such as '0xc3';
            drawn: whether it was drawn, not given;
            p, q: its probability for the model, and that which it was drawn with;
            rank: its place among all, the likeliest being 1;
            top: the likeliest, as [name, p, q];
            state: for each array, the numbers that are shown.
          The prompt's first has no p, q, rank, top and state: nothing was expected before it.

        Raises:
          UserError: as `sampler.sample`, at once.
        """
        return self._characters(prompt, options["length"], self._watch(prompt, **options))

    def _watch(self, prompt: str, **options) -> Iterator[Steps]:
        run = self.run
        return watch_sample(self.model, run.params, run.vocabulary, prompt, look=shown, **options)

    def _characters(self, prompt: str, length: int, steps: Iterator[Steps]):
        decode = self.run.vocabulary.decoder()
        given = self.run.vocabulary.encode(prompt)
        if len(given):
            text = decode(given[:1])
            first = {"text": text, "name": self.symbols[given[0]], "drawn": False, "p": None}
            yield [first | {"q": None, "rank": None, "top": [], "state": None}]
        left = max(len(given) - 1, 0) + length
        for some in steps:
            found = []
            for i, id in enumerate(some.ids[:, 0]):
                left -= 1
                text = decode(some.ids[i], final=left == 0)
                found.append({"text": text, "drawn": bool(some.drawn[i])} | self._step(some, i, id))
            yield found

    def _step(self, steps: Steps, i: int, id: int) -> dict[str, Any]:
        p, q = steps.expected[i, 0], steps.chances[i, 0]
        likeliest = np.argsort(-p, kind="stable")[:ALTERNATIVES]
        return {
            "name": self.symbols[id],
            "p": _number(p[id]),
            "q": _number(q[id]),
            "rank": int((p > p[id]).sum()) + 1,
            "top": [[self.symbols[j], _number(p[j]), _number(q[j])] for j in likeliest],
            "state": [[_number(x) for x in steps.seen[k][i, 0].tolist()] for k in self.arrays],
        }


def _without_twins(arrays: list[Array], seen) -> dict[int, Array]:
    """The arrays by their places; the output is not one by itself where the state has it too."""
    found = dict(enumerate(arrays))
    if arrays and arrays[0].name == OUTPUT:
        for i, array in enumerate(arrays[1:], 1):
            if np.array_equal(seen[0], seen[i]):
                del found[0]
                found[i] = array._replace(name=f"{array.name} (the output)")
                break
    return found


def _number(x: float) -> float | None:
    """Four digits of it; JSON has no NaN and nothing infinite."""
    return float(f"{x:.4g}") if math.isfinite(x) else None


def _names(vocabulary: Vocabulary) -> list[str]:
    symbols = vocabulary.symbols
    if isinstance(symbols, bytes):
        names = [chr(b) if 32 <= b < 127 or b in b"\n\t" else f"0x{b:02x}" for b in symbols]
    else:
        names = list(symbols)
    return [*names, REPLACEMENT] if vocabulary.unknown else names
