"""Completion in real shells."""

import os
import pty
import re
import select
import shutil
import subprocess
import time

import pytest

from rnnzoo import completion, registry
from rnnzoo import config as configs
from rnnzoo.modes import MODES, SHELLS, flags_of

CASES = [
    ("rnnzoo ", list(MODES)),
    ("rnnzoo eval", ["evaluate"]),
    ("rnnzoo sample --w", ["--workdir="]),
    ("rnnzoo sample --config.sample.to", ["--config.sample.top_k=", "--config.sample.top_p="]),
    ("rnnzoo sample --config.cell", []),
    ("rnnzoo --config.cell.name=minimal_", ["minimal_rnn"]),
    ("rnnzoo evaluate --split=", ["train", "validation", "test"]),
    ("rnnzoo evaluate --split t", ["train", "test"]),
    ("rnnzoo --config.corpus.unknown=", ["True", "False"]),
    ("rnnzoo --config.optimizer.schedule=co", ["constant", "cosine"]),
    ("rnnzoo --config.corpus.name=sh", ["shakespeare"]),
    ("rnnzoo --config=my_c", ["my_config.py"]),
    ("rnnzoo watch my_r", ["my_runs"]),
    ("rnnzoo --mode=sample --run=my_r", ["my_runs"]),
    ("rnnzoo completion ", ["bash", "zsh", "fish"]),
    ("rnnzoo cells my", []),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("completion")
    for shell in SHELLS:
        (folder / f"script.{shell}").write_text(completion.script(shell))
    (folder / "my_config.py").touch()
    (folder / "my_runs").mkdir()
    return folder


def output(folder, program, text):
    (folder / "program").write_text(text)
    done = subprocess.run([program, "program"], cwd=folder, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


# What readline does: it splits the line at COMP_WORDBREAKS, and calls the function of `complete`.
BASH = """
complete -p rnnzoo > /dev/null || exit 1
COMP_WORDBREAKS=$' \\t\\n"\\'><=;|&(:'
compopt() {{ :; }}
COMP_LINE={line!r} COMP_POINT={point} COMPREPLY=()
_rnnzoo
[[ ${{#COMPREPLY[@]}} -eq 0 ]] || printf '%s\\n' "${{COMPREPLY[@]}}"
echo end
"""


def test_bash(folder):
    calls = "".join(BASH.format(line=line, point=len(line)) for line, _ in CASES)
    found = output(folder, "bash", "source script.bash\n" + calls).split("end\n")
    assert [sorted(part.splitlines()) for part in found[:-1]] == [sorted(e) for _, e in CASES]


def test_bash_where_equals_breaks_no_word(folder):
    line = "rnnzoo --config.cell.name=minimal_"
    call = BASH.format(line=line, point=len(line)).replace("<=;", "<;")
    found = output(folder, "bash", f"source script.bash\n{call}")
    assert found == "--config.cell.name=minimal_rnn\nend\n"


@pytest.mark.skipif(not shutil.which("fish"), reason="fish is not installed")
def test_fish(folder):
    calls = "".join(f"complete -C '{line}'; echo end\n" for line, _ in CASES)
    found = output(folder, "fish", f"source script.fish\n{calls}").split("end\n")
    for (line, expected), part in zip(CASES, found, strict=False):
        words = [word.rpartition("=")[2] or word for word in part.split()]
        assert sorted(w.rstrip("/") for w in words) == sorted(expected), line


def typed(folder, shell, setup, keys, end):
    """What a real interactive shell shows after some keys, on a terminal of its own."""
    ours, its = pty.openpty()
    environment = {**os.environ, "TERM": "dumb", "HOME": str(folder), "INPUTRC": "/dev/null"}
    ends = {"stdin": its, "stdout": its, "stderr": its}
    process = subprocess.Popen(shell, cwd=folder, env=environment, start_new_session=True, **ends)
    os.close(its)
    try:
        os.write(ours, f"{setup}; echo rea''dy\n".encode())
        until(ours, "ready")
        os.write(ours, keys.encode())
        return until(ours, end)
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def until(terminal, pattern, seconds=30):
    shown, end = "", time.monotonic() + seconds
    while not re.search(pattern, shown):
        assert time.monotonic() < end, shown
        if select.select([terminal], [], [], 0.1)[0]:
            shown += os.read(terminal, 4096).decode(errors="replace")
    return shown


@pytest.mark.parametrize(
    ("shell", "setup"),
    [
        (["bash", "--norc", "-i"], "source script.bash"),
        (["zsh", "-f", "-i"], "autoload -U compinit; compinit -u -D; source script.zsh"),
    ],
    ids=["bash", "zsh"],
)
def test_the_tab_key(folder, shell, setup):
    if not shutil.which(shell[0]):
        pytest.skip(f"{shell[0]} is not installed")
    setup += "; rnnzoo() { printf '<%s>' \"$@\"; echo; }"
    keys = "rnnzoo eval\t--spl\ttes\t--ru\tmy_r\t\n"
    shown = typed(folder, shell, setup, keys, end="<--run=.*>")
    assert re.search("<evaluate><--split=test><--run=my_runs/?>", shown)


def test_every_flag_key_and_cell_is_in_the_tables():
    for mode in MODES:
        found = completion.words(mode)
        assert {f"--{flag.name}" for flag in flags_of(mode)} <= {w.rstrip("=") for w in found}
    keys = {f"--config.{key}=" for key, _ in configs.flatten(configs.default_config())}
    assert keys - {f"--config.{section}=" for section in configs.FREE} <= {
        *completion.words("train")
    }
    assert completion.values()["--config.cell.name"] == registry.names()
