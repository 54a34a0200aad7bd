"""Checkpoints on disk, by orbax: each is there whole or not at all, and is checked when it is read.

A `Series` is a folder of numbered checkpoints, of which the newest few are kept:

    checkpoints/000000000240/
      params/ ...                      one orbax tree each
      notes.json  checksums.json       SHA-256 of every other file

It is written under another name and renamed once it is complete, so that a process that dies leaves
the one before. Nothing that is read is ever run as code.

Of several processes that train together, process 0 alone reads and writes here, whole arrays only.
All have the same parameters anyway, the rest is small, and so the others need no disk in common
with it, the renaming and the checksums stay one process's, and it does not matter how many processes
read what how many wrote.
"""

import concurrent.futures
import contextlib
import errno
import hashlib
import json
import os
import pathlib
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, Self

import jax
import numpy as np
import orbax.checkpoint as ocp

from rnnzoo.errors import UserError, flat

NOTES, CHECKSUMS, UNFINISHED = "notes.json", "checksums.json", ".unfinished"
OVERHEAD_BYTES = 64 * 1024  # of orbax's own files
Trees = Mapping[str, Any]
# Orbax numbers what is under way for the whole process: of two that save at once, one waits for the
# other's number, in vain.
ONE_AT_A_TIME = threading.Lock()
# Else orbax would wait for the other processes of the training.
ALONE = ocp.options.MultiprocessingOptions(
    primary_host=0, active_processes={0}, barrier_sync_key_prefix="alone"
)


class Damaged(Exception):
    """A checkpoint is not what was written; the message names the file."""


class Saved(NamedTuple):
    """A checkpoint on disk, found to be whole.

    Attributes:
      path: its folder.
      notes: what was written beside its trees.
    """

    path: pathlib.Path
    notes: dict[str, Any]

    def restore(self, name: str, wanted: Any) -> Any:
        """Reads one tree.

        Args:
          name: as it was saved.
          wanted: the shapes and dtypes that are expected, such as from `jax.eval_shape`.

        Raises:
          UserError: it is another model's: names and shapes that differ.
        """
        path = self.path.absolute() / name
        with ocp.StandardCheckpointer(multiprocessing_options=ALONE) as checkpointer:
            saved = checkpointer.metadata(path).item_metadata.tree
            if differences := _differences(_shapes(saved), _shapes(wanted)):
                raise UserError(
                    f"the {name} in {str(self.path)!r} are not this model's: {differences}: "
                    "use the config that they were trained with"
                )
            return checkpointer.restore(path, wanted)


