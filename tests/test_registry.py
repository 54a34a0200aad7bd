"""The registry: names, options, plugins, and errors that help."""

import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig

import haiku as hk
import jax
import jax.numpy as jnp
import pytest

import rnnzoo
from rnnzoo import registry
from rnnzoo.errors import UserError

PLUGIN = pathlib.Path(__file__).parents[1] / "examples" / "plugin"


@pytest.fixture(autouse=True)
def only_for_this_test(monkeypatch):
    monkeypatch.setattr(registry, "_entries", dict(registry._entries))


def run(make_core, x):
    def unroll(x):
        core = make_core()
        return rnnzoo.unroll(core, x, core.initial_state(x.shape[1]))

    model = hk.transform(unroll)
    return model.apply(model.init(jax.random.key(0), x), None, x)


@pytest.fixture(scope="module")
def x():
    return jnp.ones((3, 2, 4))


def test_the_built_in_cells_are_there():
    assert {"elman", "gru", "lstm", "stacked_elman"} <= set(rnnzoo.names())
    assert len(rnnzoo.names()) >= 75
    assert {"lstm", "peephole_lstm"} <= set(rnnzoo.names(family="lstm"))
    linear = rnnzoo.names(linear=True)
    assert "mingru" in linear and "gru" not in linear
    assert rnnzoo.names(family="none such") == []


def test_every_cell_has_a_citation_in_the_bibliography():
    bibliography = (pathlib.Path(__file__).parents[1] / "docs" / "references.bib").read_text()
    keys = set(re.findall(r"^@\w+\{(\S+),", bibliography, re.MULTILINE))
    for name in rnnzoo.names():
        assert registry.entry(name).cites in keys, name


@pytest.mark.parametrize("name", rnnzoo.names())
def test_every_cell_says_its_equation_and_its_source(name):
    factory = registry.entry(name).factory
    assert ".. math::" in factory.__doc__
    if isinstance(factory, type):  # and no wrapper's function
        assert factory.__init__.__doc__ and factory.__call__.__doc__


def test_register_a_cell_of_ones_own(x):
    @rnnzoo.register("mine", family="test", linear=True)
    class Mine(rnnzoo.Cell):
        def __init__(self, hidden_size, gain=1.0, name=None):
            super().__init__(hidden_size, name)
            self.gain = gain

        def __call__(self, x, h):
            h = h + self.gain * hk.Linear(self.hidden_size)(x)
            return h, h

    assert rnnzoo.names(family="test") == ["mine"] and "mine" in rnnzoo.names(linear=True)
    outputs, state = run(lambda: rnnzoo.make("mine", 5, gain=0.0), x)
    assert outputs.shape == (3, 2, 5) and not state.any()


def test_register_any_core_of_haiku_or_a_function(x):
    rnnzoo.register("hk_gru", family="haiku")(hk.GRU)
    rnnzoo.register("relu_elman")(lambda hidden_size: rnnzoo.make("elman", hidden_size))
    for name in ("hk_gru", "relu_elman"):
        assert run(lambda name=name: rnnzoo.make(name, 5), x)[0].shape == (3, 2, 5)


def test_a_name_is_taken_once():
    rnnzoo.register("mine")(hk.GRU)
    with pytest.raises(UserError, match=r"'mine' is registered already.*GRU: choose another name"):
        rnnzoo.register("mine")(hk.LSTM)
    with pytest.raises(UserError, match="'elman' is registered already"):
        rnnzoo.register("elman")(registry.entry("elman").factory)


def test_a_factory_needs_a_hidden_size():
    with pytest.raises(UserError, match="takes no argument `hidden_size`"):
        rnnzoo.register("mine")(hk.IdentityCore)


