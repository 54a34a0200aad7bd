"""A recurrent loop's step at one unit, as CUDA.

A loop is fit for the kernel if its step is one product of one of its states with a weight, and besides
that arithmetic of each unit by itself. Then a step and its derivative are functions of a few numbers:
JAX traces and differentiates them, and what comes of it is printed as C.
"""

import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import JaxprEqn, Literal, Var

from rnnzoo.unroll.plan import Loop
from rnnzoo.unroll.product import Product
from rnnzoo.unroll.rewrite import ELEMENTWISE
from rnnzoo.unroll.trace import CannotTrace, bind, evaluate, leading_to, read

SAME = frozenset("broadcast_in_dim reshape squeeze convert_element_type copy stop_gradient".split())
ALLOWED = (
    ELEMENTWISE
    | SAME
    | frozenset("select_n ge gt le lt eq ne and or not custom_jvp_call jit".split())
)
NUMBER = jax.ShapeDtypeStruct((), jnp.float32)

INFIX = {"add": "+", "add_any": "+", "sub": "-", "mul": "*", "div": "/", "gt": ">", "ge": ">="}
INFIX |= {"lt": "<", "le": "<=", "eq": "==", "ne": "!=", "and": "&&", "or": "||"}
CALLS = {"tanh": "tanhf", "exp": "expf", "log": "logf", "log1p": "log1pf", "expm1": "expm1f"}
CALLS |= {"sqrt": "sqrtf", "rsqrt": "rsqrtf", "abs": "fabsf", "max": "fmaxf", "min": "fminf"}
CALLS |= {"sin": "sinf", "cos": "cosf", "erf": "erff", "pow": "powf", "exp2": "exp2f"}
FORMS = {
    "neg": "-{0}",
    "not": "!{0}",
    "square": "{0} * {0}",
    "one_minus_square": "(1.0f - {0}) * (1.0f + {0})",
    "logistic": "1.0f / (1.0f + expf(-{0}))",
    "sign": "float(({0} > 0.0f) - ({0} < 0.0f))",
    "select_n": "{0} ? {2} : {1}",
}


class Unit:
    """A loop's step at one unit.

    Attributes:
      loop: the loop.
      products: its products, all of one operand.
      exchanged: which of its states that operand is, by position.
      emitted: which of the emitted variables are not that state's next value.
      size: H, the units.
    """

    def __init__(
        self, loop: Loop, products: Sequence[Product], inputs: Sequence[Var], shared: Sequence[Var]
    ):
        """Takes a loop of the plan with what its body reads.

        Raises:
          CannotTrace: its step is not one of single units.
        """
        self.loop, self.products, self.inputs, self.shared = loop, products, inputs, shared
        operands = {p.operand for p in products}
        if len(operands) != 1 or not operands <= set(loop.state):
            raise CannotTrace("has not exactly one product, of one of its states")
        self.exchanged = loop.state.index(operands.pop())
        shape = loop.state[0].aval.shape
        if len(shape) != 2:
            raise CannotTrace("has a state that is not of the shape [B, H]")
        self.size = shape[-1]
        after = loop.next_state[self.exchanged]
        self.emitted = [i for i, v in enumerate(loop.emitted) if v is not after]
        whole = [*loop.state, *inputs, *(p.result for p in products), *loop.emitted]
        if self.size % 32:
            raise CannotTrace(f"has {self.size} units, not a multiple of 32,")
        if any(v.aval.shape != shape for v in whole) or any(p.rows is None for p in products):
            raise CannotTrace("has states or inputs that are not one number for each unit")
        results = {p.result for p in products}
        for e in loop.body:
            if results.isdisjoint(e.outvars) and e.primitive.name not in ALLOWED:
                raise CannotTrace(f"does more than arithmetic of single units ({e.primitive.name})")

    def __call__(self, states, inputs, shared, products):
        """Numbers before a step to (next states, emitted)."""
        env = dict(zip(self.loop.state, states, strict=True))
        env |= zip(self.inputs, inputs, strict=True)
        env |= zip(self.shared, shared, strict=True)
        made = {p.result: y for p, y in zip(self.products, products, strict=True)}

        def rule(eqn, operands):
            if eqn.outvars[0] in made:
                return [made[eqn.outvars[0]]]
            return [operands[0]] if eqn.primitive.name in SAME else _in_float32(eqn, operands)

        env |= {p.weight: None for p in self.products}
        evaluate(self.loop.body, env, rule)
        wanted = [self.loop.emitted[i] for i in self.emitted]
        return [read(env, a) for a in self.loop.next_state], [read(env, v) for v in wanted]

    @functools.cached_property
    def arguments(self) -> list[list[jax.ShapeDtypeStruct]]:
        """The shapes of what `__call__` takes."""
        sizes = [self.loop.state, self.inputs, self.shared, self.products]
        return [[NUMBER] * len(each) for each in sizes]

    def backward(self, states, inputs, shared, products, d_next, d_emitted):
        """The gradients by what `__call__` takes, from those by what it returns."""
        _, pull = jax.vjp(self, states, inputs, shared, products)
        return pull((d_next, d_emitted))

    @functools.cached_property
    def same_gradients(self) -> dict[int, int]:
        """Inputs by position to the product, by position, that has the same gradient."""
        jaxpr = _flat(self.backward, self._backward_arguments)
        _, d_inputs, _, d_products = self._grouped(jaxpr.outvars)
        return {i: d_products.index(d) for i, d in enumerate(d_inputs) if d in d_products}

    @functools.cached_property
    def own_inputs(self) -> list[int]:
        """The inputs, by position, whose gradients are no product's."""
        return [i for i in range(len(self.inputs)) if i not in self.same_gradients]

    @property
    def _backward_arguments(self):
        return [*self.arguments, self.arguments[0], [NUMBER] * len(self.emitted)]

    def _grouped(self, flat: list) -> list[list]:
        rest, found = list(flat), []
        for each in self.arguments:
            found.append(rest[: len(each)])
            rest = rest[len(each) :]
        return found

    def source(self, dtype: jnp.dtype, exact: bool) -> str:
        """What the kernel needs in front of it."""
        kind = {"float32": "float", "bfloat16": "__nv_bfloat16"}[jnp.dtype(dtype).name]
        own = ", ".join(map(str, [*self.own_inputs, 0]))
        forward = _function("unit_forward", self, self.arguments, "s x p y", "n e")
        backward = _function(
            "unit_backward", self.backward, self._backward_arguments, "s x p y dn de", "ds dx dp dy"
        )
        return "\n".join(
            [
                "#include <cuda_bf16.h>",
                f"using Number = {kind};",
                f"constexpr bool EXACT = {str(exact).lower()};",
                f"constexpr int H = {self.size}, GATES = {len(self.products)};",
                f"constexpr int STATES = {len(self.loop.state)}, EXCHANGED = {self.exchanged};",
                f"constexpr int INPUTS = {len(self.inputs)}, SHARED = {len(self.shared)};",
                f"constexpr int EMITTED = {len(self.emitted)};",
                f"constexpr int OWN_INPUT_GRADIENTS = {len(self.own_inputs)};",
                f"__device__ constexpr int OWN_INPUTS[] = {{{own}}};",
                forward,
                backward,
            ]
        )


