"""The peer: PyTorch, eager; on a CPU with one thread and with two, the faster is the one to beat.

On a GPU its layers are cuDNN's. There, the precision of products is what JAX is told: TF32 unless
`jax.default_matmul_precision` asks for more.

torch.nn's layers compute rnnzoo's functions one to one (`rnnzoo.weights.torch`). Their second bias,
of which only the sum with the first matters, starts from zero, and in training it stays there: or
that sum would learn at twice the rate.
"""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
import torch
from torch.nn import functional as F

from benchmarks import epochs
from benchmarks.workloads import Layer
from rnnzoo.model import Params
from rnnzoo.weights import to_torch

THREADS = (1, 2)
DEVICE = "cuda" if jax.default_backend() == "gpu" else "cpu"
LAYERS = {"elman": "RNN", "stacked_elman": "RNN", "gru": "GRU", "lstm": "LSTM"}
# The cells of a stack, from the lowest up: how Haiku names them, and what they are.
STACKS = {
    "stacked_elman": {"stacked_elman/~/elman": "elman", "stacked_elman/~/elman_1": "elman"},
}


def torch_weights(cell: str, params: Params) -> dict[str, np.ndarray]:
    """The parameters of a registered cell as torch.nn's `state_dict`, a layer for each of a stack."""
    weights = {}
    for i, (module, kind) in enumerate(STACKS.get(cell, {cell: cell}).items()):
        weights |= to_torch(kind, params, i, module)
    return weights


def by_threads(
    name: str,
    layer: torch.nn.Module,
    weights: Callable[[Params], Mapping[str, np.ndarray]],
    params: Params,
    xs: jax.Array,
) -> dict[str, Layer]:
    """A torch layer as contenders that differ in their number of threads.

    Args:
      name: of the layer.
      layer: xs [T, B, D] -> (outputs, state).
      weights: rnnzoo's parameters -> the layer's `state_dict`.
      params: rnnzoo's.
      xs: the inputs, shape [T, B, D].
    """
    xs = _tensor(xs).requires_grad_()
    layer.to(DEVICE, xs.dtype)
    layer.load_state_dict({k: _tensor(v) for k, v in weights(params).items()})
    names, parameters = zip(*layer.named_parameters(), strict=True)

    def prepare(threads):
        torch.set_num_threads(threads)
        is_exact = jax.config.jax_default_matmul_precision == "highest"
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = not is_exact

    def call(threads):
        prepare(threads)
        outputs, _ = layer(xs)
        loss = outputs.square().mean()
        return loss, torch.autograd.grad(loss, [xs, *parameters]), QUEUE

    def forward(threads):
        prepare(threads)
        with torch.no_grad():
            return layer(xs)[0], QUEUE

    def read(result):
        loss, (d_xs, *d_weights), _ = result
        d_weights = map(_array, d_weights)
        return loss.item(), _array(d_xs), dict(zip(names, d_weights, strict=True))

    def trained(params):  # the state may hold zeros besides, in the place of a bias
        found = weights(params)
        return {name: found[name] for name in names}

    forms = {with_threads(name, n): n for n in THREADS} if DEVICE == "cpu" else {f"{name}, GPU": 1}
    return {
        form: Layer(lambda n=n: call(n), lambda n=n: forward(n), read, trained)
        for form, n in forms.items()
    }


class _Queue:
    """What a GPU has yet to do, for `jax.block_until_ready`."""

    def block_until_ready(self):
        """Waits until the GPU is done."""
        if DEVICE == "cuda":
            torch.cuda.synchronize()


QUEUE = _Queue()


def with_threads(name: str, threads: int) -> str:
    """A contender's name."""
    return f"{name}, {threads} thread{'s' * (threads > 1)}"


def layers(cell: str, H: int, params: Params, xs: jax.Array) -> dict[str, Layer]:
    """torch.nn's layer with one thread and with two; see `benchmarks.peers`."""
    if cell not in LAYERS:
        return {}
    layer = getattr(torch.nn, LAYERS[cell])(xs.shape[-1], H, len(STACKS.get(cell, [cell])))
    return by_threads(
        f"torch.nn.{LAYERS[cell]}", layer, lambda p: torch_weights(cell, p), params, xs
    )


