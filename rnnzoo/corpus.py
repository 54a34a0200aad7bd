"""The corpus: a text by name or from files, and its split into train, validation and test."""

import dataclasses
import math
import os
import pathlib
import sys
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pooch

from rnnzoo import cache
from rnnzoo.encoding import Part, encode
from rnnzoo.errors import UserError, about, did_you_mean, one_line, reason
from rnnzoo.vocabulary import Vocabulary

DEFAULT = "pydoc"
UNITS = ("characters", "bytes")
Text = str | bytes | np.ndarray


@dataclasses.dataclass(frozen=True)
class Corpus:
    """A text, encoded, and where it is from. Two are equal if all but the place they lie in is.

    Attributes:
      name: the corpus' name, or the files'.
      sha256: of the text (in UTF-8), in hexadecimal.
      vocabulary: of the whole text, without an unknown symbol.
      ids: of the whole text, in the vocabulary's `dtype`, shape [N]. Of a long text they are
        memory-mapped: only what is read of them takes memory.
      first: where each of the vocabulary's symbols is first, shape [V].
    """

    name: str
    sha256: str
    vocabulary: Vocabulary
    ids: np.ndarray = dataclasses.field(compare=False, repr=False)
    first: np.ndarray = dataclasses.field(compare=False, repr=False)

    @property
    def text(self) -> str | bytes:
        """The text itself: str, or bytes if it was read as bytes. All of it is decoded."""
        decode = (
            self.vocabulary.to_bytes if self.vocabulary.unit == "bytes" else self.vocabulary.decode
        )
        return decode(self.ids)

    def with_ids(self, ids: np.ndarray) -> "Corpus":
        """The corpus with its characters in another order, or some of them alone."""
        symbols, places = np.unique(ids, return_index=True)
        first = np.full_like(self.first, len(ids))
        first[symbols] = places
        return dataclasses.replace(self, ids=ids, first=first)

    def vocabulary_until(self, end: int, unknown: bool = False) -> Vocabulary:
        """The vocabulary of the first `end` characters alone."""
        there = np.flatnonzero(self.first < end)
        symbols = self.vocabulary.symbols
        kept = [symbols[i : i + 1] for i in there]
        return Vocabulary(symbols[:0].join(kept), unknown)


class Remote(NamedTuple):
    """A text that is fetched on first use.

    Attributes:
      file: its place in the cache folder.
      url: an address whose content does not change.
      sha256: of the file there.
    """

    file: str
    url: str
    sha256: str


REMOTES = {
    # The Life and Adventures of Santa Claus, L. Frank Baum; Project Gutenberg eBook 520.
    "santa": Remote(
        "santa/520.txt",
        "https://raw.githubusercontent.com/GITenberg/The-Life-and-Adventures-of-Santa-Claus_520/"
        "186381bd804970f4e5aaa066b31e72fc39f0cffd/520.txt",
        "b1ec2016df86577bc3093399adf1f749be82f61ed1002f4d3cdbfac3bb103ece",
    ),
    # Tiny Shakespeare, Andrej Karpathy.
    "shakespeare": Remote(
        "shakespeare/input.txt",
        "https://raw.githubusercontent.com/karpathy/char-rnn/"
        "6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e/data/tinyshakespeare/input.txt",
        "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
    ),
}


def names() -> list[str]:
    """The names that `load` knows, sorted."""
    return sorted([DEFAULT, *REMOTES])


def load(
    name: str | None = None,
    path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = None,
    unit: str = "characters",
    cache_dir: str | os.PathLike[str] | None = None,
) -> Corpus:
    r"""Reads a corpus by its name or from files.

    As characters, a text is decoded from UTF-8, loses its byte-order mark, and its line ends become
    `\n`. As bytes, it stays as it is in the file.

    Args:
      name: one of `names()`. 'pydoc' is the language reference inside Python's own `pydoc`, which
        needs no network and differs between Python's versions; it is the default.
      path: goes before `name`. A file, several joined in order (a list, or one str with commas
        between them), or '-' for standard input.
      unit: 'characters' or 'bytes'.
      cache_dir: where fetched texts are kept, and long ones (16 MiB and more) once they are encoded;
        by default the environment variable RNNZOO_CACHE or, if it is not set, the user's cache folder.

    Raises:
      UserError: an unknown name or unit, with the nearest; a text that cannot be fetched (saying
        where to put it by hand), or whose file in the cache is another; a file that is missing, a
        folder or not UTF-8, or that changes while it is read; a text that is empty, has only one
        distinct character, or 2**31 characters or more; a cache folder that cannot be written.
    """
    if unit not in UNITS:
        raise UserError(f"corpus unit {unit!r}: {did_you_mean(unit, UNITS)}")
    folder = cache.folder(cache_dir)
    if path:
        files = _files(path)
        name = ",".join("standard input" if f == "-" else pathlib.Path(f).name for f in files)
        parts = [Part(str(f), _file(f)) for f in files]
    else:
        name = name or DEFAULT
        parts = [Part(name, _named(name, folder))]
    found = encode(name, parts, unit, folder)
    if len(found.ids) >= 2**31:
        raise UserError(
            f"corpus {name!r} has {len(found.ids):,} characters, and places are numbers below "
            f"{2**31:,}: cut the text in parts"
        )
    return Corpus(name, found.sha256, found.vocabulary, found.ids, found.first)


