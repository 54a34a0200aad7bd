import json
import pathlib

import pytest

from rnnzoo import batches
from rnnzoo import config as configs
from rnnzoo.errors import UserError

FILES = sorted((pathlib.Path(__file__).parents[1] / "configs").glob("*.py"))


def write(path, text):
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_config_of_the_project_is_valid(path):
    assert configs.load(path).to_dict() == configs.complete(configs.load(path)).to_dict()


def test_the_learning_rate_of_war_and_peace_steps_down_once_an_epoch():
    config = configs.load("war_and_peace")
    trained, t = int(config.corpus.split[0] * 3_258_246), config.train
    row = -(-(trained - 1) // t.batch_size)
    pieces = batches.number_of_pieces(row, t.truncation)
    assert (config.optimizer.step_first, config.optimizer.step_every) == (10 * pieces, pieces)


def test_a_saved_config_comes_back(tmp_path):
    config = configs.default_config()
    config.cell.name, config.cell.options.activation = "elman", "relu"
    config.corpus.split = (0.5, 0.25, 0.25)
    saved = tmp_path / "config.json"
    configs.save(config, saved)
    for source in (saved, f"{configs.__file__}:{saved}"):
        assert configs.load(source).to_dict() == config.to_dict()
    assert configs.load(configs.__file__).to_dict() == configs.default_config().to_dict()


def test_a_partial_config_is_completed():
    config = configs.complete({"cell": {"hidden_size": 7}, "optimizer": {"learning_rate": 1}})
    assert (config.cell.hidden_size, config.optimizer.learning_rate) == (7, 1.0)
    assert config.train == configs.default_config().train


@pytest.mark.parametrize(
    "given, message",
    [
        ({"cell": {"nmae": "gru"}}, "config.cell has no key 'nmae': did you mean 'name'"),
        ({"cel": {"name": "gru"}}, "there is no config.cel.name: did you mean 'cell.name'"),
        ({"cell": 3}, "there is no config.cell: did you mean"),
        ({"cell": {"hidden_size": 2.5}}, "must be a whole number, not 2.5"),
        ({"cell": {"hidden_size": True}}, "must be a whole number, not True"),
        ({"cell": {"name": None}}, "must be a text, not None"),
        ({"cell": {"layers": 0}}, "must be at least 1, not 0"),
        ({"train": {"evaluate_every": -1}}, "must be at least 0"),
        ({"train": {"seed": 2**32}}, "must be less than"),
        ({"train": {"sampling": "steam"}}, "did you mean 'stream'"),
        ({"optimizer": {"learning_rate": float("nan")}}, "must be at least 0, not nan"),
        ({"optimizer": {"name": "admm"}}, "did you mean 'adam'"),
        ({"optimizer": {"schedule": "cosin"}}, "did you mean 'cosine'"),
        ({"corpus": {"unit": "byte"}}, "did you mean 'bytes'"),
        ({"corpus": {"split": ("a", 0, 0)}}, "must be three numbers"),
    ],
)
def test_a_mistake_is_one_line_with_the_nearest_name(given, message):
    with pytest.raises(UserError, match=message) as e:
        configs.complete(given)
    assert "\n" not in str(e.value)


@pytest.mark.parametrize(
    "text, message",
    [
        ("x = ", "SyntaxError"),
        ("1 / 0", "ZeroDivisionError"),
        ("x = 1", "needs a function get_config"),
        ("def get_config(): pass", "needs a function get_config"),
        ("def get_config(): return {'cel': {'name': 'gru'}}", "did you mean 'cell.name'"),
        (
            "from rnnzoo.config import default_config\n"
            "def get_config():\n  c = default_config()\n  c.train.epoch.x = 1\n",
            "AttributeError",
        ),
    ],
)
def test_a_broken_file_is_one_line(tmp_path, text, message):
    with pytest.raises(UserError, match=message) as e:
        configs.load(write(tmp_path / "c.py", text))
    assert "\n" not in str(e.value)


def test_a_file_may_take_an_argument(tmp_path):
    text = "def get_config(cell='gru'): return {'cell': {'name': cell}}"
    path = write(tmp_path / "c.py", text)
    assert configs.load(path).cell.name == "gru"
    assert configs.load(f"{path}:lstm").cell.name == "lstm"


def test_missing_and_foreign_files(tmp_path):
    with pytest.raises(UserError, match="there is no config file"):
        configs.load(str(tmp_path / "c.py"))
    for text in ("{", json.dumps([1])):
        with pytest.raises(UserError, match="is not a config saved by rnnzoo"):
            configs.load(write(tmp_path / "c.json", text))


def test_a_config_of_the_package_by_name(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert sorted(configs.named()) == [path.stem for path in FILES]
    for name in configs.named():
        there = configs.load(FILES[0].with_name(f"{name}.py"))
        assert configs.load(name).to_dict() == there.to_dict()


def test_an_unknown_name_is_one_line_with_the_nearest():
    with pytest.raises(UserError, match=r"no config is named 'sanat'.*: did you mean 'santa'"):
        configs.load("sanat")
    with pytest.raises(UserError, match="known: quickstart, santa"):
        configs.load("x")


def test_a_separator_or_suffix_makes_a_path(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in ("santa", "mine"):  # two files without a suffix, one called like a config
        write(tmp_path / name, "def get_config(): return {'cell': {'name': 'lstm'}}")
    assert configs.load("santa").cell.name == "elman"
    assert configs.load("./santa").cell.name == "lstm"
    assert configs.load("mine").cell.name == "lstm"
    with pytest.raises(UserError, match=r"there is no config file 'santa\.py'"):
        configs.load("santa.py")


def test_an_installed_package_has_its_own_folder(monkeypatch, tmp_path):
    write(tmp_path / "other.py", "def get_config(): return {}")
    monkeypatch.setattr(configs, "FOLDERS", (tmp_path, *configs.FOLDERS))
    assert configs.load("other").to_dict() == configs.default_config().to_dict()
