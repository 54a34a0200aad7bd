"""Modules that register cells."""

from tests.bad_input.row import TRAIN, Row, file

CELL = """
import haiku as hk, jax, jax.numpy as jnp, rnnzoo
@rnnzoo.register("mine")
class Mine(rnnzoo.Cell):
    def __call__(self, x, h):
        {before}
        h = jnp.tanh(hk.Linear(self.hidden_size, w_init={init})(x) + h)
        return {result}
    {more}
"""


def cell_source(before="pass", init="None", result="h, h", more=""):
    return CELL.format(before=before, init=init, result=result, more=more)


def module(name, content, message):
    words = f"{TRAIN} --cell_module=cells_of_mine --config.cell.name=mine"
    return Row(name, words, message, file("cells_of_mine.py", content))


def cell(name, message, **parts):
    return module(name, cell_source(**parts), message)


def initial_state(result):
    return f"def initial_state(self, batch_size): return {result}"


PLUGINS = [
    Row("a module that is missing", f"{TRAIN} --cell_module=none_such",
        "'none_such' cannot be imported: ModuleNotFoundError"),
    module("an import error", "import none_such", "ModuleNotFoundError: No module named 'none_such'"),
    module("a syntax error", "def", "cannot be imported: SyntaxError: invalid syntax"),
    module("an error at import", "1 / 0", "cannot be imported: ZeroDivisionError"),
    module("an end of the program", "raise SystemExit(3)", "cannot be imported: SystemExit: 3"),
    module("no cell in it", "x = 1", "registers no cell: decorate one with @register"),
    module("a name that is taken", cell_source().replace('"mine"', '"gru"'),
           "a cell named 'gru' is registered already"),
    cell("__init__ without hidden_size", "takes no argument `hidden_size`; add one",
         more="def __init__(self, units): super().__init__(units)"),
    cell("__init__ that wants more", "cell 'mine' fails: TypeError",
         more="def __init__(self, hidden_size, depth): super().__init__(hidden_size)"),
    module("__call__ without the state", cell_source().replace("(self, x, h)", "(self, x)"),
           "cell 'mine' fails: TypeError"),
    module("no recurrent core",
           "import rnnzoo\n@rnnzoo.register('mine')\ndef mine(hidden_size): return hidden_size",
           "cell 'mine' fails: AttributeError: 'int' object has no attribute 'initial_state'"),
    cell("an error in a step", "fails: ZeroDivisionError: division by zero (cells_of_mine.py, line 6)",
         before="1 / 0"),
    cell("shapes that do not fit", "cell 'mine' fails: TypeError: add got incompatible shapes",
         before="h = h[:, :3]"),
    cell("a step that returns no pair", "the core returns 3 values: a step returns the pair",
         result="h, h, h"),
    cell("an output without rows", "a language model needs one array", result="h.sum(), h"),
    cell("several outputs", "a language model needs one array", result="(h, h), h"),
    cell("a state of changing shape", "make initial_state and the core agree",
         result="h, jnp.concatenate([h, h], -1)"),
    cell("a state of changing dtype", "make initial_state and the core agree",
         result="h, h.astype(jnp.float16)"),
    cell("a state of changing structure", "return the state in the form in which initial_state",
         result="h, (h, h)"),
    cell("an initial state of one row", "make initial_state and the core agree",
         more=initial_state("jnp.zeros((1, self.hidden_size))")),
    cell("a parameter of NaN", "parameter mine/linear.w is NaN or infinite before the first step",
         init="hk.initializers.Constant(jnp.nan)"),
    cell("an infinite parameter", "parameter mine/linear.w is NaN or infinite before the first step",
         init="hk.initializers.Constant(jnp.inf)"),
    cell("an initial state of NaN", "initial state is NaN before the first step",
         more=initial_state("jnp.full((batch_size, self.hidden_size), jnp.nan)")),
]  # fmt: skip