def find(source: str) -> Corpus:
    """Reads a corpus by its name, or else a file of this name.

    Raises:
      UserError: it is neither, with the nearest name; or see `load`.
    """
    if source in names():
        return load(source)
    if not os.path.exists(os.path.expanduser(source)):
        raise UserError(f"{source!r} is no file and no corpus: {did_you_mean(source, names())}")
    return load(path=source)


def _files(
    path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
) -> list[str | os.PathLike[str]]:
    if isinstance(path, str):
        return [part.strip() for part in path.split(",")]
    return [path] if isinstance(path, os.PathLike) else list(path)


def _file(path: str | os.PathLike[str]) -> bytes | pathlib.Path:
    """The file, or the bytes of standard input, which can be read only once."""
    if path == "-":
        if sys.stdin is None:
            raise UserError("standard input is closed: pipe the text in, or name a file")
        return sys.stdin.buffer.read()
    path = pathlib.Path(os.path.expanduser(path))
    if os.path.isdir(path):
        raise UserError(f"{str(path)!r} is a folder: name the files in it, with commas between")
    if os.path.exists(path) and not os.path.isfile(path):  # it might never end, or never begin
        raise UserError(f"{str(path)!r} is a pipe or a device: pipe it in, and give the path -")
    try:
        path.stat()
    except FileNotFoundError as e:
        raise UserError(f"there is no file {str(path.absolute())!r}: check the path") from e
    except (OSError, ValueError) as e:  # ValueError: no file can have this name
        raise UserError(f"{str(path)!r} cannot be read: {reason(e)}") from e
    return path


def _named(name: str, folder: pathlib.Path) -> bytes | pathlib.Path:
    if name == DEFAULT:
        from pydoc_data.topics import topics  # half a megabyte, and only this corpus needs it

        return "\n".join(topics[t] for t in sorted(topics)).encode()
    if name not in REMOTES:
        raise UserError(
            f"no corpus is named {name!r} (a file is given as the path): "
            f"{did_you_mean(name, names())}"
        )
    return _fetch(name, folder)


def _fetch(name: str, folder: pathlib.Path) -> pathlib.Path:
    """The text's file, from the cache folder if it is there, never without its checksum."""
    file, url, sha256 = REMOTES[name]
    path = folder / file
    if not path.exists():
        download = pooch.HTTPDownloader(hooks={"response": _refuse_other_address})
        try:
            pooch.retrieve(url, f"sha256:{sha256}", path.name, path.parent, downloader=download)
        except (OSError, ValueError) as e:  # no network or folder; the checksum is another
            why = "another file is there" if isinstance(e, ValueError) else one_line(e)
            raise UserError(
                f"corpus {name!r} cannot be fetched ({why}): put the file of {url}, "
                f"with SHA-256 {sha256}, at {path}"
            ) from e
    try:
        found = pooch.file_hash(path)
    except OSError as e:
        raise UserError(f"{str(path)!r} cannot be read: {e.strerror}") from e
    if found != sha256:
        raise UserError(
            f"{str(path)!r} is not the corpus {name!r}: its SHA-256 is {found} and should be "
            f"{sha256}; remove the file to have it fetched again"
        )
    return path


def _refuse_other_address(response, **_) -> None:
    """A hook of requests: only the pinned address itself is read, wherever else it leads."""
    if response.is_redirect:
        response.close()
        raise OSError(f"its address leads to another, {response.headers['Location']}")
    if not response.ok:
        response.close()


class Split(NamedTuple):
    """A text in three parts, in this order; an unwanted one is empty."""

    train: Text
    validation: Text
    test: Text


def split(text: Text, fractions: Sequence[float], sections: int = 1) -> Split:
    """Cuts a text in three by fractions of its length, each cut rounded down.

    Args:
      text: the text, or its ids; these are not copied if there is one section.
      fractions: of train, validation and test. If they sum to less than 1, the text's end is left
        out; a fraction of 0 leaves that part empty.
      sections: cut so many equal sections of the text each, and join what is alike, so that every
        part is from all over the text. What is left over at its end is left out.

    Raises:
      UserError: not three fractions of at least 0, that of train above 0, with a sum of at most 1;
        or a section is so short that a wanted part would have fewer than two characters.
    """
    if sections > 1:
        size = len(text) // sections
        with about(f"each of {sections} sections"):
            each = [split(text[i * size : (i + 1) * size], fractions) for i in range(sections)]
        return Split(*map(_joined, zip(*each, strict=True)))
    fractions = tuple(fractions)
    if len(fractions) != 3 or not all(f >= 0 for f in fractions) or not fractions[0] > 0:
        raise UserError(
            f"split {fractions}: give three fractions of at least 0, for train, validation and "
            "test, that of train above 0"
        )
    total = sum(fractions)
    if total > 1 + 1e-6:
        raise UserError(f"split {fractions}: the fractions sum to {total:g}, more than 1")
    ends = [
        min(math.floor(len(text) * sum(fractions[: i + 1]) + 1e-6), len(text)) for i in range(3)
    ]
    parts = Split(text[: ends[0]], text[ends[0] : ends[1]], text[ends[1] : ends[2]])
    for part, fraction, kind in zip(parts, fractions, Split._fields, strict=True):
        if fraction > 0 and len(part) < 2:
            raise UserError(
                f"split {fractions} of {len(text)} characters leaves {len(part)} for {kind}, which "
                "needs two: take a longer text, or a fraction of 0"
            )
    return parts


def _joined(parts):
    return np.concatenate(parts) if isinstance(parts[0], np.ndarray) else parts[0][:0].join(parts)
