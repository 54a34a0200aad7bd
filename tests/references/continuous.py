"""The cells from differential equations: antisymmetric, oscillatory, LEM, LTC, CfC and LMU."""

import jax.numpy as np
import numpy
import scipy.linalg


def _sigmoid(a):
    return 1 / (1 + np.exp(-a))


def antisymmetric_rnn(p, x, h):
    # Chang et al. (2019), with the diffusion gamma. States are rows: h M' is the paper's M h.
    epsilon, gamma = 0.5, 0.1
    W = p["W"].T
    M = W - W.T - gamma * np.eye(h.shape[1])
    h = h + epsilon * np.tanh(h @ M.T + x @ p["V/w"] + p["V/b"])
    return h, h


def gated_antisymmetric_rnn(p, x, h):
    # Chang et al. (2019), with a gate: both nonlinearities see the same recurrent product.
    epsilon, gamma = 0.5, 0.1
    V_z, V_h = np.split(p["V/w"], 2, axis=1)
    b_z, b_h = np.split(p["V/b"], 2)
    W = p["W"].T
    M = W - W.T - gamma * np.eye(h.shape[1])
    z = _sigmoid(h @ M.T + x @ V_z + b_z)
    h = h + epsilon * z * np.tanh(h @ M.T + x @ V_h + b_h)
    return h, h


def cornn(p, x, state):
    # Rusch and Mishra (2021), section 2, with damping by epsilon z_{n-1} as in their code.
    dt, gamma, epsilon = 0.2, 2.7, 4.7
    y, z = state
    force = np.tanh(y @ p["W_y/w"] + z @ p["W_z/w"] + x @ p["V/w"] + p["V/b"])
    z = z + dt * force - dt * gamma * y - dt * epsilon * z
    y = y + dt * z
    return y, (y, z)


def unicornn(p, x, state):
    # Rusch and Mishra (2021), UnICORNN, one layer.
    dt, alpha = 0.5, 0.0
    y, z = state
    sigma_hat = 0.5 + 0.5 * np.tanh(p["c"] / 2)
    z = z - dt * sigma_hat * (np.tanh(p["w"] * y + x @ p["V/w"] + p["V/b"]) + alpha * y)
    y = y + dt * sigma_hat * z
    return y, (y, z)


def lem(p, x, state):
    # Rusch et al. (2022), equation (3); V = (V_1, V_2, V_z, V_y), W = (W_1, W_2, W_z).
    dt = 1.0
    y, z = state
    V_1, V_2, V_z, V_y = np.split(p["V/w"], 4, axis=1)
    b_1, b_2, b_z, b_y = np.split(p["V/b"], 4)
    W_1, W_2, W_z = np.split(p["W/w"], 3, axis=1)
    dt_n = dt * _sigmoid(y @ W_1 + x @ V_1 + b_1)
    dt_bar_n = dt * _sigmoid(y @ W_2 + x @ V_2 + b_2)
    z = (1 - dt_n) * z + dt_n * np.tanh(y @ W_z + x @ V_z + b_z)
    y = (1 - dt_bar_n) * y + dt_bar_n * np.tanh(z @ p["W_y/w"] + x @ V_y + b_y)
    return y, (y, z)


def ltc(p, x, h):
    # Hasani et al. (2021), algorithm 1 with L = 6 over a time of 1: each step uses the last state.
    L = 6
    dt = 1 / L
    tau = 1 / np.log(1 + np.exp(p["rho"]))
    for _ in range(L):
        f = _sigmoid(h @ p["W/w"] + x @ p["U/w"] + p["U/b"])
        h = (h + dt * f * p["A"]) / (1 + dt * (1 / tau + f))
    return h, h


def cfc(p, x, h):
    # Hasani et al. (2022): sigma(-f t) g + (1 - sigma(-f t)) h, with -f t = -(a t + b), t = 1.
    t = 1.0
    W_g, W_h, W_a, W_b = np.split(p["heads/w"], 4, axis=1)
    b_g, b_h, b_a, b_b = np.split(p["heads/b"], 4)
    v = np.concatenate([x, h], axis=1) @ p["backbone_0/w"] + p["backbone_0/b"]
    v = 1.7159 * np.tanh(0.666 * v)
    g = np.tanh(v @ W_g + b_g)
    h = np.tanh(v @ W_h + b_h)
    f_t = (v @ W_a + b_a) * t + v @ W_b + b_b
    h = _sigmoid(-f_t) * g + (1 - _sigmoid(-f_t)) * h
    return h, h


def _legendre(d, theta):
    """The discrete A and B for a window of theta steps, exact for inputs held for a step of 1."""
    A, B = numpy.zeros((d, d)), numpy.zeros((d, 1))
    for i in range(d):
        B[i] = (2 * i + 1) * (-1) ** i
        for j in range(d):
            A[i, j] = (2 * i + 1) * (-1 if i < j else (-1) ** (i - j + 1))
    A_bar = scipy.linalg.expm(A / theta)
    return A_bar, numpy.linalg.inv(A) @ (A_bar - numpy.eye(d)) @ B


def lmu(p, x, state):
    # Voelker et al. (2019), section 2: d is H by default, theta 128.
    h, m = state
    A, B = _legendre(m.shape[1], 128)
    u = x @ p["e_x/w"] + h @ p["e_h/w"] + m @ p["e_m/w"]
    m = m @ A.T + u @ B.T
    h = np.tanh(x @ p["W_x/w"] + h @ p["W_h/w"] + m @ p["W_m/w"])
    return h, (h, m)
