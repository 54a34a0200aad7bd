import re
import shlex

import pytest

from rnnzoo import command_line, main
from rnnzoo import config as configs
from rnnzoo.errors import UserError
from rnnzoo.modes import FLAGS, MODES, RUNS, SHELL, Arguments


def overridden(*words, only=""):
    arguments = parse(*words)
    return command_line.override(configs.default_config(), arguments.overrides, only)


def parse(*words):
    return command_line.parse(["rnnzoo", *words])


def refused(*words):
    """The line that a command gives."""
    with pytest.raises(UserError) as e:
        parse(*words)
    return str(e.value)


def test_flags():
    words = "--mode=sample --workdir runs/a --cell_module=a --cell_module=b.c --config=c.py"
    assert parse(*words.split()) == Arguments(
        mode="sample",
        runs=("runs/a",),
        workdir="runs/a",
        config="c.py",
        cell_modules=("a", "b.c"),
    )
    assert parse("--run=runs/b").workdir == "runs/b"
    assert parse() == Arguments()
    assert parse("watch", "runs/a", "--interval=3").interval == 3.0
    assert parse("completion", "fish").shell == "fish"


def test_a_mode_may_read_several_runs():
    arguments = parse("play", "runs/a", "runs/b", "--port=0")
    assert (arguments.workdir, arguments.port) == ("runs/a", 0)
    assert arguments.runs == ("runs/a", "runs/b")
    assert "evaluate reads one run, and 2 are named" in refused("evaluate", "runs/a", "runs/b")


def test_flags_of_several_processes_belong_to_training():
    words = ["--coordinator=a:1", "--processes=2", "--process=0"]
    arguments = parse(*words)
    assert (arguments.coordinator, arguments.processes, arguments.process) == ("a:1", 2, 0)
    assert parse("--distributed").distributed
    assert refused("--mode=sample", *words) == (
        "sample takes no --coordinator: it is a flag of train"
    )


GIVEN = {bool: "", str: "=a", int: "=1", float: "=1"}


@pytest.mark.parametrize("mode", MODES)
def test_a_mode_takes_its_own_flags_and_no_other(mode):
    needed = ["bash"] if MODES[mode].words == SHELL else []
    for attribute, flag in FLAGS.items():
        given = f"--{flag.name}=" + flag.choices[0] if flag.choices else f"--{flag.name}"
        given += "" if flag.choices else GIVEN[flag.kind]
        if mode in flag.modes:
            assert getattr(parse(mode, *needed, given), attribute)
        else:
            assert f"{mode} takes no --{flag.name}: it is a flag of" in refused(
                mode, *needed, given
            )
    key = "--config.cell.name=lstm"
    if MODES[mode].section is None:
        assert f"{mode} takes no config, and config.cell.name is set" in refused(mode, *needed, key)
    else:
        assert parse(mode, *needed, key).overrides == (key,)


def test_the_words_of_a_mode():
    assert parse("evaluate", "runs/a").runs == ("runs/a",)
    assert "watch reads one run, and 2 are named: b, a" in refused("watch", "a", "--run=b")
    assert "for which shell? completion bash|zsh|fish" in refused("completion", "tcsh")
    assert "'runs/a' belongs to no flag" in refused("train", "runs/a")
    assert "did you mean 'train'?" in refused("trian")


def test_several_runs_for_a_mode_that_reads_several(monkeypatch):
    several = MODES["evaluate"]._replace(words=RUNS)
    monkeypatch.setitem(MODES, "evaluate", several)
    arguments = parse("evaluate", "runs/a", "runs/b")
    assert (arguments.runs, arguments.workdir) == (("runs/a", "runs/b"), "runs/a")


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
        ("--mode=tarin", "should be one of <train|sample|evaluate|cells|reproduce|"),
        ("--workdir", "Missing value for flag --workdir"),
        ("--quiet --verbose", "exclude each other"),
        ("watch --interval=0", r"--interval=0: 0.0 is not number >= 0.05"),
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


@pytest.mark.parametrize("mode", MODES)
def test_help_of_a_mode_names_its_flags_and_keys_and_no_other(mode):
    text = command_line.help_text(mode)
    for flag in FLAGS.values():
        assert (f"  {flag.usage} " in text) == (mode in flag.modes)
    section = MODES[mode].section
    for key, value in configs.flatten(configs.default_config()):
        own = section is not None and key.startswith(section)
        assert (f"--config.{key}={value!r}" in text) == own
    assert ("--config.optimizer.options.<option>" in text) == (mode == "train")
    assert max(len(line) for line in text.splitlines()) <= 100
    for example in MODES[mode].examples:
        parse(mode, *shlex.split(example))


def test_help_gives_every_mode_a_line():
    text = command_line.help_text()
    for name, mode in MODES.items():
        assert re.search(rf"  rnnzoo {name} +{mode.summary}", text)
        assert f"\n  rnnzoo {name}" in text
    assert max(len(line) for line in text.splitlines()) <= 100
    words = "--config.sample.prompt=cells --mode=sample --help".split()
    assert command_line.mode_of(words) == "sample"
    assert command_line.mode_of(["evaluate", "-h"]) == "evaluate"
    assert command_line.mode_of(["-h"]) is None


def test_every_mode_has_a_function():
    assert list(main.MODES) == list(MODES)
