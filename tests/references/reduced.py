"""Gated cells with less in them than a GRU, the strongly-typed ones and the bistable ones."""

import jax.numpy as np


def _sigmoid(a):
    return 1 / (1 + np.exp(-a))


def janet(p, x, c):
    # van der Westhuizen and Lasenby (2018), section 3, beta = 1
    U_f, U_g = np.split(p["U/w"], 2, axis=1)
    W_f, W_g = np.split(p["W/w"], 2, axis=1)
    b_f, b_g = np.split(p["U/b"], 2)
    s = x @ U_f + c @ W_f + b_f
    c_new = np.tanh(x @ U_g + c @ W_g + b_g)
    c = _sigmoid(s) * c + (1 - _sigmoid(s - 1)) * c_new
    return c, c


def minimal_rnn(p, x, h):
    # Chen (2017), section 3
    z = np.tanh(x @ p["U/w"] + p["U/b"])
    u = _sigmoid(h @ p["W/w"] + z @ p["V/w"] + p["V/b"])
    h = u * h + (1 - u) * z
    return h, h


def ran(p, x, c):
    # Lee et al. (2017), equation 1, with g = tanh
    U_i, U_f = np.split(p["U/w"], 2, axis=1)
    W_i, W_f = np.split(p["W/w"], 2, axis=1)
    b_i, b_f = np.split(p["U/b"], 2)
    h = np.tanh(c)
    content = x @ p["U_c/w"]
    i = _sigmoid(h @ W_i + x @ U_i + b_i)
    f = _sigmoid(h @ W_f + x @ U_f + b_f)
    c = i * content + f * c
    return np.tanh(c), c


def atr(p, x, h):
    # Zhang et al. (2018), section 3; the bias in q is that of their code
    p_t = x @ p["U/w"]
    q_t = h @ p["W/w"] + p["W/b"]
    i = _sigmoid(p_t + q_t)
    f = _sigmoid(p_t - q_t)
    h = i * p_t + f * h
    return h, h


def cfn(p, x, h):
    # Laurent and von Brecht (2017), equations 1 and 2
    V_theta, V_eta = np.split(p["U/w"], 2, axis=1)
    U_theta, U_eta = np.split(p["W/w"], 2, axis=1)
    b_theta, b_eta = np.split(p["U/b"], 2)
    theta = _sigmoid(h @ U_theta + x @ V_theta + b_theta)
    eta = _sigmoid(h @ U_eta + x @ V_eta + b_eta)
    h = theta * np.tanh(h) + eta * np.tanh(x @ p["U_h/w"])
    return h, h


def fast_rnn(p, x, h):
    # Kusupati et al. (2018), section 3.1; the sigmoids are those of their code
    candidate = np.tanh(x @ p["U/w"] + h @ p["W/w"] + p["U/b"])
    h = _sigmoid(p["alpha"]) * candidate + _sigmoid(p["beta"]) * h
    return h, h


def fast_grnn(p, x, h):
    # Kusupati et al. (2018), section 3.2
    z = _sigmoid(x @ p["U/w"] + h @ p["W/w"] + p["b_z"])
    candidate = np.tanh(x @ p["U/w"] + h @ p["W/w"] + p["b_h"])
    h = (_sigmoid(p["zeta"]) * (1 - z) + _sigmoid(p["nu"])) * candidate + z * h
    return h, h


def star(p, x, h):
    # Turkoglu et al. (2021), the equations of the STAR cell
    U_k, U_z = np.split(p["U/w"], 2, axis=1)
    b_k, b_z = np.split(p["U/b"], 2)
    k = _sigmoid(x @ U_k + h @ p["W/w"] + b_k)
    z = np.tanh(x @ U_z + b_z)
    h = np.tanh((1 - k) * h + k * z)
    return h, h


def miru1(p, x, h):
    # Zyarah and Kudithipudi (2026): the update gate is the number lambda
    U_r, U_h = np.split(p["U/w"], 2, axis=1)
    W_r, W_h = np.split(p["W"], 2, axis=1)
    b_r, b_h = np.split(p["U/b"], 2)
    r = _sigmoid(x @ U_r + h @ W_r + b_r)
    candidate = np.tanh(x @ U_h + (r * h) @ W_h + b_h)
    h = 0.5 * h + (1 - 0.5) * candidate
    return h, h


def miru2(p, x, h):
    # Zyarah and Kudithipudi (2026): both gates are numbers
    candidate = np.tanh(x @ p["U/w"] + (0.5 * h) @ p["W/w"] + p["U/b"])
    h = 0.5 * h + (1 - 0.5) * candidate
    return h, h


def trnn(p, x, h):
    # Balduzzi and Ghifary (2016), T-RNN
    z = x @ p["W/w"]
    f = _sigmoid(x @ p["V/w"] + p["V/b"])
    h = f * h + (1 - f) * z
    return h, h


def tgru(p, x, state):
    # Balduzzi and Ghifary (2016), T-GRU; the state has V x_{t-1} for x_{t-1}
    h, V_before = state
    V_z, V_f, V_o = np.split(V_before, 3, axis=1)
    W_z, W_f, W_o = np.split(p["W/w"], 3, axis=1)
    b_z, b_f, b_o = np.split(p["W/b"], 3)
    z = V_z + x @ W_z + b_z
    f = _sigmoid(V_f + x @ W_f + b_f)
    o = np.tanh(V_o + x @ W_o + b_o)
    h = f * h + z * o
    return h, type(state)(h, x @ p["V/w"])


def tlstm(p, x, state):
    # Balduzzi and Ghifary (2016), T-LSTM; the state has V x_{t-1} for x_{t-1}
    c, V_before = state
    V_z, V_f, V_o = np.split(V_before, 3, axis=1)
    W_z, W_f, W_o = np.split(p["W/w"], 3, axis=1)
    b_z, b_f, b_o = np.split(p["W/b"], 3)
    z = V_z + x @ W_z + b_z
    f = _sigmoid(V_f + x @ W_f + b_f)
    o = np.tanh(V_o + x @ W_o + b_o)
    c = f * c + (1 - f) * z
    return c * o, type(state)(c, x @ p["V/w"])


def br(p, x, h):
    # Vecoven et al. (2021), the BRC: w_a and w_c are vectors; the biases are those of their code
    U_a, U_c, U_h = np.split(p["U/w"], 3, axis=1)
    w_a, w_c = np.split(p["w"], 2)
    b_a, b_c = np.split(p["b"], 2)
    a = 1 + np.tanh(x @ U_a + w_a * h + b_a)
    c = _sigmoid(x @ U_c + w_c * h + b_c)
    h = c * h + (1 - c) * np.tanh(x @ U_h + a * h)
    return h, h


def nbr(p, x, h):
    # Vecoven et al. (2021), the nBRC: as the BRC, with matrices W_a and W_c
    U_a, U_c, U_h = np.split(p["U/w"], 3, axis=1)
    W_a, W_c = np.split(p["W/w"], 2, axis=1)
    b_a, b_c = np.split(p["b"], 2)
    a = 1 + np.tanh(x @ U_a + h @ W_a + b_a)
    c = _sigmoid(x @ U_c + h @ W_c + b_c)
    h = c * h + (1 - c) * np.tanh(x @ U_h + a * h)
    return h, h
