"""The LSTM family, from the first of 1997 to the sLSTM of 2024."""

import jax.numpy as np


def _sigmoid(a):
    return 1 / (1 + np.exp(-a))


def lstm_1997(p, x, state):
    h, c = state
    net_in, net_c, net_out = np.split(x @ p["U/w"] + p["U/b"] + h @ p["W/w"], 3, axis=1)
    y_in = _sigmoid(net_in)
    y_out = _sigmoid(net_out)
    g = 4 / (1 + np.exp(-net_c)) - 2  # appendix A.1: a logistic function in [-2, 2],
    c = c + y_in * g
    h = y_out * (2 / (1 + np.exp(-c)) - 1)  # and one in [-1, 1]
    return h, type(state)(h, c)


def _peephole_step(p, x, h, c):
    """(c, o) of an LSTM whose gates see the memory, the output gate the new one."""
    u_i, u_f, u_g, u_o = np.split(x @ p["U/w"] + p["U/b"], 4, axis=1)
    w_i, w_f, w_g, w_o = np.split(p["W/w"], 4, axis=1)
    i = _sigmoid(u_i + h @ w_i + p["p_i"] * c)
    f = _sigmoid(u_f + h @ w_f + p["p_f"] * c)
    g = np.tanh(u_g + h @ w_g)
    c = f * c + i * g
    o = _sigmoid(u_o + h @ w_o + p["p_o"] * c)
    return c, o


def peephole_lstm(p, x, state):
    h, c = state
    c, o = _peephole_step(p, x, h, c)
    h = o * np.tanh(c)  # as Graves (2013), eqs. 7 to 11
    return h, type(state)(h, c)


def multiplicative_lstm(p, x, state):
    h, c = state
    u_i, u_f, u_g, u_o = np.split(x @ p["U/w"] + p["U/b"], 4, axis=1)
    w_i, w_f, w_g, w_o = np.split(p["W/w"], 4, axis=1)
    m = (x @ p["U_m/w"]) * (h @ p["W_m/w"])
    h_hat = u_g + m @ w_g
    i = _sigmoid(u_i + m @ w_i)
    o = _sigmoid(u_o + m @ w_o)
    f = _sigmoid(u_f + m @ w_f)
    c = f * c + i * np.tanh(h_hat)
    h = np.tanh(c) * o
    return h, type(state)(h, c)


def mogrifier_lstm(p, x, state):
    h, c = state
    x = 2 * _sigmoid(h @ p["Q_1/w"]) * x
    h = 2 * _sigmoid(x @ p["R_2/w"]) * h
    x = 2 * _sigmoid(h @ p["Q_3/w"]) * x
    h = 2 * _sigmoid(x @ p["R_4/w"]) * h
    x = 2 * _sigmoid(h @ p["Q_5/w"]) * x
    i, f, j, o = np.split(x @ p["U/w"] + h @ p["W/w"] + p["U/b"], 4, axis=1)
    c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(j)
    h = _sigmoid(o) * np.tanh(c)
    return h, type(state)(h, c)


def _cumax(a):
    """The probability that the split point is at k or before, for each k."""
    probability = np.exp(a) / np.sum(np.exp(a), axis=1, keepdims=True)
    at_or_before = np.triu(np.ones((a.shape[1], a.shape[1])))  # [j, k]: j <= k
    return probability @ at_or_before


def on_lstm(p, x, state):
    h, c = state
    i, f, g, o = np.split(x @ p["U/w"] + p["U/b"] + h @ p["W/w"], 4, axis=1)
    master_f, master_i = np.split(
        x @ p["U_master/w"] + p["U_master/b"] + h @ p["W_master/w"], 2, axis=1
    )
    i, f, o = _sigmoid(i), _sigmoid(f), _sigmoid(o)
    master_f = _cumax(master_f)
    master_i = 1 - _cumax(master_i)
    overlap = master_f * master_i
    f_hat = f * overlap + (master_f - overlap)
    i_hat = i * overlap + (master_i - overlap)
    c = f_hat * c + i_hat * np.tanh(g)
    h = o * np.tanh(c)
    return h, type(state)(h, c)


def nested_lstm(p, x, state):
    h, c, c_inner = state
    i, f, g, o = np.split(x @ p["U_1/w"] + p["U_1/b"] + h @ p["W_1/w"], 4, axis=1)
    x_inner = _sigmoid(i) * np.tanh(g)
    h_inner = _sigmoid(f) * c
    i, f, g, o_inner = np.split(x_inner @ p["U_2/w"] + p["U_2/b"] + h_inner @ p["W_2/w"], 4, axis=1)
    c_inner = _sigmoid(f) * c_inner + _sigmoid(i) * np.tanh(g)
    h_inner = _sigmoid(o_inner) * np.tanh(c_inner)
    c = h_inner
    h = _sigmoid(o) * np.tanh(c)
    return h, (h, c, c_inner)


