"""The vocabulary: a text's distinct characters, or bytes, and their ids."""

import codecs
import dataclasses
import functools
import json
import os
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np

from rnnzoo.errors import UserError

REPLACEMENT = "\ufffd"  # how the unknown symbol is shown
BLOCK = 2**20  # characters that are encoded again at once


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """The symbols of a text: its distinct characters or, of `bytes`, its distinct byte values.

    They are sorted, so the same text always gives the same ids: 0, 1, ... in that order. V is
    `len(vocabulary)`. With `unknown`, one more symbol, the last, stands for everything else.

    >>> vocabulary = Vocabulary.of("hello")
    >>> vocabulary.symbols, vocabulary.encode("hole").tolist()
    ('ehlo', [1, 3, 2, 0])
    >>> vocabulary.decode([1, 0, 2, 2, 3])
    'hello'

    Attributes:
      symbols: the distinct characters (str) or byte values (bytes), sorted.
      unknown: whether there is an unknown symbol.
    """

    symbols: str | bytes
    unknown: bool = False

    def __post_init__(self) -> None:
        """Raises UserError if the symbols are none, unsorted, or not distinct."""
        if not self.symbols or list(self.symbols) != sorted(set(self.symbols)):
            raise UserError("a vocabulary needs at least one symbol, sorted and each only once")

    @classmethod
    def of(cls, text: str | bytes, unknown: bool = False) -> "Vocabulary":
        """The vocabulary of a text, with an unknown symbol if asked for.

        Raises:
          UserError: the text is empty.
        """
        distinct = sorted(set(text))
        return cls(bytes(distinct) if isinstance(text, bytes) else "".join(distinct), unknown)

    def __len__(self) -> int:
        """V, the unknown symbol included."""
        return len(self.symbols) + self.unknown

    @property
    def unit(self) -> str:
        """'characters' or 'bytes': what a symbol is."""
        return "bytes" if isinstance(self.symbols, bytes) else "characters"

    @property
    def unknown_id(self) -> int | None:
        """The unknown symbol's id; None if there is none."""
        return len(self.symbols) if self.unknown else None

    @property
    def start_id(self) -> int:
        """What a text without a prompt begins after: the newline, or else the first symbol."""
        newline = b"\n" if self.unit == "bytes" else "\n"
        return max(self.symbols.find(newline), 0)

    @property
    def dtype(self) -> np.dtype:
        """The smallest unsigned integer that holds every id."""
        return np.min_scalar_type(len(self) - 1)

    def encode(self, text: str | bytes, dtype: np.typing.DTypeLike = np.int32) -> np.ndarray:
        """The ids of a text, shape [number of characters].

        Args:
          text: in a vocabulary of bytes, a str is taken as UTF-8.
          dtype: of the ids.

        Raises:
          UserError: a character outside a vocabulary without an unknown symbol; or bytes given to a
            vocabulary of characters.
        """
        if isinstance(text, str) and self.unit == "bytes":
            text = text.encode("utf-8", "surrogatepass")
        if isinstance(text, bytes) and self.unit == "characters":
            raise UserError("the text is bytes, the vocabulary characters: read it as characters")
        ids = self._lookup(text)
        if not self.unknown and (outside := self._first_outside(ids)) is not None:
            raise self._outside(text[outside], outside)
        return ids.astype(dtype, copy=False)

    def encode_again(self, ids: np.ndarray, source: "Vocabulary") -> np.ndarray:
        """The ids here of a text that was encoded in another vocabulary, shape [N].

        Where both have the same symbols, these are the same ids, without a copy.

        Raises:
          UserError: see `encode`.
        """
        if self.symbols == source.symbols:
            return ids
        if self.unit != source.unit:
            return self.encode(
                source.to_bytes(ids) if source.unit == "bytes" else source.decode(ids)
            )
        table = self._lookup(source.symbols)
        new = np.empty(len(ids), table.dtype)
        for start in range(0, len(ids), BLOCK):  # what `take` needs besides is for a block alone
            block = slice(start, start + BLOCK)
            new[block] = table.take(ids[block])
        if not self.unknown and (outside := self._first_outside(new)) is not None:
            raise self._outside(source.symbols[ids[outside]], outside)
        return new

    def _lookup(self, text: str | bytes) -> np.ndarray:
        """The ids of a text of this unit; one more than the last symbol's for what is not there."""
        return self._table.take(codes(text), mode="clip")

    @functools.cached_property
    def _table(self) -> np.ndarray:
        """The id of each code up to one after the largest symbol's, which is not there."""
        known, missing = codes(self.symbols), len(self.symbols)
        table = np.full(int(known[-1]) + 2, missing, np.min_scalar_type(missing))
        table[known] = np.arange(missing)
        return table

    def _first_outside(self, ids: np.ndarray) -> int | None:
        missing = len(self.symbols)
        if ids.max(initial=0) < missing:
            return None
        return int((ids == missing).argmax())

    def _outside(self, found: str | int, index: int) -> UserError:
        named = (
            f"byte 0x{found:02x}"
            if isinstance(found, int)
            else f"character {found!r} (U+{ord(found):04X})"
        )
        return UserError(
            f"{named} at index {index} is not in the vocabulary of {len(self)} {self.unit}: "
            "take it out of the text, or train with an unknown symbol (corpus.unknown)"
        )

    def decode(self, ids: Any) -> str:
        """The text of ids, shape [number of characters]; the unknown symbol shows as U+FFFD.

        So do bytes that are not UTF-8; `to_bytes` keeps them.
        """
        return self.decoder()(ids, final=True)

    def decoder(self) -> Callable[..., str]:
        """A function `(ids, final=False) -> str` that decodes a text that arrives piece by piece.

        A character whose bytes are split between two pieces appears with the second; `final` says
        that no more will come.
        """
        if self.unit == "bytes":
            decode = codecs.getincrementaldecoder("utf-8")("replace").decode
            return lambda ids, final=False: decode(self.to_bytes(ids), final)
        shown = [*self.symbols, REPLACEMENT]
        return lambda ids, final=False: "".join(shown[i] for i in np.asarray(ids).tolist())

    def to_bytes(self, ids: Any) -> bytes:
        """The bytes of ids: the exact inverse of `encode(bytes)`, or the decoded text in UTF-8."""
        if self.unit == "characters":
            return self.decode(ids).encode("utf-8", "surrogatepass")
        values = [*(bytes([b]) for b in self.symbols), REPLACEMENT.encode()]
        return b"".join(values[i] for i in np.asarray(ids).tolist())

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the vocabulary as JSON."""
        symbols = list(self.symbols) if self.unit == "bytes" else self.symbols
        fields = {"unit": self.unit, "unknown": self.unknown, "symbols": symbols}
        content = json.dumps(fields, indent=2, ensure_ascii=False) + "\n"
        pathlib.Path(path).write_bytes(content.encode("utf-8", "surrogatepass"))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Vocabulary":
        """Reads what `save` wrote.

        Raises:
          UserError: the file cannot be read, or does not hold a vocabulary.
        """
        try:
            content = pathlib.Path(path).read_bytes().decode("utf-8", "surrogatepass")
            return cls._of_json(json.loads(content))
        except OSError as e:
            raise UserError(f"vocabulary {str(path)!r} cannot be read: {e.strerror}") from e
        except (ValueError, TypeError, KeyError, RecursionError) as e:  # UserError is a ValueError
            raise UserError(
                f"{str(path)!r} does not hold a vocabulary as rnnzoo saves it "
                f"({type(e).__name__}: {e}): restore it, or train again"
            ) from e

    @classmethod
    def _of_json(cls, fields: dict) -> "Vocabulary":
        unit, unknown, symbols = fields["unit"], fields["unknown"], fields["symbols"]
        kind = {"characters": str, "bytes": list}.get(unit)
        if kind is None or not isinstance(symbols, kind) or not isinstance(unknown, bool):
            raise ValueError("a field has the wrong type")
        return cls(bytes(symbols) if unit == "bytes" else symbols, unknown)


def codes(text: str | bytes) -> np.ndarray:
    """Code points or byte values, shape [len(text)]."""
    if isinstance(text, str) and not text.isascii():
        return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
    return np.frombuffer(text.encode() if isinstance(text, str) else text, np.uint8)
