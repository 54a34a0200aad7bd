"""The cells whose recurrence is linear in the state: gates of the input alone, and state spaces."""

import jax
import jax.numpy as np


def _sigmoid(a):
    return 1 / (1 + np.exp(-a))


def _silu(a):
    return a * _sigmoid(a)


def _g(a):
    # Feng et al. (2024), appendix B.3.
    return np.where(a >= 0, a + 0.5, _sigmoid(a))


def qrnn(p, x, state):
    # Bradbury et al. (2017), a filter of width 2 with fo-pooling. The state's first part is V x_{t-1}.
    Vx, c = state
    v_z, v_f, v_o = np.split(Vx, 3, axis=1)
    U_z, U_f, U_o = np.split(p["U/w"], 3, axis=1)
    b_z, b_f, b_o = np.split(p["U/b"], 3)
    z = np.tanh(v_z + x @ U_z + b_z)
    f = _sigmoid(v_f + x @ U_f + b_f)
    o = _sigmoid(v_o + x @ U_o + b_o)
    c = f * c + (1 - f) * z
    return o * c, (x @ p["V/w"], c)


def sru(p, x, c):
    # Lei et al. (2018), equations (1) to (4); alpha for a highway bias of 0; P as D is not H.
    U_c, U_f, U_r = np.split(p["U/w"], 3, axis=1)
    v_f, v_r = np.split(p["v"], 2)
    b_f, b_r = np.split(p["b"], 2)
    alpha = np.sqrt(1 + 2 * np.exp(0.0))
    f = _sigmoid(x @ U_f + v_f * c + b_f)
    r = _sigmoid(x @ U_r + v_r * c + b_r)
    c = f * c + (1 - f) * (x @ U_c)
    h = r * c + (1 - r) * alpha * (x @ p["P/w"])
    return h, c


def mingru(p, x, h):
    # Feng et al. (2024), section 3.1 with the g of appendix B.
    U_z, U_h = np.split(p["U/w"], 2, axis=1)
    b_z, b_h = np.split(p["U/b"], 2)
    z = _sigmoid(x @ U_z + b_z)
    h = (1 - z) * h + z * _g(x @ U_h + b_h)
    return h, h


def minlstm(p, x, h):
    # Feng et al. (2024), section 3.2 with the g of appendix B.
    U_f, U_i, U_h = np.split(p["U/w"], 3, axis=1)
    b_f, b_i, b_h = np.split(p["U/b"], 3)
    f = _sigmoid(x @ U_f + b_f)
    i = _sigmoid(x @ U_i + b_i)
    h = f / (f + i) * h + i / (f + i) * _g(x @ U_h + b_h)
    return h, h


def gilr(p, x, h):
    # Martin and Cundy (2018), section 3, with tanh for the impulse.
    U_g, U_i = np.split(p["U/w"], 2, axis=1)
    b_g, b_i = np.split(p["U/b"], 2)
    g = _sigmoid(x @ U_g + b_g)
    h = g * h + (1 - g) * np.tanh(x @ U_i + b_i)
    return h, h


def hgrn(p, x, h):
    # Qin et al. (2023), section 3, in the lowest layer: gamma is 0.
    gamma = 0.0
    U_mu, U_re, U_im = np.split(p["U/w"], 3, axis=1)
    b_mu, b_re, b_im = np.split(p["U/b"], 3)
    c = _silu(x @ U_re + b_re) + 1j * _silu(x @ U_im + b_im)
    lam = gamma + (1 - gamma) * _sigmoid(x @ U_mu + b_mu)
    h = lam * np.exp(1j * p["theta"]) * h + (1 - lam) * c
    g = _sigmoid(x @ p["U_g/w"] + p["U_g/b"])
    a = g * np.concatenate([h.real, h.imag], axis=1)
    mean = a.mean(axis=1, keepdims=True)
    variance = ((a - mean) ** 2).mean(axis=1, keepdims=True)
    a = (a - mean) / np.sqrt(variance + 1e-5) * p["norm/scale"] + p["norm/offset"]
    return a @ p["O/w"] + p["O/b"], h


def linear_rnn(p, x, h):
    h = h @ p["W/w"] + x @ p["U/w"] + p["U/b"]
    return h, h


def lru(p, x, h):
    # Orvieto et al. (2023), section 3 and appendix A.
    B_re, B_im = np.split(p["B/w"], 2, axis=1)
    C_re, C_im = np.split(p["C/w"], 2, axis=0)
    lam = np.exp(-np.exp(p["nu_log"]) + 1j * np.exp(p["theta_log"]))
    h = lam * h + np.exp(p["gamma_log"]) * (x @ (B_re + 1j * B_im))
    return (h @ (C_re + 1j * C_im)).real + x @ p["D"], h


def s4d(p, x, h):
    # Gu et al. (2022), with B absorbed in C and one of each conjugate pair; then GELU and GLU.
    u = x @ p["P/w"] + p["P/b"]
    A = -np.exp(p["A_re_log"]) + 1j * p["A_im"]
    C = p["C_re"] + 1j * p["C_im"]
    A_bar = np.exp(A * np.exp(p["log_delta"])[:, None])
    h = A_bar * h + (A_bar - 1) / A * u[:, :, None]
    y = 2 * (C * h).sum(axis=2).real + p["D"] * u
    y = y * (1 + jax.scipy.special.erf(y / np.sqrt(2.0))) / 2
    O_p, O_q = np.split(p["O/w"], 2, axis=1)
    b_p, b_q = np.split(p["O/b"], 2)
    return (y @ O_p + b_p) * _sigmoid(y @ O_q + b_q), h


def s5(p, x, h):
    # Smith et al. (2023), section 3 and equation (6), with one of each conjugate pair.
    B_re, B_im = np.split(p["B/w"], 2, axis=1)
    C_re, C_im = np.split(p["C/w"], 2, axis=0)
    lam = np.minimum(p["Lambda_re"], -1e-4) + 1j * p["Lambda_im"]
    lam_bar = np.exp(lam * np.exp(p["log_delta"]))
    h = lam_bar * h + (lam_bar - 1) / lam * (x @ (B_re + 1j * B_im))
    return 2 * (h @ (C_re + 1j * C_im)).real + x @ p["D"], h


def rg_lru(p, x, h):
    # De et al. (2024), equations (1) to (4), after a projection to the width of the state; Lambda has
    # the sign of the authors' code, so that the paper's a is sigma(-Lambda).
    u = x @ p["P/w"] + p["P/b"]
    W_a, W_x = np.split(p["W/w"], 2, axis=1)
    b_a, b_x = np.split(p["W/b"], 2)
    r = _sigmoid(u @ W_a + b_a)
    i = _sigmoid(u @ W_x + b_x)
    a = _sigmoid(-p["Lambda"]) ** (8 * r)
    h = a * h + np.sqrt(1 - a**2) * (i * u)
    return h, h