def elman_step(x, state, W, c):
    """One step: x [B, H], biases included, state ([B, H],), W [H, H] to the next state."""
    return (torch.tanh(torch.addmm(x, state[0], W)),)


def gru_step(x, state, W, c):
    """One step: x [B, 3H], state ([B, H],), W [H, 3H], c [3H] to the next state."""
    (h,), H = state, W.shape[0]
    h_rz, h_n = torch.addmm(c, h, W).split([2 * H, H], 1)
    x_rz, x_n = x.split([2 * H, H], 1)
    r, z = torch.sigmoid(x_rz + h_rz).chunk(2, 1)
    return (torch.lerp(torch.tanh(torch.addcmul(x_n, r, h_n)), h, z),)


def lstm_step(x, state, W, c):
    """One step: x [B, 4H], biases included, state (h, c), W [H, 4H] to the next state."""
    i, f, g, o = torch.addmm(x, state[0], W).chunk(4, 1)
    c = torch.sigmoid(f) * state[1] + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


STEPS = {"elman": elman_step, "gru": gru_step, "lstm": lstm_step}


class Loop(torch.nn.Module):
    """Elman layers as a loop of one `addmm` and one `tanh` a step, the inputs looked up.

    A fifth faster than torch.nn.RNN on one-hot inputs, with batch 1 and with 32; written out like
    this, a GRU is no faster than torch.nn's and an LSTM slower.
    """

    def __init__(self, weights: Mapping[str, torch.Tensor]):
        """Takes the weights of a torch.nn.RNN."""
        super().__init__()
        kept = {k: v for k, v in weights.items() if not k.startswith("bias_hh")}
        kept["weight_ih_l0"] = kept["weight_ih_l0"].T.contiguous()  # a row for each character
        self.weights = torch.nn.ParameterDict(kept)
        self.depth = sum(k.startswith("weight_ih") for k in kept)

    def forward(self, ids, state):
        """Ids [T, B] and a state [layers, B, H], or None, to outputs [T, B, H] and the next state."""
        xs, last = ids, []
        for i in range(self.depth):
            U, W, b = (self.weights[f"{k}_l{i}"] for k in ("weight_ih", "weight_hh", "bias_ih"))
            xs = F.linear(xs, U, b) if i else F.embedding(xs, U) + b
            h, W, hs = xs.new_zeros(xs.shape[1:]) if state is None else state[i], W.T, []
            for x in xs.unbind():
                (h,) = elman_step(x, (h,), W, None)
                hs.append(h)
            xs = torch.stack(hs)
            last.append(h)
        return xs, torch.stack(last)


class OneHot(torch.nn.Module):
    """torch.nn's layer on one-hot inputs, its second bias held at zero."""

    def __init__(self, cell: str, weights: Mapping[str, torch.Tensor]):
        """Takes the weights of the layer for `cell`."""
        super().__init__()
        (_, V), (_, H) = weights["weight_ih_l0"].shape, weights["weight_hh_l0"].shape
        self.size = V
        self.layer = getattr(torch.nn, LAYERS[cell])(V, H, dtype=weights["weight_ih_l0"].dtype)
        self.layer.load_state_dict(weights)
        second = self.layer.bias_hh_l0
        if cell == "gru":  # of the second bias the last third is one of the cell's own
            trained = (torch.arange(3 * H) >= 2 * H).to(second.dtype)
            second.register_hook(lambda gradient: gradient * trained)
        else:
            second.requires_grad_(False)

    def forward(self, ids, state):
        """Ids [T, B] and the layer's state, or None, to outputs [T, B, H] and the next state."""
        xs = F.one_hot(ids, self.size).to(self.layer.weight_ih_l0.dtype)
        return self.layer(xs, state)