def _in_float32(eqn: JaxprEqn, operands: list) -> list | None:
    """An equation on float32 numbers, whatever its own precision is."""
    if eqn.primitive.name in ("custom_jvp_call", "jit"):
        return None
    return bind(eqn, [_number(a) for a in operands])


def _number(a):
    return jnp.asarray(a, jnp.float32) if jnp.issubdtype(jnp.result_type(a), jnp.floating) else a


def _flat(function: Callable, arguments):
    """A function of numbers as a jaxpr without calls."""
    closed = jax.make_jaxpr(function)(*arguments)

    def run(*numbers):
        env = dict(zip(closed.jaxpr.constvars, closed.consts, strict=True))
        env |= zip(closed.jaxpr.invars, numbers, strict=True)
        evaluate(closed.jaxpr.eqns, env, _inline)
        return [read(env, v) for v in closed.jaxpr.outvars]

    return jax.make_jaxpr(run)(*closed.in_avals).jaxpr


def _inline(eqn: JaxprEqn, operands: list) -> list | None:
    if eqn.primitive.name in SAME:
        return [operands[0]]
    if eqn.primitive.name != "custom_jvp_call":
        return None
    inner = eqn.params["call_jaxpr"]
    env = dict(zip(inner.jaxpr.constvars, inner.consts, strict=True))
    env |= zip(inner.jaxpr.invars, operands, strict=True)
    evaluate(inner.jaxpr.eqns, env, _inline)
    return [read(env, v) for v in inner.jaxpr.outvars]


def _function(name: str, function: Callable, arguments, takes: str, returns: str) -> str:
    """A function of lists of numbers to lists of numbers, as C."""
    jaxpr = _flat(function, arguments)
    shapes = jax.tree.leaves(
        jax.eval_shape(function, *arguments), is_leaf=lambda a: isinstance(a, list)
    )
    name_of = dict(zip(jaxpr.invars, _elements(takes, arguments), strict=True))
    lines = []
    for i, eqn in enumerate(leading_to(jaxpr.eqns, jaxpr.outvars)):
        (result,) = eqn.outvars
        kind = "bool" if result.aval.dtype == np.bool_ else "float"
        expression = _expression(eqn, [_c(a, name_of) for a in eqn.invars])
        lines.append(f"  const {kind} v{i} = {expression};")
        name_of[result] = f"v{i}"
    places = zip(_elements(returns, shapes), jaxpr.outvars, strict=True)
    lines += [f"  {place} = {_c(a, name_of)};" for place, a in places]
    head = ", ".join(
        [*(f"const float* {n}" for n in takes.split()), *(f"float* {n}" for n in returns.split())]
    )
    return "\n".join([f"__device__ inline void {name}({head}) {{", *lines, "}"])


def _elements(names: str, arrays: Sequence[Sequence]) -> list[str]:
    """Every element of arrays of these names, in C."""
    pairs = zip(names.split(), arrays, strict=True)
    return [f"{name}[{i}]" for name, each in pairs for i in range(len(each))]


def _c(atom, name_of: dict) -> str:
    if not isinstance(atom, Literal):
        return name_of[atom]
    value = np.asarray(atom.val)
    if value.dtype == np.bool_:
        return str(bool(value)).lower()
    return (
        f"float({float(value)!r})"
        if np.isfinite(value)
        else f"({'-' if value < 0 else ''}INFINITY)"
    )


def _expression(eqn: JaxprEqn, operands: list[str]) -> str:
    name = eqn.primitive.name
    if name in INFIX:
        return f" {INFIX[name]} ".join(operands)
    if name in CALLS:
        return f"{CALLS[name]}({', '.join(operands)})"
    if name in FORMS:
        return FORMS[name].format(*operands)
    if name == "integer_pow":
        power = " * ".join([operands[0]] * abs(eqn.params["y"]))
        return power if eqn.params["y"] > 0 else f"1.0f / ({power})"
    raise CannotTrace(f"does at a unit what has no form in C yet ({name})")
