"""Probes: what units tell of the text, found without being told which.

For each property of the text, such as being inside a quotation, the unit that tells it best by
itself, and how well all units of a layer together tell it by a linear readout (Alain & Bengio 2016).
Both are chosen on the first half of a text and scored on the second.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from scipy import linalg, stats

from rnnzoo.instruments.inside import Signal

BLOCK = 1000  # characters
FEWEST = 20  # characters in each half that have a property, and that lack it
OPENING, CLOSING = "“«", "”»"
INDENTS = " \t"


def in_quotation(text: str) -> np.ndarray:
    """Whether each character is within double quotes, these among it; a blank line ends them."""
    found, inside = np.zeros(len(text), bool), False
    for i, c in enumerate(text):
        before = inside
        if c in OPENING:
            inside = True
        elif c in CLOSING or text[i - 1 : i + 1] == "\n\n":
            inside = False
        elif c == '"':
            inside = not inside
        found[i] = before or inside
    return found


def at_line_end(text: str) -> np.ndarray:
    """Whether the next character ends the line."""
    return np.array([c == "\n" for c in text[1:]] + [False])


def at_word_end(text: str) -> np.ndarray:
    """Whether a letter is the last of its word."""
    letters = np.array([c.isalpha() for c in text])
    return letters & ~np.append(letters[1:], False)


def in_indentation(text: str) -> np.ndarray:
    """Whether each character is blank with nothing but blanks before it in its line."""
    found, leading = np.zeros(len(text), bool), True
    for i, c in enumerate(text):
        leading = c == "\n" or (leading and c in INDENTS)
        found[i] = leading and c in INDENTS
    return found


def in_brackets(text: str) -> np.ndarray:
    """Whether each character is within round brackets, these among it; a blank line ends them."""
    found, depth = np.zeros(len(text), bool), 0
    for i, c in enumerate(text):
        if text[i - 1 : i + 1] == "\n\n":
            depth = 0
        depth += c == "("
        found[i] = depth > 0
        depth -= c == ")" and depth > 0
    return found


def before_capital(text: str) -> np.ndarray:
    """Whether the next character is a capital letter."""
    return np.array([c.isupper() for c in text[1:]] + [False])


def late_in_line(text: str) -> np.ndarray:
    """Whether a character's column is above the median column."""
    columns, column = np.zeros(len(text)), -1
    for i, c in enumerate(text):
        column = -1 if c == "\n" else column + 1
        columns[i] = column
    return columns > np.median(columns)


PROPERTIES: Mapping[str, Callable[[str], np.ndarray]] = {
    "inside a quotation": in_quotation,
    "line ends next": at_line_end,
    "word ends here": at_word_end,
    "in an indentation": in_indentation,
    "inside brackets": in_brackets,
    "capital next": before_capital,
    "late in the line": late_in_line,
}


class Probe(NamedTuple):
    """How well a layer's units tell a property.

    Scores are areas under the ROC curve on the second half of the text: 1 tells it without a fault,
    0.5 not at all.

    Attributes:
      property: one of `PROPERTIES`.
      signal: whose units.
      unit: the best single one.
      sign: 1 if it rises with the property, -1 if it falls.
      unit_score: its own score.
      linear_score: that of the best linear readout of all units.
      share: of the characters that have the property.
    """

    property: str
    signal: Signal
    unit: int
    sign: int
    unit_score: float
    linear_score: float
    share: float


def probe(signals: Mapping[Signal, np.ndarray], text: str) -> list[Probe]:
    """Probes every signal for every property that the text has often enough.

    Args:
      signals: numbers after each character, [N, units].
      text: the N characters.

    Returns:
      For each property, the best linear score first.
    """
    half, found = len(text) // 2, []
    labels = {name: of(text) for name, of in PROPERTIES.items()}
    usable = {
        name: label
        for name, label in labels.items()
        if all(FEWEST <= part.sum() <= len(part) - FEWEST for part in (label[:half], label[half:]))
    }
    if not usable:
        return []
    targets = np.stack(list(usable.values()), axis=1)
    for signal, values in signals.items():
        values = _steady(values)
        linear = _linear_readouts(values[:half], targets[:half], values[half:])
        single = areas(values[:half], targets[:half])
        for i, (name, label) in enumerate(usable.items()):
            unit = int(np.argmax(np.abs(single[:, i] - 0.5)))
            sign = 1 if single[unit, i] >= 0.5 else -1
            scored = np.stack([sign * values[half:, unit], linear[:, i]], axis=1)
            unit_score, linear_score = areas(scored, label[half:, None])[:, 0]
            found.append(
                Probe(name, signal, unit, sign, unit_score, linear_score, float(label.mean()))
            )
    order = list(usable)
    return sorted(found, key=lambda p: (order.index(p.property), -p.linear_score))


def _steady(values: np.ndarray) -> np.ndarray:
    """Values without mean and spread of their block of `BLOCK` characters.

    What drifts slowly, as an LSTM's memory does, would seem to tell whatever the text has more of in
    one place than in another.
    """
    found = np.empty_like(values)
    for start in range(0, len(values), BLOCK):
        block = values[start : start + BLOCK]
        found[start : start + BLOCK] = (block - block.mean(axis=0)) / (block.std(axis=0) + 1e-6)
    return found


def areas(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Areas under the ROC curve, by ranks (Mann & Whitney 1947).

    Args:
      values: [N, units].
      labels: [N, properties].

    Returns:
      [units, properties]: how likely a value with the property is above one without it.
    """
    ranks = stats.rankdata(values, axis=0)
    have = labels.sum(axis=0)
    lack = len(labels) - have
    above = ranks.T @ labels - have * (have + 1) / 2
    return above / (have * lack)


def _linear_readouts(values: np.ndarray, labels: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Predictions of a ridge regression for new values: [M, units] to [M, properties]."""
    mean, spread = values.mean(axis=0), values.std(axis=0) + 1e-6
    X = (values - mean) / spread
    weights = _ridge(X, labels - labels.mean(axis=0))
    return (new - mean) / spread @ weights


def _ridge(X: np.ndarray, Y: np.ndarray, strength: float = 1e-2) -> np.ndarray:
    gram = X.T @ X + strength * len(X) * np.eye(X.shape[1])
    return linalg.solve(gram, X.T @ Y, assume_a="pos")
