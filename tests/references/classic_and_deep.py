"""The classic, the deep and the orthogonal cells: Le's IRNN to Erichson's Lipschitz RNN."""

import jax.numpy as np


def _sigmoid(a):
    return 1 / (1 + np.exp(-a))


def _relu(a):
    return np.maximum(a, 0)


def _mod_relu(z, b):  # Arjovsky et al. 2016, of real numbers
    return np.sign(z) * _relu(np.abs(z) + b)


def irnn(p, x, h):
    h = _relu(h @ p["W/w"] + x @ p["U/w"] + p["U/b"])
    return h, h


def jordan(p, x, y):
    h = np.tanh(y @ p["W/w"] + x @ p["U/w"] + p["U/b"])
    y = np.tanh(h @ p["V/w"] + p["V/b"])
    return y, y


def scrn(p, x, state):
    h, s = state
    alpha = 0.95
    s = (1 - alpha) * (x @ p["B/w"]) + alpha * s
    h = _sigmoid(s @ p["P/w"] + x @ p["A/w"] + h @ p["R/w"])
    return np.concatenate([h, s], axis=1), (h, s)


def clockwork_rnn(p, x, state):
    h, t = state
    g, size = 4, h.shape[1] // 4
    W = np.zeros((h.shape[1], h.shape[1]))  # columns are the modules that read, rows those read
    for i in range(g):
        W = W.at[i * size :, i * size : (i + 1) * size].set(p[f"W_{i + 1}"])
    new = np.tanh(h @ W + x @ p["U/w"] + p["U/b"])
    modules = []
    for i in range(g):
        own = slice(i * size, (i + 1) * size)
        executes = t % 2**i == 0
        modules.append(np.where(executes[:, None], new[:, own], h[:, own]))
    h = np.concatenate(modules, axis=1)
    return h, (h, t + 1)


def multiplicative_rnn(p, x, h):
    f = (x @ p["W_fx/w"]) * (h @ p["W_fh/w"])  # equation 7
    h = np.tanh(f @ p["W_hf/w"] + x @ p["W_hx/w"] + p["W_hx/b"])  # equation 8, and 3 for the bias
    return h, h


def rhn(p, x, s):
    W_h, W_t = np.split(p["W/w"], 2, axis=1)
    for layer in (1, 2, 3):
        R_h, R_t = np.split(p[f"R_{layer}/w"], 2, axis=1)
        b_h, b_t = np.split(p[f"R_{layer}/b"], 2)
        first = 1 if layer == 1 else 0
        h = np.tanh(first * (x @ W_h) + s @ R_h + b_h)
        t = _sigmoid(first * (x @ W_t) + s @ R_t + b_t)
        c = 1 - t
        s = h * t + s * c
    return s, s


def intersection_rnn(p, x, h):  # equations 15 to 20
    if "P/w" in p:
        x = x @ p["P/w"] + p["P/b"]
    U_y, U_h, U_gy, U_gh = np.split(p["U/w"], 4, axis=1)
    W_y, W_h, W_gy, W_gh = np.split(p["W/w"], 4, axis=1)
    b_y, b_h, b_gy, b_gh = np.split(p["U/b"], 4)
    y_in = _relu(h @ W_y + x @ U_y + b_y)
    h_in = np.tanh(h @ W_h + x @ U_h + b_h)
    g_y = _sigmoid(h @ W_gy + x @ U_gy + b_gy)
    g_h = _sigmoid(h @ W_gh + x @ U_gh + b_gh)
    y = g_y * x + (1 - g_y) * y_in
    h = g_h * h + (1 - g_h) * h_in
    return y, h


def indrnn(p, x, h):
    h = _relu(x @ p["W/w"] + p["u"] * h + p["W/b"])
    return h, h


def _exponential(M):
    """By its power series, of M / 2^8, squared eight times."""
    M = M / 2**8
    power = total = np.eye(len(M))
    for k in range(1, 20):
        power = power @ M / k
        total = total + power
    for _ in range(8):
        total = total @ total
    return total


def exprnn(p, x, h):
    A = p["A"].T  # stored transposed, as all weights
    W = _exponential(A - A.T)
    z = h @ W.T + x @ p["U/w"]
    h = _mod_relu(z, p["b"])
    return h, h


def scornn(p, x, h):
    A = p["A"].T
    S = A - A.T
    H = len(A)
    I = np.eye(H)  # noqa: E741
    D = np.diag(np.concatenate([np.ones(H - H // 2), -np.ones(H // 2)]))
    W = np.linalg.inv(I + S) @ (I - S) @ D
    z = h @ W.T + x @ p["U/w"]
    h = _mod_relu(z, p["b"])
    return h, h


def lipschitz_rnn(p, x, h):
    beta, gamma, epsilon = 0.7, 0.001, 0.1

    def symmetric_skew(M):
        return (1 - beta) * (M + M.T) + beta * (M - M.T) - gamma * np.eye(len(M))

    A, W = symmetric_skew(p["M_A"].T), symmetric_skew(p["M_W"].T)
    h = h + epsilon * (h @ A.T) + epsilon * np.tanh(h @ W.T + x @ p["U/w"] + p["U/b"])
    return h, h
