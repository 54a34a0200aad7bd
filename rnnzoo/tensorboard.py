"""A run's event files for TensorBoard, by tensorboardX: no TensorFlow is needed.

Events are written at once, by the caller's own thread: a full disk is then an error as for every other
file, where tensorboardX's `SummaryWriter`, whose thread it would end, waits for ever.
"""

import importlib
import json
import pathlib
import time
from collections.abc import Callable, Sequence
from typing import Any

from rnnzoo.errors import UserError
from rnnzoo.untyped import ConfigDict

FOLDER = "tensorboard"  # within the run's
SCALARS = {
    "loss": "loss/training",
    "bpc": "bpc/training",
    "validation_loss": "loss/validation",
    "validation_bpc": "bpc/validation",
    "loss_spread": "loss/spread_of_seeds",
    "validation_loss_spread": "loss/spread_of_seeds_validation",
    "chars_per_second": "characters_per_second",
}  # of a row of metrics.jsonl, by what TensorBoard calls them


def check_installed() -> None:
    """Checks that event files can be written.

    Raises:
      UserError: tensorboardX is missing.
    """
    try:
        importlib.import_module("tensorboardX")
    except ImportError as e:
        raise UserError(
            "config.log.tensorboard needs tensorboardX: pip install 'rnnzoo[tensorboard]', or set it "
            "to False"
        ) from e


class Events:
    """Writes event files; a context manager. The step of an event is its epoch.

    Each training of a run writes a file of its own, once it has something to write. One that goes on
    from a checkpoint begins its file with the request to forget what was written from there on.

    Args:
      folder: the run's.
      config: of the run, shown as text.
      first: the first epoch that will be written.
      learning_rate: the epoch -> the learning rate at its end, by the schedule.
    """

    folder: pathlib.Path
    config: ConfigDict
    first: int
    learning_rate: Callable[[int], float]
    _writer: Any = None

    def __init__(
        self,
        folder: pathlib.Path,
        config: ConfigDict,
        first: int,
        learning_rate: Callable[[int], float],
    ):
        """Writes nothing yet."""
        self.folder, self.config, self.first = folder / FOLDER, config, first
        self.learning_rate = learning_rate

    def row(self, row: dict[str, Any]) -> None:
        """Writes a row of metrics.jsonl."""
        from tensorboardX.summary import scalar

        epoch = row["epoch"]
        for key in SCALARS.keys() & row.keys():
            self._write(epoch, summary=scalar(SCALARS[key], row[key]))
        self._write(epoch, summary=scalar("learning_rate", self.learning_rate(epoch)))
        self._writer.flush()

    def samples(self, epoch: int, samples: Sequence[str]) -> None:
        """Writes an epoch's samples, each as a block of Markdown."""
        self._text(epoch, "samples", "\n\n".join(_block(sample) for sample in samples))

    def warning(self, epoch: int, text: str) -> None:
        """Writes a warning."""
        self._text(epoch, "warnings", text)

    def close(self) -> None:
        """Ends the file, if there is one."""
        if self._writer:
            self._writer.close()

    def _text(self, epoch: int, tag: str, text: str) -> None:
        from tensorboardX.summary import text as summary

        self._write(epoch, summary=summary(tag, text))
        self._writer.flush()

    def _write(self, epoch: int, **event: Any) -> None:
        if not self._writer:
            self._begin()
        self._writer.write_event(_proto().Event(wall_time=time.time(), step=epoch, **event))

    def _begin(self) -> None:
        from tensorboardX.event_file_writer import EventsWriter

        self.folder.mkdir(exist_ok=True)
        # TensorBoard reads the files in the order of their names, which have whole seconds.
        suffix = f".{time.time_ns() % 10**9:09}"
        self._writer = EventsWriter(str(self.folder / "events"), suffix)
        if self.first > 1:
            log = _proto().SessionLog
            self._write(self.first, session_log=log(status=log.START))
        self._text(self.first, "config", _block(json.dumps(self.config.to_dict(), indent=2)))


def _proto() -> Any:
    """TensorBoard's events; their classes are made as the module is imported."""
    return importlib.import_module("tensorboardX.proto.event_pb2")


def _block(text: str) -> str:
    """A text that Markdown leaves as it is: each line of it indented."""
    return "\n".join(f"    {line}" for line in text.split("\n"))
