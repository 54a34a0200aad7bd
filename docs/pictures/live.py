"""The picture of the live view, docs/pictures/live.svg: of a run that another process trains.

    python docs/pictures/live.py

trains the quickstart, follows it as `rnnzoo watch` does, and draws what is on the terminal half-way.
"""

import io
import os
import pathlib
import subprocess
import sys
import tempfile
import time

from rich.console import Console

from rnnzoo.watch import Follower

WIDTH, HALF = 92, 60  # columns; epochs of 100
RUN = "runs/pydoc-gru"


def main() -> None:
    """Draws the picture."""
    picture = pathlib.Path(__file__).with_suffix(".svg").absolute()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        command = [sys.executable, "-m", "rnnzoo.main", "--quiet", f"--workdir={RUN}"]
        training = subprocess.Popen(command)
        config = pathlib.Path(RUN, "config.json")
        while not config.exists() or not config.read_text():
            time.sleep(0.1)
        follower = Follower(pathlib.Path(RUN))
        while not (follower.poll() and follower.last and follower.last["epoch"] >= HALF):
            if training.poll() is not None:
                sys.exit("the training ended before the picture was drawn")
            time.sleep(0.1)
        console = Console(record=True, width=WIDTH, force_terminal=True, file=io.StringIO())
        console.print(follower.view)
        picture.write_text(console.export_svg(title=f"rnnzoo watch {RUN}"), encoding="utf-8")
        training.terminate()
        training.wait()


if __name__ == "__main__":
    main()
