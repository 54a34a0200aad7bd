"""The names and shapes of every cell's parameters, kept so that saved runs go on loading.

    python -m tests.golden.parameters

writes them anew: after a cell was added. A changed line means that older runs no longer load.
"""

import json
import pathlib

import haiku as hk
import jax
import jax.numpy as jnp

from rnnzoo import registry

FILE = pathlib.Path(__file__).with_name("parameters.json")
D, H = 6, 8


def collect() -> dict[str, dict[str, list[int]]]:
    """{cell: {'module:name': shape}} for inputs of D features and a hidden size of H."""

    def shapes(name):
        def step(x):
            core = registry.make(name, H)
            return core(x, core.initial_state(1))

        params = jax.eval_shape(hk.transform(step).init, jax.random.key(0), jnp.zeros((1, D)))
        return {
            f"{module}:{parameter}": list(a.shape)
            for module, own in sorted(params.items())
            for parameter, a in sorted(own.items())
        }

    return {name: shapes(name) for name in registry.names()}


if __name__ == "__main__":
    FILE.write_text(json.dumps(collect(), indent=1) + "\n", encoding="utf-8")