def job(cell: str, params: Params, T: int, threads: int) -> epochs.Epoch:
    """The exercise's job as one writes it in PyTorch, with the fused Adam, the fastest on a CPU.

    Args:
      cell: of `LAYERS`.
      params: of rnnzoo's language model with that cell.
      T: the characters of a piece.
      threads: how many.
    """
    weights = {k: _tensor(v) for k, v in torch_weights(cell, params).items()}
    core = Loop(weights) if LAYERS[cell] == "RNN" else OneHot(cell, weights)
    readout = _readout(params)
    trained = [p for p in [*core.parameters(), *readout.parameters()] if p.requires_grad]
    optimizer = torch.optim.Adam(trained, epochs.LEARNING_RATE, fused=True)

    def epoch(ids):
        torch.set_num_threads(threads)
        state, losses = None, []
        for piece in epochs.pieces(torch.from_numpy(ids).long(), T):
            outputs, state = core(piece[:-1], state)
            loss = F.cross_entropy(readout(outputs).flatten(0, 1), piece[1:].flatten())
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            state = jax.tree.map(torch.Tensor.detach, state)
            losses.append(loss.detach())
        return epochs.mean(torch.stack(losses).numpy(), ids, T)

    return epoch


def jobs(cell: str, params: Params, T: int) -> dict[str, Callable[[], epochs.Epoch]]:
    """The job with one thread and with two, each not yet made."""
    name = "torch loop" if LAYERS[cell] == "RNN" else f"torch.nn.{LAYERS[cell]}"
    return {with_threads(name, n): lambda n=n: job(cell, params, T, n) for n in THREADS}


class Sampler:
    """The language model one character at a time, without gradients.

    The input's part of every cell is looked up, with its bias, in a table of V rows made
    beforehand. A character is drawn from the softmax by dividing it by exponential noise, which
    takes half the time of `torch.multinomial`.
    """

    def __init__(self, cell: str, params: Params):
        """Takes the parameters of rnnzoo's language model with that cell."""
        weights = {k: _tensor(v) for k, v in torch_weights(cell, params).items()}
        kinds = STACKS.get(cell, {cell: cell}).values()
        parts = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        self.layers = [
            (STEPS[kind], *(weights[f"{part}_l{i}"] for part in parts))
            for i, kind in enumerate(kinds)
        ]
        _, U, W, b, _ = self.layers[0]
        self.table = U.T + b
        zeros = W.new_zeros(1, W.shape[1])
        self.start = [(zeros, zeros) if kind == "lstm" else (zeros,) for kind in kinds]
        self.readout = _readout(params)

    def step(self, ids: torch.Tensor, states: list) -> tuple[torch.Tensor, list]:
        """Ids [1] and the states of all layers to logits [1, V] and the next states."""
        x, after = self.table[ids], []
        for i, (step, U, W, b, c) in enumerate(self.layers):
            x = F.linear(x, U, b) if i else x
            after.append(step(x, states[i], W.T, c))
            x = after[-1][0]
        return self.readout(x), after

    @torch.inference_mode()
    def nats(self, ids: np.ndarray) -> float:
        """Nats per character on a text, ids [T + 1]."""
        ids, states, logits = torch.from_numpy(np.array(ids)).long(), self.start, []
        for t in range(len(ids) - 1):
            here, states = self.step(ids[t : t + 1], states)
            logits.append(here)
        return F.cross_entropy(torch.cat(logits), ids[1:]).item()

    @torch.inference_mode()
    def sample(self, start: int, length: int, temperature: float, threads: int) -> np.ndarray:
        """The ids of `length` characters after the one of id `start`."""
        torch.set_num_threads(threads)
        ids, states, drawn = torch.tensor([start]), self.start, []
        for _ in range(length):
            logits, states = self.step(ids, states)
            p = torch.softmax(logits / temperature, -1)
            ids = (p / torch.empty_like(p).exponential_()).argmax(-1)
            drawn.append(ids)
        return torch.cat(drawn).numpy()


def _readout(params: Params) -> torch.nn.Linear:
    w, b = (_tensor(params["readout"][k]) for k in "wb")
    readout = torch.nn.Linear(*w.shape, dtype=w.dtype)
    readout.load_state_dict({"weight": w.T, "bias": b})
    return readout


def _tensor(array) -> torch.Tensor:
    array = np.array(array)
    if array.dtype == jnp.bfloat16:  # which NumPy's own types do not have
        return torch.from_numpy(array.astype(np.float32)).to(DEVICE, torch.bfloat16)
    return torch.from_numpy(array).to(DEVICE)


def _array(tensor: torch.Tensor) -> np.ndarray:
    tensor = tensor.cpu()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