def test_stacks_of_any_depth_and_mix(x):
    outputs, states = run(lambda: rnnzoo.make("gru", 5, layers=3), x)
    assert outputs.shape == (3, 2, 5) and len(states) == 3
    _, states = run(lambda: rnnzoo.make(["elman", "lstm"], 5, layers=2), x)
    assert [type(s).__name__ for s in states] == ["ArrayImpl", "LSTMState"] * 2
    _, states = run(lambda: rnnzoo.make(["elman", hk.GRU(7)], 5), x)
    assert [s.shape[-1] for s in states] == [5, 7]
    single = run(lambda: rnnzoo.make("elman", 5, layers=1), x)[1]
    assert single.shape == (2, 5)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(name="elmn", hidden_size=4), "no cell is named 'elmn': did you mean 'elman'"),
        (dict(name="qqqq", hidden_size=4), "no cell is named 'qqqq': known: "),
        (dict(name="lstm", hidden_size=4, forgetbias=1), "no option 'forgetbias'.*'forget_bias'"),
        (dict(name="lstm", hidden_size=0), "hidden_size must be .* at least 1, not 0"),
        (dict(name="lstm", hidden_size=2.5), "hidden_size must be .* not 2.5"),
        (dict(name="lstm", hidden_size=4, layers=0), "layers must be"),
        (dict(name=[], hidden_size=4), "at least one cell"),
    ],
)
def test_errors_are_one_clear_line(arguments, message):
    with pytest.raises(UserError, match=message) as e:
        rnnzoo.make(**arguments)
    assert "\n" not in str(e.value)


def test_one_core_is_not_shared_between_layers():
    def build():
        with pytest.raises(UserError, match="list the cores instead"):
            rnnzoo.make(hk.GRU(3), 3, layers=2)

    hk.transform(build).init(None)


def test_cells_from_a_module_of_the_working_folder(tmp_path, monkeypatch, x):
    (tmp_path / "cells_of_mine.py").write_text(
        "import haiku as hk, rnnzoo\nrnnzoo.register('from_module')(hk.GRU)\n"
    )
    (tmp_path / "no_cells.py").write_text("x = 1\n")
    (tmp_path / "broken_cells.py").write_text("1 / 0\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    assert registry.load_module("cells_of_mine") == ["from_module"]
    assert run(lambda: rnnzoo.make("from_module", 5), x)[0].shape == (3, 2, 5)
    with pytest.raises(UserError, match="registers no cell"):
        registry.load_module("no_cells")
    with pytest.raises(UserError, match="cannot be imported: ZeroDivisionError"):
        registry.load_module("broken_cells")
    with pytest.raises(UserError, match="cannot be imported: ModuleNotFoundError"):
        registry.load_module("none_such")


def test_an_installed_plugin(tmp_path):
    """The example package, installed, is listed without being imported, and made when asked for."""
    source, site = tmp_path / "plugin", tmp_path / "site"
    shutil.copytree(PLUGIN, source)
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    offline = ["--no-build-isolation", "--disable-pip-version-check", "--target", str(site)]
    subprocess.run([*install, *offline, str(source)], check=True, timeout=120)
    program = """
import sys, haiku as hk, jax, jax.numpy as jnp, rnnzoo
assert "leaky" in rnnzoo.names() and "rnnzoo_leaky" not in sys.modules
def run(x):
    core = rnnzoo.make("leaky", 5, rate=1.0)
    return rnnzoo.unroll(core, x, core.initial_state(2))[0]
model = hk.transform(run)
x = jnp.ones((3, 2, 4))
shape = model.apply(model.init(jax.random.key(0), x), None, x).shape
print(shape, "leaky" in rnnzoo.names("continuous"))
"""
    paths = {"PYTHONPATH": f"{site}:{sysconfig.get_path('purelib')}", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=paths, capture_output=True, text=True, timeout=120
    )
    assert done.stdout.strip() == "(3, 2, 5) True", done.stderr


class BrokenPlugin:
    name, value = "broken", "none_such:Cell"

    @staticmethod
    def load():
        raise ModuleNotFoundError("No module named 'none_such'")


def test_a_broken_plugin_fails_only_when_asked_for(monkeypatch):
    monkeypatch.setattr(registry, "_plugins", lambda: {"broken": BrokenPlugin})
    assert "broken" in rnnzoo.names()
    with pytest.raises(UserError, match="plugin 'none_such:Cell' cannot be loaded"):
        rnnzoo.make("broken", 4)
