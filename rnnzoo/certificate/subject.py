"""The core under test: its functions compiled once, its parameters and inputs at random."""

import functools
from collections.abc import Callable
from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np

from rnnzoo.unroll import unroll
from rnnzoo.untyped import Tree

# One step, written from a paper by somebody else: (flat parameters, x, state) -> (output, next state).
Reference = Callable[[dict[str, jax.Array], jax.Array, Any], tuple[Any, Any]]

STEPS, ACROSS_CHUNKS = 30, 70  # chunks have 64 steps at most
FASTER = ("deferred", "chunked")

# These functions run a few times each: most of their time is that of the compiler.
jit: Callable[..., Any] = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 0}
)


class Subject:
    """A core, with random inputs and parameters that no initialiser left at zero, in float64."""

    make_core: Callable[[], hk.RNNCore]
    reference: Reference | None
    input_size: int
    batch_size: int

    def __init__(
        self,
        make_core: Callable[[], hk.RNNCore],
        reference: Reference | None = None,
        input_size: int = 6,
        batch_size: int = 2,
    ):
        """Makes a subject; nothing is computed before a check asks for it.

        Args:
          make_core: makes the core; called inside `hk.transform`.
          reference: an independent implementation of one step, see `flat`.
          input_size: D.
          batch_size: B.
        """
        self.make_core, self.reference = make_core, reference
        self.input_size, self.batch_size = input_size, batch_size

        def build():
            core = make_core()

            def run(xs, state, strategy):
                return unroll(core, xs, state, strategy=strategy)

            def init(xs):
                return run(xs, core.initial_state(xs.shape[1]), "plain")

            return init, (run, core.initial_state, lambda: hasattr(core, "parallel"))

        self._init, (self._run, self._initial_state, self._has_parallel) = hk.multi_transform(build)

    def inputs(self, steps: int, seed: int = 0) -> jax.Array:
        """Standard normal inputs, [steps, B, D]."""
        return jnp.asarray(normal(seed, (steps, self.batch_size, self.input_size)))

    @functools.cached_property
    def initial_params(self) -> Tree:
        """The parameters as the cell initialises them."""
        return jit(self._init)(jax.random.key(1), self.inputs(1))

    @functools.cached_property
    def params(self) -> Tree:
        """The same with noise, so that no zero hides an error."""
        noise = np.random.default_rng(2)
        return jax.tree.map(
            lambda a: a + 0.1 * noise.normal(size=a.shape).astype(a.dtype), self.initial_params
        )

    @functools.cached_property
    def key(self) -> jax.Array | None:
        """The random key that the core needs, or None if it can do without."""
        try:
            jax.eval_shape(
                lambda p: self.run(p, self.inputs(1), self.initial_state(p)), self.params
            )
        except ValueError as e:
            if "PRNG" not in str(e) and "rng" not in str(e):
                raise
            return jax.random.key(3)
        return None

    @functools.cached_property
    def strategies(self) -> tuple[str, ...]:
        """The faster ways to unroll this core."""
        return FASTER + ("parallel",) * self._has_parallel(self.params, None)

    def run(
        self,
        params: Tree,
        xs: jax.Array,
        state: Tree,
        strategy: str = "plain",
        key: jax.Array | None = None,
    ) -> tuple[Tree, Tree]:
        """(outputs, last state)."""
        return self._run(params, key, xs, state, strategy)

    def initial_state(self, params: Tree, batch_size: int | None = -1) -> Tree:
        """The core's initial state; for B rows if `batch_size` is not given."""
        return self._initial_state(
            params, None, self.batch_size if batch_size == -1 else batch_size
        )

    @functools.cached_property
    def steps(self) -> int:
        """How many time steps the checks have."""
        return ACROSS_CHUNKS if "parallel" in self.strategies else STEPS

    @functools.cached_property
    def offset(self) -> Tree:
        """What to add to the initial state for one from the middle of a sequence."""
        first = self.initial_state(self.params)
        run = jit(functools.partial(self.run, key=self.key))
        _, state = run(self.params, self.inputs(3, seed=4), first)
        return jax.tree.map(lambda s, i: jnp.where(jnp.isfinite(i), s - i, 0), state, first)

    def start(self, params: Tree, offset: Tree) -> Tree:
        """The initial state plus the offset."""
        return jax.tree.map(jnp.add, self.initial_state(params), offset)

    @functools.cache  # noqa: B019, a subject lives as long as its checks
    def gradients(self, strategy: str) -> Callable[..., Tree]:
        """Compiled (params, xs, offset) -> ((loss, (outputs, state)), gradients by all three)."""
        key = self.key

        def loss(params, xs, offset):
            state = self.start(params, offset)
            results = self.run(params, xs, state, strategy, key)
            return counting_all(results), results

        return jit(jax.value_and_grad(loss, (0, 1, 2), has_aux=True, allow_int=True))

    @functools.cached_property
    def arguments(self) -> tuple[Tree, jax.Array, Tree]:
        """What `gradients` is called with."""
        return self.params, self.inputs(self.steps), self.offset

    @functools.cached_property
    def expected(self) -> Tree:
        """What a plain `lax.scan` of the core gives, differentiated by JAX."""
        return self.gradients("plain")(*self.arguments)


def normal(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    """Standard normal numbers, of NumPy, which has nothing to compile."""
    return np.random.default_rng(seed).normal(size=shape)


def counting_all(tree: Tree) -> jax.Array:
    """A scalar that every number in the tree counts in, whatever its size."""
    leaves = [a for a in jax.tree.leaves(tree) if jnp.issubdtype(a.dtype, jnp.inexact)]
    parts = [p for a in leaves for p in ([a.real, a.imag] if jnp.iscomplexobj(a) else [a])]
    return sum(jnp.sum(jnp.sin(p + i).astype(float)) for i, p in enumerate(parts))


def flat(params: Tree) -> dict[str, jax.Array]:
    """Haiku's parameters of one cell by short names: {'U/w': ..., 'W': ...}.

    The cell's own name and Haiku's '~' are left out: 'mamba/~/conv': {'w'} is 'conv/w'.
    """
    return {
        "/".join([part for part in module.split("/")[1:] if not part.startswith("~")] + [name]): a
        for module, own in params.items()
        for name, a in own.items()
    }
