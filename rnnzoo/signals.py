"""Ctrl-C and SIGTERM, heard at the next occasion instead of at once."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator


class Stopped(KeyboardInterrupt):
    """A signal stopped the training; everything is saved.

    Attributes:
      code: the program's exit code, 128 + the signal's number.
    """

    code: int

    def __init__(self, message: str, number: int):
        """Says where it stopped and how to go on."""
        super().__init__(message)
        self.code = 128 + number


@contextlib.contextmanager
def hear_signals() -> Iterator[Callable[[], int]]:
    """A function that gives the number of the signal that asks to stop, or 0.

    Ctrl-C pressed twice interrupts at once.
    """
    heard = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: 0  # only the main thread hears signals
        return

    def hear(number, frame):
        heard.append(number)
        signal.signal(signal.SIGINT, before[signal.SIGINT])

    before = {number: signal.signal(number, hear) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: heard[0] if heard else 0
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
