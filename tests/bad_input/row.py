"""A row of the table of bad input, and what makes one."""

import pathlib
from collections.abc import Callable
from typing import NamedTuple

TEXT = "the cat sat on the mat. " * 40  # of text.txt, in the working folder
TRAIN, AGAIN = "--config=tiny.py --workdir=new", "--config=tiny.py --workdir=run"
SAMPLE, EVALUATE, REPRODUCE = (
    f"--mode={m} --workdir=run" for m in "sample evaluate reproduce".split()
)


class Row(NamedTuple):
    """A bad input.

    Attributes:
      name: what it is.
      words: the command line.
      message: a part of the line that it gives.
      prepare: makes it, in the working folder.
    """

    name: str
    words: str
    message: str
    prepare: Callable[[], None] = lambda: None


def file(name, content=b""):
    """Writes a file, and the folder that it is in."""

    def prepare():
        path = pathlib.Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    return prepare
