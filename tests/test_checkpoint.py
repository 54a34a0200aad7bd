import json
import os

import jax
import numpy as np
import pytest

from rnnzoo import checkpoint, make
from rnnzoo.checkpoint import Series
from rnnzoo.errors import UserError
from rnnzoo.model import language_model


def model_of(cells, hidden_size=3):
    model = language_model(lambda: make(cells, hidden_size), 4, embedding_size=2)
    return model._replace(init=jax.jit(model.init))


def shapes(model):
    return jax.eval_shape(model.init, jax.random.key(0))


@pytest.fixture
def series(tmp_path):
    """Three checkpoints, of which two are kept, and the lines of warning."""
    lines = []
    with Series(tmp_path / "a", keep=2, warn=lines.append) as series:
        for number in (1, 2, 30):
            series.save(number, {"x": {"a": np.arange(4) + number}}, {"number": number})
        series.wait()
        series.lines = lines
        yield series


def restored(series):
    found = series.newest()
    tree = found.restore("x", {"a": jax.ShapeDtypeStruct((4,), np.int64)})
    np.testing.assert_array_equal(tree["a"], np.arange(4) + found.notes["number"])
    return found.notes["number"]


def test_a_round_trip_keeps_every_name_and_number(tmp_path):
    model = model_of(["stacked_elman", "gru", "lstm"])
    params = model.init(jax.random.key(1))
    assert any("/~/" in name for name in params)  # Haiku's names are paths: a store may split them
    with Series(tmp_path / "a", 1) as series:
        series.save(7, {"params": params}, {"loss": 1.5})
    found = Series(tmp_path / "a", 1).newest()
    again = found.restore("params", shapes(model))
    assert again.keys() == params.keys() and found.notes == {"loss": 1.5}
    jax.tree.map(np.testing.assert_array_equal, again, params)


def test_the_newest_are_kept(series):
    assert sorted(p.name for p in series.folder.iterdir()) == ["000000000002", "000000000030"]
    assert restored(series) == 30 and not series.lines


def test_what_is_saved_may_change_at_once(tmp_path):
    numbers = np.zeros(4, int)
    with Series(tmp_path / "a", 1) as series:
        series.save(0, {"x": {"a": numbers}}, {"number": 0})
        numbers += np.arange(4) + 5
    tree = series.newest().restore("x", {"a": jax.ShapeDtypeStruct((4,), np.int64)})
    assert not np.any(tree["a"])


def files(folder):
    return [p for p in sorted(folder.rglob("*")) if p.is_file() and p.name != checkpoint.CHECKSUMS]


def truncate(path):
    os.truncate(path, path.stat().st_size // 2)


def alter(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [truncate, alter, os.remove])
def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(series, damage):
    newest = series.newest().path
    largest = max(files(newest), key=lambda p: p.stat().st_size)
    damage(largest)
    assert restored(series) == 2
    assert len(series.lines) == 1 and str(newest) in series.lines[0]
    assert ("missing" if damage is os.remove else "altered") in series.lines[0]


def test_any_file_that_is_altered_is_found(series):
    newest = series.newest().path
    for path in files(newest):
        before = path.read_bytes()
        path.write_bytes(before + b" ")
        assert series.newest().path != newest, path
        path.write_bytes(before)
    assert series.newest().path == newest


def test_checksums_that_are_gone_or_no_json(series):
    sums = series.newest().path / checkpoint.CHECKSUMS
    sums.write_text("{")
    assert restored(series) == 2
    sums.unlink()
    assert restored(series) == 2


def test_none_is_whole(series):
    for path in series.folder.iterdir():
        (path / checkpoint.NOTES).write_text("x")
    assert series.newest() is None and len(series.lines) == 2


def test_what_a_dead_process_left_is_cleared_away(series):
    unfinished = series.folder / f"000000000031{checkpoint.UNFINISHED}"
    (unfinished / "x").mkdir(parents=True)
    assert restored(series) == 30
    with Series(series.folder, 2):
        assert not unfinished.exists()


def test_another_model_is_told_what_differs(tmp_path):
    with Series(tmp_path / "a", 1) as series:
        series.save(1, {"params": model_of("elman").init(jax.random.key(1))}, {})
    found = series.newest()
    with pytest.raises(UserError, match=r"elman/U\.w is \(2, 3\) instead of \(2, 5\)"):
        found.restore("params", shapes(model_of("elman", hidden_size=5)))
    with pytest.raises(UserError, match=r"elman/U\.b is \(3,\) instead of absent.* and \d more"):
        found.restore("params", shapes(model_of("gru")))


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    series = Series(tmp_path / "file" / "a", 1)
    with (
        pytest.raises(UserError, match=r"cannot be saved in .* Not a directory; none is") as e,
        series,
    ):
        series.save(1, {"x": {"a": np.ones(3)}}, {})
    assert "\n" not in str(e.value)


def test_a_failed_save_leaves_the_one_before(series, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "_checksums", full)
    series.save(31, {"x": {"a": np.ones(4)}}, {})
    with pytest.raises(UserError, match=r"No space left on device; .*000000000030' is whole"):
        series.wait()
    monkeypatch.undo()
    assert restored(series) == 30
    assert not list(series.folder.glob(f"*{checkpoint.UNFINISHED}"))


def test_nothing_on_disk_is_a_pickle(series):
    for path in files(series.newest().path):
        assert not path.read_bytes().startswith(b"\x80"), path
    json.loads((series.newest().path / checkpoint.NOTES).read_text())