class Series:
    """Numbered checkpoints in a folder, written in the background; a context manager.

    Args:
      folder: made with the first checkpoint.
      keep: how many of the newest stay.
      warn: told, in a line, of each checkpoint that is skipped since it is damaged.
    """

    folder: pathlib.Path
    keep: int
    warn: Callable[[str], None]

    def __init__(
        self, folder: str | os.PathLike[str], keep: int, warn: Callable[[str], None] = print
    ):
        """Nothing is read or written yet."""
        self.folder, self.keep, self.warn = pathlib.Path(folder), keep, warn
        self._writer = concurrent.futures.ThreadPoolExecutor(1, "checkpoint")
        self._writing: concurrent.futures.Future | None = None

    def __enter__(self) -> Self:
        """Clears away what a process that died left unfinished."""
        for path in self.folder.glob(f"*{UNFINISHED}"):
            shutil.rmtree(path, ignore_errors=True)
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        """Waits for the last checkpoint, but not to hide another error."""
        try:
            self.wait()
        except UserError:
            if error is None:
                raise
        finally:
            self._writer.shutdown()

    def save(self, number: int, trees: Trees, notes: Mapping[str, Any]) -> None:
        """Begins to write a checkpoint; the trees may change or go as soon as this returns.

        Args:
          number: larger than those before.
          trees: each is restored by its name.
          notes: as JSON.

        Raises:
          UserError: this or the checkpoint before could not be written.
        """
        self.wait()
        copies = jax.tree.map(lambda a: np.array(a, copy=True), dict(trees))
        self._writing = self._writer.submit(self._write, number, copies, notes)

    def wait(self) -> None:
        """Waits until what was begun is on disk.

        Raises:
          UserError: it could not be written.
        """
        writing, self._writing = self._writing, None
        if writing is None:
            return
        try:
            writing.result()
        except Exception as e:  # orbax and tensorstore raise many kinds when a disk is full
            full = "RESOURCE_EXHAUSTED" in str(e)  # tensorstore's name for it
            reason = os.strerror(errno.ENOSPC) if full else getattr(e, "strerror", None)
            reason = reason or flat(e, most=200)
            raise UserError(
                f"a checkpoint cannot be saved in {str(self.folder)!r}: {reason}; "
                f"{self._what_is_left()}"
            ) from e

    def newest(self) -> Saved | None:
        """The newest checkpoint that is whole, or None; those that are not are told by `warn`."""
        for path in sorted(self._finished(), reverse=True):
            try:
                return _verified(path)
            except Damaged as e:
                self.warn(f"checkpoint {str(path)!r} is damaged ({e}): the one before it is used")
        return None

    def numbers(self) -> list[int]:
        """Of all finished checkpoints, whole or not."""
        return sorted(int(path.name) for path in self._finished())

    def _finished(self) -> Iterator[pathlib.Path]:
        return (path for path in self.folder.glob("*") if path.name.isdigit())

    def _what_is_left(self) -> str:
        left = max(self._finished(), default=None)
        return f"{str(left)!r} is whole: make room, and run again to go on" if left else "none is"

    def _write(self, number: int, trees: Trees, notes: Mapping[str, Any]) -> None:
        final = self.folder.absolute() / f"{number:012d}"
        unfinished = final.with_name(final.name + UNFINISHED)
        unfinished.mkdir(parents=True, exist_ok=True)
        try:
            _check_room(unfinished, trees)
            with (
                ONE_AT_A_TIME,
                ocp.StandardCheckpointer(multiprocessing_options=ALONE) as checkpointer,
            ):
                for name, tree in trees.items():
                    checkpointer.save(unfinished / name, tree, force=True)
                checkpointer.wait_until_finished()
            (unfinished / NOTES).write_text(json.dumps(notes), encoding="utf-8")
            sums = json.dumps(_checksums(unfinished), indent=0)
            (unfinished / CHECKSUMS).write_text(sums, encoding="utf-8")
            _to_disk(unfinished)
            shutil.rmtree(final, ignore_errors=True)  # damaged, or it would not be written again
            unfinished.rename(final)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        for old in sorted(self._finished())[: -self.keep]:
            shutil.rmtree(old, ignore_errors=True)


def _check_room(folder: pathlib.Path, trees: Trees) -> None:
    """Raises the system's own error before a disk is full, in the middle of which orbax prints a lot."""
    needed = OVERHEAD_BYTES + sum(a.nbytes for a in jax.tree.leaves(trees))
    if shutil.disk_usage(folder).free < needed:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _to_disk(folder: pathlib.Path) -> None:
    """Makes the system write the files out, so that a power cut leaves no name without content."""
    for path in [*folder.rglob("*"), folder]:
        with contextlib.suppress(OSError):  # some systems cannot do so for folders
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _checksums(folder: pathlib.Path) -> dict[str, str]:
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != CHECKSUMS)
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def _verified(path: pathlib.Path) -> Saved:
    try:
        expected = json.loads((path / CHECKSUMS).read_text(encoding="utf-8"))
        found = _checksums(path)
        notes = json.loads((path / NOTES).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as e:
        raise Damaged(flat(e)) from e
    if not (isinstance(expected, dict) and isinstance(notes, dict)):
        raise Damaged(f"{CHECKSUMS} or {NOTES} is not what was saved")
    for name in sorted(expected.keys() | found.keys()):
        if found.get(name) != expected.get(name):
            state = (
                "missing" if name not in found else "added" if name not in expected else "altered"
            )
            raise Damaged(f"{name} is {state}")
    return Saved(path, notes)


def _shapes(tree) -> dict[str, tuple[int, ...]]:
    """Each array's name, as 'gru/U.w', and shape."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    name = lambda path: jax.tree_util.keystr(path, simple=True, separator=".")  # noqa: E731
    return {name(path): tuple(leaf.shape) for path, leaf in leaves}


def _differences(saved: dict, wanted: dict, most: int = 3) -> str:
    """What differs, in words; the first few."""
    found = [
        f"{name} is {saved.get(name, 'missing')} instead of {wanted.get(name, 'absent')}"
        for name in sorted(saved.keys() | wanted.keys())
        if saved.get(name) != wanted.get(name)
    ]
    rest = [f"and {len(found) - most} more"] if len(found) > most else []
    return ", ".join(found[:most] + rest)
