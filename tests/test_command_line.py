import pytest

from rnnzoo import command_line
from rnnzoo import config as configs
from rnnzoo.errors import UserError


def overridden(*words, only=""):
    arguments = command_line.parse(["rnnzoo", *words])
    return command_line.override(configs.default_config(), arguments.overrides, only)


def test_flags():
    words = "--mode=sample --workdir runs/a --cell_module=a --cell_module=b.c --config=c.py"
    arguments = command_line.parse(["rnnzoo", *words.split()])
    alone = (None, None, None, False)
    rest = (*alone, ("runs/a",), 8765)
    assert arguments == ("sample", "runs/a", "c.py", [], ["a", "b.c"], None, False, *rest)
    assert command_line.parse(["rnnzoo", "--run=runs/b"]).workdir == "runs/b"
    rest = (*alone, (), 8765)
    assert command_line.parse(["rnnzoo"]) == ("train", None, None, [], [], None, False, *rest)


def test_a_mode_may_read_several_runs():
    arguments = command_line.parse(["rnnzoo", "play", "runs/a", "runs/b", "--port=0"])
    assert (arguments.workdir, arguments.runs, arguments.port) == (
        "runs/a",
        ("runs/a", "runs/b"),
        0,
    )
    with pytest.raises(UserError, match="evaluate reads one run, and 2 are named"):
        command_line.parse(["rnnzoo", "evaluate", "runs/a", "runs/b"])


def test_flags_of_several_processes_belong_to_training():
    words = ["--coordinator=a:1", "--processes=2", "--process=0"]
    arguments = command_line.parse(["rnnzoo", *words])
    assert (arguments.coordinator, arguments.processes, arguments.process) == ("a:1", 2, 0)
    assert command_line.parse(["rnnzoo", "--distributed"]).distributed
    with pytest.raises(UserError, match="several processes can train together, not sample"):
        command_line.parse(["rnnzoo", "--mode=sample", *words])


def test_overrides_have_the_types_of_the_defaults():
    config = overridden(
        "--config.cell.hidden_size=12",
        "--config.optimizer.learning_rate=1",
        "--config.corpus.split=(0.8, 0.1, 0.1)",
        "--config.corpus.unknown",
        "--config.sample.prompt=12",
        "--config.sample.length",
        "7",
    )
    assert config.cell.hidden_size == 12
    assert config.optimizer.learning_rate == 1.0
    assert config.corpus.split == (0.8, 0.1, 0.1)
    assert config.corpus.unknown is True
    assert config.sample.prompt == "12"
    assert config.sample.length == 7
    assert (
        overridden("--config.corpus.unknown", "--noconfig.corpus.unknown").corpus.unknown is False
    )


def test_a_prompt_may_hold_anything():
    for prompt in ("", "a=b", "two\nlines", "--config.x", " sp ace ", "é日"):
        assert overridden(f"--config.sample.prompt={prompt}").sample.prompt == prompt


def test_options_need_no_default():
    config = overridden(
        "--config.cell.options.activation=relu",
        "--config.cell.options.forget_bias=2.5",
        "--config.cell.options.delayed=True",
        "--config.optimizer.options.momentum=0.9",
    )
    expected = {"activation": "relu", "forget_bias": 2.5, "delayed": True}
    assert config.cell.options.to_dict() == expected
    assert config.optimizer.options.momentum == 0.9


def test_the_config_given_stays_as_it_is():
    config = configs.default_config()
    command_line.override(config, ["--config.cell.layers=2", "--config.cell.options.a=1"])
    assert config.to_dict() == configs.default_config().to_dict()


@pytest.mark.parametrize(
    "words, message",
    [
        ("--moed=sample", "there is no flag --moed: did you mean '--mode'"),
        ("--mode=tarin", "should be one of <train|sample|evaluate|cells|reproduce|play>"),
        ("--workdir", "Missing value for flag --workdir"),
        ("trian", "'trian' belongs to no flag"),
        ("--config.cell.nmae=x", "config.cell has no key 'nmae': did you mean 'name'"),
        ("--config.cell.hidden_size=abc", "must be a whole number, not 'abc'"),
        ("--config.cell.hidden_size=", "must be a whole number, not ''"),
        ("--config.cell.hidden_size", "must be a whole number, not ''"),
        ("--config.cell.hidden_size=0", "must be at least 1"),
        ("--config.optimizer.learning_rate=fast", "must be a number, not 'fast'"),
        ("--config.corpus.unknown=perhaps", "must be True or False, not 'perhaps'"),
        ("--config.cell.options.activation", "needs a value"),
        ("--config.cell=gru", "there is no config.cell: did you mean"),
    ],
)
def test_a_mistake_is_one_line(words, message):
    with pytest.raises(UserError, match=message) as e:
        overridden(*words.split())
    assert "\n" not in str(e.value)


def test_only_one_section_may_be_open():
    assert overridden("--config.sample.length=3", only="sample").sample.length == 3
    with pytest.raises(UserError, match=r"only config\.sample\.\* can be changed"):
        overridden("--config.cell.name=lstm", only="sample")


def test_help_names_every_flag_and_key():
    text = command_line.help_text()
    for key, value in configs.flatten(configs.default_config()):
        assert f"--config.{key}={value!r}" in text
    for flag in ("--config ", "--mode ", "--workdir ", "--run ", "--cell_module ", "--split "):
        assert flag in text
    assert max(len(line) for line in text.splitlines()) <= 100
