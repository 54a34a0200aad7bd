"""The variants of the GRU: mgu, mut1 to mut3, ugrnn, ligru, lightru, sgrn, sgu, dsgu and taugru."""

import jax.numpy as np


def _sigmoid(a):
    return 1 / (1 + np.exp(-a))


def _layer_norm(a, scale, offset):
    centred = a - np.mean(a, axis=1, keepdims=True)
    deviation = np.sqrt(np.mean(centred**2, axis=1, keepdims=True) + 1e-5)
    return scale * centred / deviation + offset


def mgu(p, x, h):
    # Zhou et al., 2016: one gate, in both of a GRU's places.
    u_f, u_h = np.split(p["U/w"], 2, axis=1)
    b_f, b_h = np.split(p["U/b"], 2)
    f = _sigmoid(h @ p["W_f/w"] + x @ u_f + b_f)
    candidate = np.tanh((f * h) @ p["W_h/w"] + x @ u_h + b_h)
    h = (1 - f) * h + f * candidate
    return h, h


def _fitting(p, x):
    # Jozefowicz et al., 2015, write x; JZS1 and JZS2 of Keras in 2015 have P where the sizes differ.
    return x @ p["P/w"] if "P/w" in p else x


def mut1(p, x, h):
    u_z, u_r = np.split(p["U/w"], 2, axis=1)
    b_z, b_r = np.split(p["U/b"], 2)
    z = _sigmoid(x @ u_z + b_z)
    r = _sigmoid(x @ u_r + h @ p["W_r/w"] + b_r)
    h = np.tanh((r * h) @ p["W_h/w"] + np.tanh(_fitting(p, x)) + p["W_h/b"]) * z + h * (1 - z)
    return h, h


def mut2(p, x, h):
    u_z, u_h = np.split(p["U/w"], 2, axis=1)
    w_z, w_r = np.split(p["W/w"], 2, axis=1)
    b_z, b_h = np.split(p["U/b"], 2)
    z = _sigmoid(x @ u_z + h @ w_z + b_z)
    r = _sigmoid(_fitting(p, x) + h @ w_r + p["b_r"])
    h = np.tanh((r * h) @ p["W_h/w"] + x @ u_h + b_h) * z + h * (1 - z)
    return h, h


def mut3(p, x, h):
    u_z, u_r, u_h = np.split(p["U/w"], 3, axis=1)
    b_z, b_r, b_h = np.split(p["U/b"], 3)
    z = _sigmoid(x @ u_z + np.tanh(h) @ p["W_z/w"] + b_z)
    r = _sigmoid(x @ u_r + h @ p["W_r/w"] + b_r)
    h = np.tanh((r * h) @ p["W_h/w"] + x @ u_h + b_h) * z + h * (1 - z)
    return h, h


def ugrnn(p, x, h):
    # Collins et al., 2017: their forget bias and b_g are one here.
    u_g, u_c = np.split(p["U/w"], 2, axis=1)
    w_g, w_c = np.split(p["W/w"], 2, axis=1)
    b_g, b_c = np.split(p["U/b"], 2)
    c = np.tanh(h @ w_c + x @ u_c + b_c)
    g = _sigmoid(h @ w_g + x @ u_g + b_g)
    h = g * h + (1 - g) * c
    return h, h


def ligru(p, x, h):
    # Ravanelli et al., 2018, with layer in place of batch normalisation.
    u_z, u_h = np.split(p["U/w"], 2, axis=1)
    w_z, w_h = np.split(p["W/w"], 2, axis=1)
    normal_z = _layer_norm(x @ u_z, p["norm_z/scale"], p["norm_z/offset"])
    normal_h = _layer_norm(x @ u_h, p["norm_h/scale"], p["norm_h/offset"])
    z = _sigmoid(normal_z + h @ w_z)
    candidate = np.maximum(normal_h + h @ w_h, 0)
    h = z * h + (1 - z) * candidate
    return h, h


def lightru(p, x, h):
    # Ye et al., 2024, section 3.2: of the two only the gate has a bias.
    u_f, u_h = np.split(p["U/w"], 2, axis=1)
    candidate = np.tanh(x @ u_h)
    f = _sigmoid(h @ p["W_f/w"] + x @ u_f + p["W_f/b"])
    h = (1 - f) * h + f * candidate
    return h, h


def sgrn(p, x, h):
    f = _sigmoid(x @ p["U/w"] + h @ p["W/w"] + p["W/b"])
    i = 1 - f
    h = np.tanh(i * (x @ p["U/w"]) + f * h)
    return h, h


def _gated(p, x, h):
    # Gao and Glowacka, 2016: z_g and z_t, the same for both units.
    u_g, u_z = np.split(p["U/w"], 2, axis=1)
    b_g, b_z = np.split(p["U/b"], 2)
    x_g = x @ u_g + b_g
    z_g = np.tanh((x_g * h) @ p["W_g/w"])
    z_t = np.clip(0.2 * (x @ u_z + b_z + h @ p["W_z/w"]) + 0.5, 0, 1)
    return z_g, z_t


def sgu(p, x, h):
    z_g, z_t = _gated(p, x, h)
    z_out = np.log(1 + np.exp(z_g * h))
    h = (1 - z_t) * h + z_t * z_out
    return h, h


def dsgu(p, x, h):
    z_g, z_t = _gated(p, x, h)
    z_out = _sigmoid((z_g * h) @ p["W_o/w"])
    h = (1 - z_t) * h + z_t * z_out
    return h, h


def taugru(p, x, hs):
    # Erichson et al., 2022: h_{n+1} from h_n and h_l, l = n - tau / dt; alpha = beta = dt = 1.
    h, delayed = hs[:, -1], hs[:, 0]
    u_u, u_g, u_a, u_z = np.split(p["U/w"], 4, axis=1)
    b_u, b_g, b_a, b_z = np.split(p["U/b"], 4)
    w_u, w_g, w_a = np.split(p["W/w"], 3, axis=1)
    u = np.tanh(h @ w_u + x @ u_u + b_u)
    z = np.tanh(delayed @ p["W_z/w"] + x @ u_z + b_z)
    g = _sigmoid(h @ w_g + x @ u_g + b_g)
    a = _sigmoid(h @ w_a + x @ u_a + b_a)
    h = (1 - g) * h + g * (u + a * z)
    return h, np.stack([*(hs[:, i] for i in range(1, hs.shape[1])), h], axis=1)
