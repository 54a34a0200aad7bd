"""The one kind of error that is the user's to mend, and the 'did you mean' that goes with it."""

import contextlib
import difflib
import sys
from collections.abc import Iterable


class UserError(ValueError):
    """A mistake a person can mend: the message is one line saying what, why and how."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The nearest of the `known` names as a clause to end an error with; all of them if none is near."""
    known = sorted(known)
    near = difflib.get_close_matches(str(name), known, n=3, cutoff=0.5)
    if near:
        return f"did you mean {' or '.join(repr(n) for n in near)}?"
    return f"known: {', '.join(known)}" if known else "there are none"


@contextlib.contextmanager
def about(what: str):
    """Says in a UserError what it is about."""
    try:
        yield
    except UserError as e:
        raise UserError(f"{what}: {e}") from e


@contextlib.contextmanager
def one_line_errors():
    """Ends a program with one line and a code: 2 for a mistake, 130 for Ctrl-C, 143 for SIGTERM."""
    try:
        yield
    except UserError as e:
        print(f"rnnzoo: {e}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt as e:
        print(f"rnnzoo: {e or 'stopped'}", file=sys.stderr)
        sys.exit(getattr(e, "code", 130))
