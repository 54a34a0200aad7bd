"""Makes the golden vectors, with torch.nn and torchrecurrent: python -m tests.golden.make"""

import functools
from collections.abc import Callable

import jax
import numpy as np
import torch
import torchrecurrent
from torchrecurrent.base import DecoupledDoubleStateCellBase, DecoupledSingleStateCellBase

from rnnzoo.weights import to_torch, to_torchrecurrent
from rnnzoo.weights.torchrecurrent import CELLS
from tests.golden import vectors
from tests.golden.record import D, record

TORCH = {"elman": "RNN", "gru": "GRU", "lstm": "LSTM"}
SQUARE = ("intersection_rnn",)  # torchrecurrent's takes no other inputs than of H features
# The last state as rnnzoo's cell has it, where that is not theirs.
STATES = {
    "janet": lambda cell, state: [state[1]],
    "lstm_1997": lambda cell, state: [state[0], 2 * state[1]],
    "ran": lambda cell, state: [state[1]],
    "tgru": lambda cell, state: [state[0], state[1] @ cell.weight_hh.T],
    "tlstm": lambda cell, state: [state[0], state[1] @ cell.weight_hh.T],
}


class HardSigmoid(torch.nn.Module):
    """torch.nn.Hardsigmoid, but its gradient in double precision: torch's own 1/6 is in single."""

    def forward(self, a):
        """min(1, max(0, a / 6 + 1 / 2))."""
        return torch.clamp(a / 6 + 0.5, 0, 1)


EXACT = {name: {"gate_nonlinearity": HardSigmoid()} for name in ("sgu", "dsgu")}


def with_torch(name: str) -> dict[str, np.ndarray]:
    """What torch.nn computes."""
    layer = getattr(torch.nn, TORCH[name])(D, vectors.H)
    convert = functools.partial(to_torch, name)
    return record(name, f"torch.nn.{TORCH[name]}", convert, differentiate(layer, run_layer))


def with_torchrecurrent(name: str) -> dict[str, np.ndarray]:
    """What torchrecurrent computes."""
    twin, features = CELLS[name], vectors.H if name in SQUARE else D
    options = dict(twin.options) | EXACT.get(name, {})
    if "delay" in options:  # which the layer does, not the cell
        kind, layer = twin.name, 0
        run = functools.partial(run_delayed, delay=options["delay"])
    else:
        kind, layer = f"{twin.name}Cell", None
        run = functools.partial(run_cell, state_of=STATES.get(name))
    module = getattr(torchrecurrent, kind)(features, vectors.H, **options)
    convert = functools.partial(to_torchrecurrent, name, layer=layer)
    return record(name, f"torchrecurrent.{kind}", convert, differentiate(module, run), features)


def differentiate(module: torch.nn.Module, run: Callable) -> Callable:
    """The argument of that name of `record`, from run: (module, xs) -> (outputs, state)."""

    def call(weights, xs, loss_weights):
        module.double().load_state_dict({k: torch.from_numpy(v) for k, v in weights.items()})
        xs = torch.from_numpy(xs).requires_grad_()
        results = run(module, xs)
        weighed = jax.tree.map(lambda w, a: (torch.from_numpy(w) * a).sum(), loss_weights, results)
        sum(jax.tree.leaves(weighed)).backward()
        by_weights = jax.tree.map(np.zeros_like, weights)  # what is no parameter stays zero
        by_weights |= {k: p.grad.numpy() for k, p in module.named_parameters()}
        return jax.tree.map(lambda a: a.detach().numpy(), results), by_weights, xs.grad.numpy()

    return call


def run_layer(layer, xs):
    """A layer of torch.nn, whose state has an axis of layers."""
    outputs, state = layer(xs)
    return outputs, [s[0] for s in (state if isinstance(state, tuple) else (state,))]


def run_delayed(layer, xs, delay):
    """A layer of torchrecurrent's; our state is its last outputs."""
    outputs, _ = layer(xs)
    return outputs, [outputs[-delay - 1 :].swapaxes(0, 1)]


def run_cell(cell, xs, state_of=None):
    """A cell of torchrecurrent's, step by step."""
    decoupled = isinstance(cell, (DecoupledSingleStateCellBase, DecoupledDoubleStateCellBase))
    outputs, state = [], None
    for x in xs:
        result = cell(x, state)
        output, state = result if decoupled else (result, result)
        outputs.append(output[0] if isinstance(output, tuple) else output)
    if state_of is not None:
        return torch.stack(outputs), state_of(cell, state)
    return torch.stack(outputs), list(state) if isinstance(state, tuple) else [state]


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    torch.set_num_threads(1)  # with more, products this small are slower
    for name in TORCH.keys() | CELLS.keys():
        arrays = with_torch(name) if name in TORCH else with_torchrecurrent(name)
        np.savez_compressed(vectors.FOLDER / f"{name}.npz", **arrays)
