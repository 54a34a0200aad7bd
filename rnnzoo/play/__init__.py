"""A local page on which a person types a prompt and sees what trained runs expect.

The way of a request through this package: `guard` lets in what comes from this machine's own page,
`request` checks what is wished for and how much of it, `server` hands it to a `player`, which watches
the sampler, and streams what it says; `display` chooses what of a state is shown.
"""

import importlib.util
import os
import socket
from collections.abc import Callable, Sequence

from rnnzoo.errors import UserError
from rnnzoo.play.player import Player
from rnnzoo.runs import Run

HOST = "127.0.0.1"  # nothing outside of this machine can reach it
MOST_RUNS = 6  # side by side on one page


def serve(folders: Sequence[str | None], open_run: Callable[[str | None], Run], port: int) -> None:
    """Serves the page until Ctrl-C or SIGTERM.

    Args:
      folders: the runs' folders; what None is, `open_run` says.
      open_run: opens one of them.
      port: to listen at; 0 for any that is free.

    Raises:
      UserError: a package is missing; too many runs; the port is taken; a run cannot be opened.
      Stopped: the signal came.
    """
    if missing := [n for n in ("starlette", "uvicorn") if not importlib.util.find_spec(n)]:
        raise UserError(
            f"the page needs {' and '.join(missing)}, which is not installed: pip install 'rnnzoo[play]'"
        )
    if len(folders) > MOST_RUNS:
        raise UserError(
            f"the page has room for {MOST_RUNS} runs, and {len(folders)} are named: name fewer"
        )
    with _listening(port) as listener:
        from rnnzoo.play.server import run_until_stopped  # which imports these packages

        opened = [open_run(folder) for folder in folders]
        run_until_stopped([Player(run) for run in opened], listener)


def _listening(port: int) -> socket.socket:
    try:
        return socket.create_server((HOST, port))
    except OSError as e:
        raise UserError(
            f"--port={port} cannot be listened at: {os.strerror(e.errno or 0)}: give another, or 0 for "
            "any that is free"
        ) from e
