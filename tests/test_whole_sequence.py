"""The prototype of a whole-sequence kernel, as far as a CPU can tell: all but its CUDA.

A stand-in for the compiled kernels does what `kernel.cu` promises, one step after the other, with the
cell's step at one unit; what is printed as C is compiled as C++ and called.
"""

import ctypes
import functools
import re
import shutil
import subprocess

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rnnzoo
from benchmarks import layers
from benchmarks.peers import haiku
from benchmarks.whole_sequence import run
from rnnzoo.errors import UserError

T, B, H = 5, 3, 32


class Kernels:
    """Stands in for `jax.ffi.ffi_call`; knows the unit of the loop that was traced last."""

    def __init__(self, monkeypatch):
        self.unit = None
        original = run.KernelLoop.__init__

        def remember(loop, *arguments):
            original(loop, *arguments)
            self.unit = loop.unit

        monkeypatch.setattr(run.KernelLoop, "__init__", remember)
        monkeypatch.setattr(run.KernelLoop, "_targets", ("forward", "backward"))
        monkeypatch.setattr(jax.ffi, "ffi_call", self.call)

    def call(self, name, shapes):
        compute = functools.partial(getattr(self, name), self.unit)

        def checked(*arguments, **attributes):
            single = [a.astype(jnp.float32) for a in arguments]  # as the kernel computes
            results = compute(*single, **attributes)
            assert [a.shape for a in results] == [s.shape for s in shapes]
            return [a.astype(s.dtype) for a, s in zip(results, shapes, strict=True)]

        return checked

    @staticmethod
    def forward(unit, W, *rest, T, B, save):
        X, P = len(unit.inputs), len(unit.shared)
        xs, shared, states = rest[:X], rest[X : X + P], list(rest[X + P :])
        shared = [jnp.broadcast_to(p, (B, unit.size)) for p in shared]
        exchanged, emitted, products, before = [], [], [], []
        for t in range(T):
            y = jnp.einsum("bk,nhk->nbh", states[unit.exchanged], W)
            before.append(jnp.stack(states))
            states, made = unit(states, [x[t] for x in xs], shared, list(y))
            exchanged.append(states[unit.exchanged])
            emitted.append(made)
            products.append(y)
        results = [jnp.stack(exchanged)]
        results += [jnp.stack(sequence) for sequence in zip(*emitted, strict=True)]
        saved = [jnp.stack(products), jnp.stack(before)] if save else []
        return [*results, *states, *saved]

    @staticmethod
    def backward(unit, W, *rest, T, B):
        X, P, E = len(unit.inputs), len(unit.shared), len(unit.emitted)
        xs, shared, (products, states, d_exchanged) = rest[:X], rest[X : X + P], rest[X + P :][:3]
        d_emitted, d_states = rest[X + P + 3 :][:E], list(rest[X + P + 3 + E :])
        shared = [jnp.broadcast_to(p, (B, unit.size)) for p in shared]
        deltas, d_xs, d_shared = [], [], [jnp.zeros((B, unit.size))] * P
        for t in reversed(range(T)):
            if deltas:
                d_states[unit.exchanged] += deltas[0] @ W.T
            d_states[unit.exchanged] += d_exchanged[t]
            d_states, d_x, d_p, d_y = unit.backward(
                list(states[t]), [x[t] for x in xs], shared, list(products[t]), d_states,
                [d[t] for d in d_emitted],
            )  # fmt: skip
            deltas.insert(0, jnp.concatenate(d_y, -1))
            d_xs.insert(0, [d_x[i] for i in unit.own_inputs])
            d_shared = [a + b for a, b in zip(d_shared, d_p, strict=True)]
        d_states[unit.exchanged] += deltas[0] @ W.T
        own = [jnp.stack(sequence) for sequence in zip(*d_xs, strict=True)]
        return [jnp.stack(deltas), *own, *d_states, *d_shared]


def compared(cell):
    """The layer by a plain scan and by the kernels, checked against each other."""
    xs = layers.inputs(T, B, H)
    params = layers.parameters(cell, H, {}, xs)
    make_core = functools.partial(rnnzoo.make, cell, H)
    unrolls = {"plain": layers.plain, "kernel": run.unroll}
    layers.check({name: haiku.layer(make_core, u, params, xs) for name, u in unrolls.items()})


@pytest.mark.parametrize("cell", ["elman", "gru", "lstm", "peephole_lstm"])
def test_the_loop_around_the_kernels(cell, monkeypatch):
    kernels = Kernels(monkeypatch)
    compared(cell)
    if cell == "lstm":  # what is only added to a product needs no gradient of its own
        assert kernels.unit.same_gradients == {i: i for i in range(4)}


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
@pytest.mark.parametrize("cell", ["gru", "peephole_lstm"])
def test_the_step_as_c(cell, monkeypatch, tmp_path):
    kernels = Kernels(monkeypatch)
    compared(cell)
    unit = kernels.unit
    # `inline` functions that nobody calls are left out of a library.
    plain = r"#include <cuda_bf16.h>|__device__|inline"
    source = re.sub(plain, "", unit.source(jnp.float32, False))
    (tmp_path / "unit.cpp").write_text('#include <cmath>\nextern "C" {\n' + source + "}\n")
    command = ["g++", "-shared", "-fPIC", "-o", tmp_path / "unit.so", tmp_path / "unit.cpp"]
    subprocess.run(command, check=True)
    library = ctypes.CDLL(str(tmp_path / "unit.so"))
    rng = np.random.default_rng(0)

    def numbers(groups):
        return [rng.standard_normal(len(each)).astype(np.float32) for each in groups]

    def call(function, taken, returned):
        results = [np.zeros(max(1, len(each)), np.float32) for each in returned]
        pointers = [a.ctypes.data_as(ctypes.c_void_p) for a in [*taken, *results]]
        function(*pointers)
        for found, each in zip(results, returned, strict=True):
            np.testing.assert_allclose(found[: len(each)], each, rtol=2e-5, atol=1e-6)

    taken = numbers(unit.arguments)
    call(library.unit_forward, taken, unit(*map(list, taken)))
    taken += numbers([unit.arguments[0], unit.emitted])
    call(library.unit_backward, taken, unit.backward(*map(list, taken)))


@pytest.mark.parametrize("cell, why", [("lru", "exactly one product"), ("on_lstm", "single units")])
def test_what_the_kernel_cannot_run_is_named(cell, why, monkeypatch):
    Kernels(monkeypatch)
    with pytest.raises(UserError, match=f"unroll: the core .*{why}.*: use 'plain'"):
        compared(cell)


def test_units_that_no_block_can_share_out(monkeypatch):
    Kernels(monkeypatch)
    monkeypatch.setitem(globals(), "H", 24)
    with pytest.raises(UserError, match="has 24 units, not a multiple of 32"):
        compared("elman")
