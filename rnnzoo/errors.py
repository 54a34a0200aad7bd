"""The one kind of error that is the user's to mend, and the 'did you mean' that goes with it."""

import contextlib
import difflib
import logging
import os
import pathlib
import sys
import sysconfig
import traceback
from collections.abc import Iterable, Iterator
from typing import NoReturn

LOGGER = logging.getLogger("rnnzoo")  # at the level DEBUG it has the tracebacks of all errors


class UserError(ValueError):
    """A mistake a person can mend: the message is one line saying what, why and how."""

    def __init__(self, message: str):
        """Escapes what would break the line, or steer the terminal: a name may hold anything."""
        super().__init__("".join(c if c.isprintable() else repr(c)[1:-1] for c in message))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The nearest of the `known` names as a clause to end an error with; all of them if none is near.

    >>> did_you_mean("gur", ["elman", "gru", "lstm"])
    "did you mean 'gru'?"
    """
    known = sorted(known)
    near = difflib.get_close_matches(str(name), known, n=3, cutoff=0.5)
    if near:
        return f"did you mean {' or '.join(repr(n) for n in near)}?"
    return f"known: {', '.join(known)}" if known else "there are none"


@contextlib.contextmanager
def about(what: str) -> Iterator[None]:
    """Says in a UserError what it is about."""
    try:
        yield
    except UserError as e:
        raise UserError(f"{what}: {e}") from e


def flat(text: object, most: int | None = None) -> str:
    """A text without its line breaks; what goes on for longer is cut off."""
    return " ".join(str(text).split())[:most]


def one_line(error: BaseException, most: int = 300) -> str:
    """An exception's kind and message in one line; what goes on for longer is cut off."""
    text = flat(f"{type(error).__name__}: {error}").removesuffix(":")
    return text if len(text) <= most else f"{text[:most]} ..."


def reason(error: OSError | ValueError) -> str:
    """Why a path was refused, in the same words on all Pythons: 3.13 has others for a NUL in it."""
    found = str(getattr(error, "strerror", error))
    return "embedded null byte" if "embedded null" in found else found


@contextlib.contextmanager
def blaming(what: str) -> Iterator[None]:
    """Turns whatever is raised into a UserError: "what fails: ValueError: ... (my_cells.py, line 7)"."""
    try:
        yield
    except UserError:
        raise
    except Exception as e:
        raise UserError(f"{what} fails: {one_line(e)}{_place(e)}") from e


def _place(error: Exception) -> str:
    """The line that raised it, or called into an installed package that did; "" if there is none."""
    installed = tuple(sysconfig.get_paths()[name] for name in ("purelib", "platlib", "stdlib"))
    own = [f for f in traceback.extract_tb(error.__traceback__) if not f[0].startswith(installed)]
    return f" ({pathlib.Path(own[-1].filename).name}, line {own[-1].lineno})" if own else ""


@contextlib.contextmanager
def one_line_errors() -> Iterator[None]:
    """Ends a program with one line and a code: 2 for a mistake, 130 for Ctrl-C, 143 for SIGTERM.

    It ends without a line, with the code 141, where the reader of its output has gone.
    """
    try:
        yield
    except UserError as e:
        _end(str(e), 2)
    except KeyboardInterrupt as e:
        _end(str(e) or "stopped", getattr(e, "code", 130))
    except BrokenPipeError:
        # Python flushes standard output at its end, which is to find somebody then.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except Exception as e:
        if not isinstance(e, MemoryError) and "RESOURCE_EXHAUSTED" not in str(e):  # XLA's
            raise
        _end(
            f"the memory does not suffice ({one_line(e)}): lower cell.hidden_size, cell.layers, "
            "train.batch_size, train.truncation or sample.count",
            2,
        )


def show_tracebacks(wanted: bool) -> None:
    """Whether an error that ends the program in one line has its traceback above, from now on."""
    LOGGER.setLevel(logging.DEBUG if wanted else logging.NOTSET)
    if wanted and not LOGGER.handlers:
        LOGGER.addHandler(logging.StreamHandler())
        LOGGER.propagate = False


def _end(line: str, code: int) -> NoReturn:
    """Ends the program while an error is handled."""
    LOGGER.debug("what led to the line below:", exc_info=True)
    print(f"rnnzoo: {line}", file=sys.stderr)
    sys.exit(code)
