"""A text of any length as ids, without ever being held as text.

It is read in chunks: once for its characters, once to encode them. The ids of a long text are kept on
disk and memory-mapped, so that they are made once, and take only the memory that is read of them.

    <cache>/encoded/<key>/  ids.npy  vocabulary.json  text.json
"""

import codecs
import contextlib
import hashlib
import io
import itertools
import json
import pathlib
import shutil
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import filelock
import numpy as np

from rnnzoo.errors import UserError
from rnnzoo.vocabulary import Vocabulary, codes

CHUNK = 2**18  # bytes read at once: what they become still fits a processor's cache
LONG = 2**24  # bytes from which on a text is kept encoded on disk
FOLDER, IDS, VOCABULARY, NOTES = "encoded", "ids.npy", "vocabulary.json", "text.json"
FORMAT = 1  # of these files; another one has other keys


class Part(NamedTuple):
    """A part of a text.

    Attributes:
      name: for a person.
      data: the bytes, or the regular file that has them.
    """

    name: str
    data: bytes | pathlib.Path


class Encoded(NamedTuple):
    """A whole text.

    Attributes:
      vocabulary: its own; it has no unknown symbol.
      ids: in the smallest dtype that holds them, shape [N]; of a long text, memory-mapped.
      first: where each symbol is first, shape [V].
      sha256: of the text (in UTF-8), in hexadecimal.
    """

    vocabulary: Vocabulary
    ids: np.ndarray
    first: np.ndarray
    sha256: str


def encode(name: str, parts: Sequence[Part], unit: str, cache: pathlib.Path) -> Encoded:
    r"""Reads and encodes a text.

    As characters, each part is decoded from UTF-8, loses its byte-order mark, and its line ends become
    `\n`. A long text that was encoded before is known by the SHA-256 of its parts.

    Args:
      name: of the text, for errors.
      parts: its parts, in order.
      unit: 'characters' or 'bytes'.
      cache: the folder to keep long texts in.

    Raises:
      UserError: a part is not UTF-8, cannot be read, or changed meanwhile; the text is empty or has
        only one distinct character; the cache cannot be written.
    """
    with _unchanged(parts):
        if sum(size for size, _ in map(_stamp, parts)) < LONG:
            found, _ = _scan(name, parts, unit)
            return found._replace(ids=np.concatenate(list(_ids(found.vocabulary, parts, unit))))
        digests = [_sha256(_chunks(part)) for part in parts]
        key = _sha256([json.dumps([FORMAT, unit, digests]).encode()])
        folder = cache / FOLDER / key
        with _writing(folder), filelock.FileLock(folder.with_suffix(".lock")):
            return _load(folder) or _keep(folder, name, parts, unit)


def _scan(name: str, parts: Sequence[Part], unit: str) -> tuple[Encoded, int]:
    """All but the ids, and their number."""
    digest, length, first = hashlib.sha256(), 0, {}
    known, known_ascii = np.zeros(0x110000, bool), b""
    for text in _texts(parts, unit):
        data = text.encode() if isinstance(text, str) else text
        digest.update(data)
        rest = data.translate(None, delete=known_ascii)  # no part of a longer UTF-8 sequence goes
        rest = codes(rest.decode() if isinstance(text, str) else rest)
        if not known.take(rest).all():
            found = codes(text)
            new, where = np.unique(found, return_index=True)
            new, where = new[~known[new]], where[~known[new]]
            first |= zip(new.tolist(), (length + where).tolist(), strict=True)
            known[new] = True
            known_ascii = bytes(np.flatnonzero(known[:128]).tolist())
        length += len(text)
    symbols = bytes(sorted(first)) if unit == "bytes" else "".join(map(chr, sorted(first)))
    if not length:
        raise UserError(f"corpus {name!r} is empty: nothing to learn from")
    if len(symbols) == 1:
        raise UserError(
            f"corpus {name!r} has only one distinct character, {symbols!r}: nothing to predict"
        )
    places = np.array([first[code] for code in sorted(first)])
    return Encoded(Vocabulary(symbols), np.empty(0), places, digest.hexdigest()), length


def _ids(vocabulary: Vocabulary, parts: Sequence[Part], unit: str) -> Iterator[np.ndarray]:
    return (vocabulary.encode(text, vocabulary.dtype) for text in _texts(parts, unit))


def _texts(parts: Sequence[Part], unit: str) -> Iterator[str | bytes]:
    """The text, piece by piece."""
    read = _chunks if unit == "bytes" else _decoded
    return itertools.chain.from_iterable(map(read, parts))


