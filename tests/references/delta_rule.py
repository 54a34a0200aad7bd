"""Cells whose state is a matrix with a delta rule, and Mamba: step by step, head by head."""

import jax
import jax.numpy as np


def _sigmoid(a):
    return 1 / (1 + np.exp(-a))


def _silu(a):
    return a * _sigmoid(a)


def _softplus(a):
    return np.log(1 + np.exp(a))


def _to_unit_length(a):
    return a / np.sqrt(np.sum(a**2, axis=1, keepdims=True))


def _rms_norm(a, scale):
    return a / np.sqrt(np.mean(a**2, axis=1, keepdims=True) + 1e-5) * scale


def _layer_norm(a, scale, bias, epsilon):
    centred = a - np.mean(a, axis=1, keepdims=True)
    variance = np.mean(centred**2, axis=1, keepdims=True)
    return centred / np.sqrt(variance + epsilon) * scale + bias


def _read(S, k):
    """S^T k for every sequence of the batch: [B, d_k, d_v] and [B, d_k] to [B, d_v]."""
    return np.einsum("bkv,bk->bv", S, k)


def _outer(k, v):
    """k v^T for every sequence of the batch."""
    return k[:, :, None] * v[:, None, :]


def deltanet(p, x, S):
    # Yang et al. (2024), sections 2.2 and 3.3
    heads = S.shape[1]
    W_q, W_k, W_v = np.split(p["W_qkv/w"], 3, axis=1)
    q = np.split(_silu(x @ W_q), heads, axis=1)
    k = np.split(_silu(x @ W_k), heads, axis=1)
    v = np.split(_silu(x @ W_v), heads, axis=1)
    beta = _sigmoid(x @ p["W_beta/w"])
    outputs, states = [], []
    for n in range(heads):
        q_n, k_n = _to_unit_length(q[n]), _to_unit_length(k[n])
        v_old = _read(S[:, n], k_n)
        S_n = S[:, n] + _outer(k_n, beta[:, n : n + 1] * (v[n] - v_old))
        outputs.append(_rms_norm(_read(S_n, q_n), p["norm/scale"]))
        states.append(S_n)
    return np.concatenate(outputs, axis=1) @ p["W_o/w"], np.stack(states, axis=1)


def gated_deltanet(p, x, state):
    # Yang et al. (2025), equation 10 and figure 1
    S, (third_last, second_last, last) = state
    heads = S.shape[1]
    qkv = x @ p["W_qkv/w"]
    w = p["conv/w"]
    mixed = w[0] * third_last + w[1] * second_last + w[2] * last + w[3] * qkv
    q, k, v = np.split(_silu(mixed), 3, axis=1)
    q, k, v = np.split(q, heads, axis=1), np.split(k, heads, axis=1), np.split(v, heads, axis=1)
    beta = _sigmoid(x @ p["W_beta/w"])
    alpha = np.exp(-np.exp(p["A_log"]) * _softplus(x @ p["W_alpha/w"] + p["W_alpha/b"]))
    gate = np.split(_silu(x @ p["W_g/w"]), heads, axis=1)
    outputs, states = [], []
    for n in range(heads):
        q_n, k_n = _to_unit_length(q[n]), _to_unit_length(k[n])
        S_n = alpha[:, n, None, None] * S[:, n]
        S_n = S_n + _outer(k_n, beta[:, n : n + 1] * (v[n] - _read(S_n, k_n)))
        outputs.append(_rms_norm(_read(S_n, q_n), p["norm/scale"]) * gate[n])
        states.append(S_n)
    output = np.concatenate(outputs, axis=1) @ p["W_o/w"]
    return output, (np.stack(states, axis=1), (second_last, last, qkv))


