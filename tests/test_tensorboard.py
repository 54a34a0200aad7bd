"""Event files, read back with the protobufs that tensorboardX ships."""

import pathlib
import signal
import struct
import sys

import numpy as np
import pytest

from rnnzoo import config as configs
from rnnzoo import runs, session
from rnnzoo.errors import UserError
from rnnzoo.metrics import read_metrics
from rnnzoo.session import Stopped

pytestmark = pytest.mark.usefixtures("compiled_once")


@pytest.fixture(autouse=True)
def work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text("the cat sat on the mat. " * 40)
    return tmp_path


def config(tensorboard=True, **train):
    return configs.complete(
        {
            "cell": {"name": "elman", "hidden_size": 8},
            "corpus": {"path": "text.txt", "split": (0.8, 0.2, 0)},
            "train": {
                "epochs": 6, "batch_size": 2, "truncation": 8, "max_subsequence_length": 40,
                "log_every": 2, "evaluate_every": 2, "save_minutes": 0, **train,
            },
            "sample": {"length": 5, "count": 2},
            "log": {"tensorboard": tensorboard},
        }
    )  # fmt: skip


def events(path):
    """The events of a file: each record is its length, a checksum, the event, a checksum."""
    from tensorboardX.proto.event_pb2 import Event

    data, found = pathlib.Path(path).read_bytes(), []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        found.append(Event.FromString(data[12 : 12 + length]))
        data = data[16 + length :]
    return found


def files(run):
    return sorted(pathlib.Path(run, "tensorboard").iterdir())


def shown(run):
    """What TensorBoard shows of a run: scalars and texts by tag and step, without what is purged."""
    found = {}
    for event in (e for path in files(run) for e in events(path)):
        if event.HasField("session_log"):
            assert event.session_log.status == event.session_log.START
            found = {k: v for k, v in found.items() if k[1] < event.step}
        for value in event.summary.value:
            text = value.tensor.string_val
            found[value.tag, event.step] = text[0].decode() if text else value.simple_value
    return found


@pytest.fixture
def whole(compiled_once, trained, tmp_path_factory):
    """A run that nothing interrupted, trained once for this file."""
    if not trained:
        trained.append(session.train(config(save_every=2), tmp_path_factory.mktemp("whole") / "a"))
    return trained[0]


@pytest.fixture(scope="module")
def trained():
    return []


def test_scalars_samples_and_config(whole):
    (path,) = files(whole)
    assert events(path)[0].file_version == "brain.Event:2"
    found = shown(whole)
    for row in read_metrics(whole):
        epoch = row["epoch"]
        assert found["loss/training", epoch] == pytest.approx(row["loss"], rel=1e-6)
        assert found["bpc/training", epoch] == pytest.approx(row["bpc"], rel=1e-6)
        assert found["characters_per_second", epoch] == pytest.approx(row["chars_per_second"])
        assert (("bpc/validation", epoch) in found) == (epoch % 2 == 0)
    assert found["loss/validation", 6] == pytest.approx(row["validation_loss"], rel=1e-6)
    # The cosine schedule: all of the learning rate at the beginning, half in the middle, 0 at the end.
    rates = [found["learning_rate", epoch] for epoch in range(1, 7)]
    np.testing.assert_allclose([rates[2], rates[5]], [2e-3, 0], atol=1e-9)
    samples = (whole / "samples.txt").read_text().partition("--- epoch 4")[0]
    for text in samples.split("--- epoch 2\n")[1:]:
        assert f"    {text.removesuffix(chr(10))}" in found["samples/text_summary", 2]
    assert '"tensorboard": true' in found["config/text_summary", 1]


def stop_after(monkeypatch, calls):
    seen = []

    def progress(self, epoch, pieces):
        seen.append(epoch)
        if len(seen) == calls:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr("rnnzoo.log.Log.progress", progress)


def test_a_resumed_run_shows_what_a_whole_one_does(whole, work, monkeypatch):
    stop_after(monkeypatch, 5)
    with pytest.raises(Stopped):
        session.train(config(save_every=2), "cut")
    monkeypatch.undo()
    monkeypatch.chdir(work)
    newest = max((work / "cut/checkpoints").iterdir())
    (newest / "notes.json").write_text("{}")  # so that epoch 5 is trained twice
    session.train(config(save_every=2), "cut")
    first, second = files("cut")
    assert max(e.step for e in events(first)) == 5 and min(e.step for e in events(second)[1:]) == 5
    expected, found = shown(whole), shown("cut")
    for key in expected:
        if key[0] not in ("config/text_summary", "characters_per_second"):
            assert found[key] == expected[key], key
    session.train(config(), "cut")  # complete: nothing is written
    assert files("cut") == [first, second]


def test_it_may_be_switched_on_and_off(whole):
    runs.check_same_config(whole, config(tensorboard=False, save_every=2))


def test_without_tensorboardx_it_is_one_line_before_anything_is_made(work, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(UserError, match=r"pip install 'rnnzoo\[tensorboard\]', or set it to False"):
        session.train(config(), "a")
    assert not (work / "a").exists()


def test_a_warning_is_a_text(work):
    from rnnzoo.log import Log
    from rnnzoo.tensorboard import Events

    (work / "a").mkdir()
    with Log(work / "a", 2, 1, events=Events(work / "a", config(), 1, lambda epoch: 0.5)) as log:
        log.record(1, [1.0], 1.0)
        log.warn("3 of 8 units are dead")
    found = shown("a")
    assert found["warnings/text_summary", 1] == "3 of 8 units are dead"
    assert found["learning_rate", 1] == 0.5