def _decoded(part: Part) -> Iterator[str]:
    utf8 = codecs.getincrementaldecoder("utf-8")()
    decoder = io.IncrementalNewlineDecoder(utf8, translate=True)
    read, begun = 0, False
    for chunk in itertools.chain(_chunks(part), [b""]):
        read += len(chunk)
        try:
            text = decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as e:
            raise _not_utf8(part, read - len(e.object) + e.start, e.object[e.start]) from e
        if text:
            yield text if begun else text.removeprefix("\ufeff")
            begun = True


def _not_utf8(part: Part, offset: int, byte: int) -> UserError:
    before, line = 0, 1
    for chunk in _chunks(part):
        line += chunk.count(b"\n", 0, max(0, offset - before))
        before += len(chunk)
    return UserError(
        f"{part.name!r} is not UTF-8: byte 0x{byte:02x} at offset {offset}, line {line}: convert "
        "it, or read it as bytes (corpus.unit)"
    )


def _chunks(part: Part) -> Iterator[bytes]:
    data = part.data
    try:
        with io.BytesIO(data) if isinstance(data, bytes) else data.open("rb", buffering=0) as file:
            while chunk := file.read(CHUNK):
                yield chunk
    except OSError as e:
        raise UserError(f"{part.name!r} cannot be read: {e.strerror}") from e


def _sha256(chunks: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()


def _stamp(part: Part) -> tuple[int, int]:
    """Size in bytes, and the time of the last change."""
    if isinstance(part.data, bytes):
        return len(part.data), 0
    try:
        found = part.data.stat()
    except OSError as e:
        raise UserError(f"{part.name!r} cannot be read: {e.strerror}") from e
    return found.st_size, found.st_mtime_ns


@contextlib.contextmanager
def _unchanged(parts: Sequence[Part]) -> Iterator[None]:
    """A file that is written to between two readings would give ids of no text at all."""
    before = list(map(_stamp, parts))
    yield
    for part, stamp in zip(parts, before, strict=True):
        if _stamp(part) != stamp:
            raise UserError(f"{part.name!r} changed while it was read: wait until it is whole")


@contextlib.contextmanager
def _writing(folder: pathlib.Path) -> Iterator[None]:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as e:
        raise UserError(
            f"the encoded text cannot be kept in {str(folder.parent)!r}: {e.strerror}; mend that, or "
            "give another folder (corpus.cache_dir, RNNZOO_CACHE)"
        ) from e


def _keep(folder: pathlib.Path, name: str, parts: Sequence[Part], unit: str) -> Encoded:
    """Writes the files under another name, which becomes the folder's own when they are whole."""
    unfinished = folder.with_suffix(".part")
    for old in (unfinished, folder):
        shutil.rmtree(old, ignore_errors=True)
    unfinished.mkdir()
    found, length = _scan(name, parts, unit)
    digest = hashlib.sha256()
    with (unfinished / IDS).open("wb") as file:
        header = {"descr": found.vocabulary.dtype.str, "fortran_order": False, "shape": (length,)}
        np.lib.format.write_array_header_1_0(file, header)
        for ids in _ids(found.vocabulary, parts, unit):
            file.write(ids)
            digest.update(ids)
    found.vocabulary.save(unfinished / VOCABULARY)
    notes = {"sha256": found.sha256, "first": found.first.tolist(), "ids": digest.hexdigest()}
    (unfinished / NOTES).write_text(json.dumps(notes), encoding="utf-8")
    unfinished.rename(folder)
    return found._replace(ids=np.load(folder / IDS, mmap_mode="r"))


def _load(folder: pathlib.Path) -> Encoded | None:
    """What `_keep` wrote; None if there is nothing, or if it was altered."""
    if not folder.exists():
        return None
    try:
        notes = json.loads((folder / NOTES).read_text(encoding="utf-8"))
        vocabulary = Vocabulary.load(folder / VOCABULARY)
        ids = np.load(folder / IDS, mmap_mode="r")
        with (folder / IDS).open("rb", buffering=0) as file:  # not through the map: it takes memory
            np.lib.format.read_magic(file)
            np.lib.format.read_array_header_1_0(file)
            if hashlib.file_digest(file, "sha256").hexdigest() != notes["ids"]:
                return None
        return Encoded(vocabulary, ids, np.array(notes["first"]), notes["sha256"])
    except (OSError, ValueError, KeyError):  # UserError is a ValueError
        return None