def rwkv7(p, x, state):
    # Peng et al. (2025), section 4.1; the state has mu * x_{t-1} after each matrix for x_{t-1}
    S, before = state
    H, heads = p["xi"].shape[0], S.shape[1]
    cuts = (H, 2 * H, 3 * H, 3 * H + 32, 3 * H + 64)

    matrices = np.split(p["W"], cuts, axis=1)
    befores = np.split(before, cuts, axis=1)
    mixtures, nexts = [], []
    for mu, matrix, shifted in zip(p["mu"].T, matrices, befores, strict=True):
        mixtures.append(((1 - mu) * x) @ matrix + shifted)  # lerp(x_t, x_{t-1}, mu), projected
        nexts.append((mu * x) @ matrix)
    r, k, v, d, a, g = mixtures
    w = np.exp(-np.exp(-0.5) * _sigmoid(np.tanh(d) @ p["D_2/w"] + p["D_2/b"]))
    a = _sigmoid(a @ p["A_2/w"] + p["A_2/b"])
    g = _sigmoid(g) @ p["G_2/w"]
    kappa = p["xi"] * k
    k = k * (1 + p["alpha"] * (a - 1))

    outputs, states = [], []
    for n in range(heads):
        own = slice(n * H // heads, (n + 1) * H // heads)
        r_n, k_n, v_n, a_n = r[:, own], k[:, own], v[:, own], a[:, own]
        kappa_n = _to_unit_length(kappa[:, own])
        S_n = (
            w[:, own, None] * S[:, n]
            - _outer(a_n * kappa_n, _read(S[:, n], kappa_n))
            + _outer(k_n, v_n)
        )
        y = _layer_norm(_read(S_n, r_n), p["gain"][own], p["b"][own], 1e-5 * H / heads)
        bonus = np.sum(r_n * p["rho"][n] * k_n, axis=1, keepdims=True)
        outputs.append(y + bonus * v_n)
        states.append(S_n)
    output = (g * np.concatenate(outputs, axis=1)) @ p["W_o/w"]
    return output, (np.stack(states, axis=1), np.concatenate(nexts, axis=1))


def ttt(p, x, moved):
    # Sun et al. (2025), sections 2.1, 2.3 and 2.7; a learning rate of 1
    heads = moved.shape[1]
    theta_q, theta_k, theta_v = np.split(p["theta_qkv/w"], 3, axis=1)
    q = np.split(x @ theta_q, heads, axis=1)
    k = np.split(x @ theta_k, heads, axis=1)
    v = np.split(x @ theta_v, heads, axis=1)
    eta = _sigmoid(x @ p["theta_eta/w"])
    outputs, states = [], []
    for n in range(heads):
        gamma, b, eta_n = p["gamma"][n], p["b"][n], eta[:, n, None, None]

        def f(a, W, gamma=gamma, b=b):
            return a + _layer_norm(_read(W, a), gamma, b, 1e-5)

        def loss(W, n=n, f=f):
            return np.sum((f(k[n], W) - v[n]) ** 2)

        W = p["W_0"][n] + moved[:, n]
        W = W - eta_n * jax.grad(loss)(W)
        outputs.append(f(q[n], W))
        states.append(W - p["W_0"][n])
    return np.concatenate(outputs, axis=1), np.stack(states, axis=1)


def mamba(p, x, state):
    # Gu and Dao (2023), algorithm 2 and section 3.4
    (third_last, second_last, last), h = state
    N = h.shape[2]
    u, z = np.split(x @ p["W_in/w"], 2, axis=1)
    w = p["conv/w"]
    mixed = w[0] * third_last + w[1] * second_last + w[2] * last + w[3] * u
    v = _silu(mixed + p["conv/b"])
    rank = p["W_dt/w"].shape[0]
    r, B, C = np.split(v @ p["W_x/w"], (rank, rank + N), axis=1)
    delta = _softplus(r @ p["W_dt/w"] + p["W_dt/b"])
    A = -np.exp(p["A_log"])
    h = np.exp(delta[:, :, None] * A) * h + _outer(delta * v, B)
    y = np.einsum("ben,bn->be", h, C) + p["D"] * v
    return (y * _silu(z)) @ p["W_out/w"], ((second_last, last, u), h)
