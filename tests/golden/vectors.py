"""What other libraries' cells computed, kept so that the plain test run needs none of them.

Each <cell>.npz was made by `python -m tests.golden.make` and holds, in float64: inputs `xs` [T, B, D],
our parameters `params/<module>:<name>`, `outputs`, the last state's arrays `state/<i>`, the numbers
that weigh them in a loss (`weights/outputs`, `weights/state/<i>`), and that loss's gradients
`gradients/xs` and `gradients/<module>:<name>`; the initial state is the cell's own. `library` names
the class that computed it.
"""

import functools
import pathlib

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np

import rnnzoo
from rnnzoo import registry

FOLDER = pathlib.Path(__file__).parent
H, TOLERANCE = 8, 1e-10


def names() -> list[str]:
    """The cells that have a file."""
    return sorted(path.stem for path in FOLDER.glob("*.npz"))


def nested(flat: dict[str, np.ndarray], prefix: str) -> dict[str, dict[str, np.ndarray]]:
    """Haiku's parameters from keys '<prefix><module>:<name>'."""
    params = {}
    for key, value in flat.items():
        if key.startswith(prefix) and ":" in key:
            module, name = key.removeprefix(prefix).split(":")
            params.setdefault(module, {})[name] = value
    return params


def make_core(name: str) -> hk.RNNCore:
    """The cell as it is compared; its module has its registered name."""
    return registry.entry(name).factory(hidden_size=H, name=name, **OPTIONS.get(name, {}))


def model(name: str) -> hk.Transformed:
    """(params, xs) -> (outputs, last state's arrays) of a registered cell, from its initial state."""

    def run(xs):
        core = make_core(name)
        outputs, state = rnnzoo.unroll(core, xs, core.initial_state(xs.shape[1]))
        return outputs, jax.tree.leaves(state)

    return hk.without_apply_rng(hk.transform(run))


# Where the other library's cell is ours with other options than the default.
OPTIONS: dict[str, dict] = {}


def compare(name: str) -> None:
    """Asserts that the cell computes what its file holds."""
    with np.load(FOLDER / f"{name}.npz", allow_pickle=False) as file:
        check(name, dict(file))


def check(name: str, golden: dict[str, np.ndarray], tolerance: float = TOLERANCE) -> None:
    """Asserts that the cell computes what another library did, recorded as in a file."""
    params, xs = nested(golden, "params/"), golden["xs"]

    def loss(params, xs):
        outputs, state = model(name).apply(params, xs)
        weighed = [(golden["weights/outputs"], outputs)]
        weighed += [(golden[f"weights/state/{i}"], s) for i, s in enumerate(state)]
        return sum(jnp.sum(w * a) for w, a in weighed), (outputs, state)

    results, (by_params, by_xs) = jax.jit(jax.value_and_grad(loss, (0, 1), has_aux=True))(
        params, xs
    )
    (_, (outputs, state)) = results
    same = functools.partial(np.testing.assert_allclose, rtol=tolerance, atol=tolerance)
    same(outputs, golden["outputs"], err_msg=f"{name}: outputs")
    for i, s in enumerate(state):
        same(s, golden[f"state/{i}"], err_msg=f"{name}: state {i}")
    same(by_xs, golden["gradients/xs"], err_msg=f"{name}: gradient of the inputs")
    expected = nested(golden, "gradients/")
    for module, own in by_params.items():
        for parameter, g in own.items():
            same(
                g, expected[module][parameter], err_msg=f"{name}: gradient of {module}:{parameter}"
            )


def library(name: str) -> str:
    """The library, and the class in it, that computed the cell's file."""
    with np.load(FOLDER / f"{name}.npz", allow_pickle=False) as file:
        return str(file["library"])