def residual_lstm(p, x, state):
    h, c = state
    c, o = _peephole_step(p, x, h, c)
    m = np.tanh(c) @ p["W_p/w"]
    h = o * (m + x @ p["U_h/w"])
    return h, type(state)(h, c)


def phased_lstm(p, x, state):
    h, c, t = state
    c_proposed, o = _peephole_step(p, x, h, c)
    h_proposed = o * np.tanh(c_proposed)

    tau, r_on, alpha = np.exp(p["log_tau"]), _sigmoid(p["logit_r"]), 0.001
    since = t[:, None] - p["s"]
    phi = (since - tau * np.floor(since / tau)) / tau
    k = np.where(phi < r_on, 2 - 2 * phi / r_on, alpha * phi)
    k = np.where(phi < r_on / 2, 2 * phi / r_on, k)

    c = k * c_proposed + (1 - k) * c
    h = k * h_proposed + (1 - k) * h
    return h, type(state)(h, c, t + 1)


def nas(p, x, state):
    h, c = state
    u = np.split(x @ p["U/w"], 8, axis=1)
    w = np.split(h @ p["W/w"] + p["W/b"], 8, axis=1)

    # The leaves of the tree, in pairs.
    left_0, right_0 = _sigmoid(u[0] + w[0]), np.maximum(u[1] + w[1], 0)
    left_1, right_1 = _sigmoid(u[2] + w[2]), np.maximum(u[3] * w[3], 0)
    left_2, right_2 = np.tanh(u[4] + w[4]), _sigmoid(u[5] + w[5])
    left_3, right_3 = np.tanh(u[6] + w[6]), _sigmoid(u[7] + w[7])

    # Their parents; the memory enters at the first of them.
    parent_0 = np.tanh(np.tanh(left_0 * right_0) + c)
    parent_1 = np.tanh(left_1 + right_1)
    parent_2 = np.tanh(left_2 * right_2)
    parent_3 = _sigmoid(left_3 + right_3)

    c = parent_0 * parent_1
    h = np.tanh(c * np.tanh(parent_2 + parent_3))
    return h, type(state)(h, c)


def mclstm(p, x, state):
    v, c = state
    i, f, g, o, m = np.split(x @ p["U/w"] + p["U/b"] + v @ p["W/w"], 5, axis=1)
    c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
    h = _sigmoid(o) * np.tanh(c)
    v = _sigmoid(m) * np.tanh(c)
    return h, type(state)(v, c)


def wmclstm(p, x, state):
    h, c = state
    u_i, u_f, u_g, u_o = np.split(x @ p["U/w"] + p["U/b"], 4, axis=1)
    w_i, w_f, w_g, w_o = np.split(p["W/w"], 4, axis=1)
    v_i, v_f = np.split(p["V/w"], 2, axis=1)
    i = _sigmoid(u_i + h @ w_i + np.tanh(c @ v_i))
    f = _sigmoid(u_f + h @ w_f + np.tanh(c @ v_f))
    g = np.tanh(u_g + h @ w_g)
    c = f * c + i * g
    o = _sigmoid(u_o + h @ w_o + np.tanh(c @ p["V_o/w"]))
    h = o * np.tanh(c)
    return h, type(state)(h, c)


def _memory_mixing(r, h):
    """R h, with a block of R [H / heads, H] for each head, and nothing between the heads."""
    size = r.shape[0]
    heads = [slice(k, k + size) for k in range(0, r.shape[1], size)]
    return np.concatenate([h[:, head] @ r[:, head] for head in heads], axis=1)


def slstm(p, x, state):
    h, c, n, m = state
    r_i, r_f, r_z, r_o = np.split(p["R"], 4, axis=1)
    u_i, u_f, u_z, u_o = np.split(x @ p["U/w"] + p["U/b"], 4, axis=1)
    log_i = u_i + _memory_mixing(r_i, h)
    log_f = np.log(_sigmoid(u_f + _memory_mixing(r_f, h)))
    z = np.tanh(u_z + _memory_mixing(r_z, h))
    o = _sigmoid(u_o + _memory_mixing(r_o, h))
    # The stabilised gates, eqs. 15 to 17.
    m_old, m = m, np.maximum(log_f + m, log_i)
    i = np.exp(log_i - m)
    f = np.exp(log_f + m_old - m)
    c = f * c + i * z
    n = f * n + i
    h = o * (c / n)
    return h, (h, c, n, m)
