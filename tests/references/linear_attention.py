"""Linear attention, by its recurrent form: linear_attention, retnet, gla, hgrn2, rwkv6, mamba2 and
mlstm. A head's memory S is [B, keys, values]; it is read by S^T q and written by k v^T."""

import jax.numpy as np


def _sigmoid(a):
    return 1 / (1 + np.exp(-a))


def _swish(a):
    return a * _sigmoid(a)


def _outer(k, v):
    return k[:, :, None] * v[:, None, :]


def _read(s, q):
    return np.sum(s * q[:, :, None], axis=1)


def _standardized(a, epsilon=1e-5):
    centred = a - np.mean(a, axis=1, keepdims=True)
    return centred / np.sqrt(np.mean(centred**2, axis=1, keepdims=True) + epsilon)


def _rms_normalized(a, epsilon=1e-5):
    return a / np.sqrt(np.mean(a**2, axis=1, keepdims=True) + epsilon)


def _each(a, heads):
    """The parts of the heads: [B, heads * n] to a list of [B, n]."""
    return np.split(a, heads, axis=1)


def linear_attention(p, x, state):
    # Katharopoulos et al., 2020, eqs. 16 to 20, with the state as [s, z].
    w_q, w_k, w_v = np.split(p["W_qkv/w"], 3, axis=1)
    heads = state.shape[1]

    def phi(a):
        return np.where(a > 0, a, np.exp(np.minimum(a, 0)) - 1) + 1

    queries, keys, values = (_each(x @ w, heads) for w in (w_q, w_k, w_v))
    outputs, states = [], []
    for i in range(heads):
        q, k, v = phi(queries[i]), phi(keys[i]), values[i]
        s = state[:, i, :, :-1] + _outer(k, v)
        z = state[:, i, :, -1] + k
        outputs.append(_read(s, q) / np.sum(q * z, axis=1, keepdims=True))
        states.append(np.concatenate([s, z[:, :, None]], axis=2))
    return np.concatenate(outputs, axis=1) @ p["W_o/w"], np.stack(states, axis=1)


def retnet(p, x, state):
    # Sun et al., 2023, section 2.1, with its complex numbers: s_n = gamma e^(-i theta) s_{n-1} +
    # k_n v_n, which is their S_n turned back by e^(-i n theta), and Re(conj(q_n) s_n).
    w_q, w_k, w_v, w_g = np.split(p["W_qkvg/w"], 4, axis=1)
    heads, key_size = state.shape[1], state.shape[2]
    half = key_size // 2
    theta = 10000 ** -np.linspace(0, 1, half)

    def complex_numbers(a):
        return a[:, :half] + 1j * a[:, half:]

    queries, keys, values = (_each(x @ w, heads) for w in (w_q, w_k, w_v))
    outputs, states = [], []
    for i in range(heads):
        q = complex_numbers(queries[i]) / np.sqrt(key_size)
        k, v = complex_numbers(keys[i]), values[i]
        gamma = 1 - 2.0 ** (-5 - i)
        s = complex_numbers(state[:, i])
        s = gamma * np.exp(-1j * theta)[:, None] * s + _outer(k, v)
        outputs.append(_standardized(_read(s, np.conj(q)).real))
        states.append(np.concatenate([s.real, s.imag], axis=1))
    y = _swish(x @ w_g) * np.concatenate(outputs, axis=1)
    return y @ p["W_o/w"], np.stack(states, axis=1)


def gla(p, x, state):
    # Yang et al., 2024, section 4: alpha = sigmoid(...)^(1/16), o = LN(S^T q), r = swish(...).
    heads, key_size = state.shape[1], state.shape[2]
    cuts = [heads * key_size, 2 * heads * key_size]
    queries, keys, values = (_each(x @ w, heads) for w in np.split(p["W_qkv/w"], cuts, axis=1))
    alpha = _sigmoid((x @ p["A_1/w"]) @ p["A_2/w"] + p["A_2/b"]) ** (1 / 16)
    alphas = _each(alpha, heads)
    outputs, states = [], []
    for i in range(heads):
        s = alphas[i][:, :, None] * state[:, i] + _outer(keys[i], values[i])
        outputs.append(_standardized(_read(s, queries[i] / np.sqrt(key_size))))
        states.append(s)
    o = p["norm/scale"] * np.concatenate(outputs, axis=1) + p["norm/offset"]
    r = _swish(x @ p["W_r/w"] + p["W_r/b"])
    return (r * o) @ p["W_o/w"], np.stack(states, axis=1)


def hgrn2(p, x, state):
    # Qin et al., 2024, in the lowest layer, whose forget gate has no lower bound.
    w_g, w_f, w_i = np.split(p["W_gfi/w"], 3, axis=1)
    heads = state.shape[1]
    g = _each(_swish(x @ w_g), heads)
    f = _each(_sigmoid(x @ w_f), heads)
    i = _each(x @ w_i, heads)
    outputs, states = [], []
    for n in range(heads):
        s = f[n][:, :, None] * state[:, n] + _outer(1 - f[n], i[n])
        outputs.append(_read(s, g[n]))
        states.append(s)
    o = p["norm/scale"] * _rms_normalized(np.concatenate(outputs, axis=1))
    return o @ p["W_o/w"], np.stack(states, axis=1)


