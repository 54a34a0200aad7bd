"""The wrappers around an LSTM, without a random key: as in evaluation."""

import jax.numpy as np

from tests.references import foundation


def zoneout(p, x, state):
    h, c = state
    rate = 0.1
    _, (new_h, new_c) = foundation.lstm(p, x, state)
    c = rate * c + (1 - rate) * new_c
    h = rate * h + (1 - rate) * new_h  # of the new c before it is zoned out
    return h, type(state)(h, c)


def variational_dropout(p, x, state):
    masks, (h, c) = state  # the masks are all ones at the start
    output, inner = foundation.lstm(p, x * masks["x"], type(state[1])(h * masks["h"], c))
    return output * masks["output"], (masks, inner)


def layer_norm(p, x, state):
    a, state = foundation.lstm(p, x, state)
    mu = np.mean(a, axis=1, keepdims=True)
    variance = np.mean((a - mu) ** 2, axis=1, keepdims=True)
    return p["norm/scale"] * (a - mu) / np.sqrt(variance + 1e-5) + p["norm/offset"], state


def residual(p, x, state):
    output, state = foundation.lstm(p, x, state)
    return output + (x @ p["P/w"] if "P/w" in p else x), state


def learned_initial_state(p, x, state):
    return foundation.lstm(p, x, state)


def dilated(p, x, states):
    two_steps_ago, last = states
    output, new = foundation.lstm(p, x, two_steps_ago)
    return output, (last, new)
