import jax
import numpy as np
import pytest

from rnnzoo import checkpoint, make
from rnnzoo.errors import UserError
from rnnzoo.model import language_model


def model_of(cells, hidden_size=3):
    model = language_model(lambda: make(cells, hidden_size), 4, embedding_size=2)
    return model._replace(init=jax.jit(model.init))


def test_a_round_trip_keeps_every_name_and_number(tmp_path):
    model = model_of(["stacked_elman", "gru", "lstm"])
    params = model.init(jax.random.key(1))
    assert any("/~/" in name for name in params)  # Haiku's names are paths: a store may split them
    checkpoint.save(tmp_path / "a", params)
    restored = checkpoint.restore(tmp_path / "a", model)
    assert restored.keys() == params.keys()
    jax.tree.map(np.testing.assert_array_equal, restored, params)


def test_saving_again_replaces(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a relative path is taken from the working folder
    model = model_of("gru")
    checkpoint.save("a", model.init(jax.random.key(1)))
    newer = model.init(jax.random.key(2))
    checkpoint.save("a", newer)
    jax.tree.map(np.testing.assert_array_equal, checkpoint.restore("a", model), newer)
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_another_model_is_told_what_differs(tmp_path):
    checkpoint.save(tmp_path / "a", model_of("elman").init(jax.random.key(1)))
    with pytest.raises(UserError, match=r"elman/U\.w is \(2, 3\) instead of \(2, 5\)"):
        checkpoint.restore(tmp_path / "a", model_of("elman", hidden_size=5))
    with pytest.raises(UserError, match=r"elman/U\.b is \(3,\) instead of absent.* and \d more"):
        checkpoint.restore(tmp_path / "a", model_of("gru"))


def test_no_checkpoint_is_one_line(tmp_path):
    (tmp_path / "empty").mkdir()
    for folder in ("missing", "empty"):
        with pytest.raises(UserError, match="holds no parameters") as e:
            checkpoint.restore(tmp_path / folder, model_of("elman"))
        assert "\n" not in str(e.value)


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be saved"):
        checkpoint.save(tmp_path / "file" / "a", model_of("elman").init(jax.random.key(1)))
