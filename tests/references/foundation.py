"""The cells of the foundation: elman, stacked_elman, gru and lstm."""

import jax.numpy as np


def _sigmoid(a):
    return 1 / (1 + np.exp(-a))


def elman(p, x, h):
    h = np.tanh(h @ p["W/w"] + x @ p["U/w"] + p["U/b"])
    return h, h


def stacked_elman(p, x, state):
    h_1, h_2 = state
    h_1 = np.tanh(h_1 @ p["elman/W/w"] + x @ p["elman/U/w"] + p["elman/U/b"])
    h_2 = np.tanh(h_2 @ p["elman_1/W/w"] + h_1 @ p["elman_1/U/w"] + p["elman_1/U/b"])
    return h_2, (h_1, h_2)


def gru(p, x, h):
    u_r, u_z, u_n = np.split(x @ p["U/w"] + p["U/b"], 3, axis=1)
    w_r, w_z, w_n = np.split(h @ p["W"], 3, axis=1)
    r, z = _sigmoid(u_r + w_r), _sigmoid(u_z + w_z)
    n = np.tanh(u_n + r * (w_n + p["c_n"]))
    h = (1 - z) * n + z * h
    return h, h


def lstm(p, x, state):
    h, c = state
    i, f, g, o = np.split(x @ p["U/w"] + p["U/b"] + h @ p["W/w"], 4, axis=1)
    c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
    h = _sigmoid(o) * np.tanh(c)
    return h, type(state)(h, c)