def rwkv6(p, x, state):
    # Peng et al., 2024: the data-dependent token shift (ddlerp), lora and the WKV of Finch.
    before, memory = state
    x = x @ p["U/w"]
    heads = memory.shape[1]
    difference = before - x
    mixed = np.tanh((x + difference * p["mu_x"]) @ p["A/w"])
    shifted = [
        x + difference * (mu + m @ b)
        for m, mu, b in zip(np.split(mixed, 5, axis=1), p["mu"], p["B"], strict=True)
    ]
    x_r, x_k, x_v, x_g, x_d = shifted
    r, k, v = (
        _each(a @ w, heads) for a, w in ((x_r, p["W_r/w"]), (x_k, p["W_k/w"]), (x_v, p["W_v/w"]))
    )
    gate = _swish(x_g @ p["W_g/w"])
    d = np.tanh(x_d @ p["A_w/w"]) @ p["B_w/w"] + p["B_w/b"]
    w = _each(np.exp(-np.exp(d)), heads)
    outputs, states = [], []
    for i in range(heads):
        s, kv = memory[:, i], _outer(k[i], v[i])
        outputs.append(_standardized(_read(s + p["u"][i][:, None] * kv, r[i]), 64e-5))
        states.append(w[i][:, :, None] * s + kv)
    o = p["norm/scale"] * np.concatenate(outputs, axis=1) + p["norm/offset"]
    return (gate * o) @ p["W_o/w"], type(state)((x, np.stack(states, axis=1)))


def mamba2(p, x, state):
    # Dao and Gu, 2024, section 7 and figure 6; the step of their code.
    inputs, memory = state
    _, heads, n, _ = memory.shape
    h = p["W_o/w"].shape[0]
    z, u, delta = np.split(x @ p["W_i/w"], [h, 2 * h + 2 * n], axis=1)
    window = [inputs[:, 0], inputs[:, 1], inputs[:, 2], u]
    a, b, c = np.split(
        _swish(sum(p["w"][j] * window[j] for j in range(4)) + p["b"]), [h, h + n], axis=1
    )
    delta = np.log(1 + np.exp(delta + p["dt_bias"]))
    a = _each(a, heads)
    outputs, states = [], []
    for i in range(heads):
        delta_i = delta[:, i, None]
        decay = np.exp(-delta_i * np.exp(p["A"][i]))
        s = decay[:, :, None] * memory[:, i] + _outer(b, delta_i * a[i])
        outputs.append(_read(s, c) + p["D"][i] * a[i])
        states.append(s)
    y = p["norm/scale"] * _rms_normalized(np.concatenate(outputs, axis=1) * _swish(z))
    window = np.stack(window[1:], axis=1)
    return y @ p["W_o/w"], type(state)((window, np.stack(states, axis=1)))


def mlstm(p, x, state):
    # Beck et al., 2024, eqs. 19 to 27, stabilised as in their appendix; state [C, n] and m.
    memory, stabilizer = state
    heads = memory.shape[1]
    w_q, w_k, w_v, w_o = np.split(p["W_qkvo/w"], 4, axis=1)
    b_q, b_k, b_v, b_o = np.split(p["W_qkvo/b"], 4)
    i_tilde, f_tilde = np.split(x @ p["w_if/w"] + p["w_if/b"], 2, axis=1)
    queries, keys, values = (
        _each(x @ w + b, heads) for w, b in ((w_q, b_q), (w_k, b_k), (w_v, b_v))
    )
    outputs, memories, stabilizers = [], [], []
    for j in range(heads):
        q, k, v = queries[j], keys[j] / np.sqrt(keys[j].shape[1]), values[j]
        c, n, m = memory[:, j, :, :-1], memory[:, j, :, -1], stabilizer[:, j]
        log_f = -np.log(1 + np.exp(-f_tilde[:, j]))
        m_next = np.maximum(log_f + m, i_tilde[:, j])
        i = np.exp(i_tilde[:, j] - m_next)[:, None]
        f = np.exp(log_f + m - m_next)[:, None]
        c = f[:, :, None] * c + i[:, :, None] * _outer(k, v)
        n = f * n + i * k
        # max(|n^T q|, 1) of the paper's unscaled n.
        scale = np.maximum(np.abs(np.sum(n * q, axis=1)), np.exp(-m_next))
        outputs.append(_standardized(_read(c, q) / scale[:, None]))
        memories.append(np.concatenate([c, n[:, :, None]], axis=2))
        stabilizers.append(m_next)
    o = _sigmoid(x @ w_o + b_o)
    y = o * p["norm/scale"] * np.concatenate(outputs, axis=1)
    return y, type(state)((np.stack(memories, axis=1), np.stack(stabilizers, axis=1)))
