"""The curves of a training: its losses against epochs, as a picture."""

import math
import pathlib
from collections.abc import Sequence
from typing import Any

from rnnzoo.loss import bits_per_character


def draw_curves(rows: Sequence[dict[str, Any]], path: pathlib.Path) -> None:
    """Draws loss and validation loss against epochs, in nats on the left and bpc on the right."""
    from matplotlib.figure import Figure  # slow to import, and needed once

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    epochs, losses = [r["epoch"] for r in rows], [r["loss"] for r in rows]
    span = max(1, len(rows) // 50)
    if span == 1:
        axes.plot(epochs, losses, color="C0", marker=".", label="training")
    else:
        axes.plot(epochs, losses, color="C0", alpha=0.25, linewidth=0.8, label="training, epoch")
        smooth = _running_mean(losses, span)
        axes.plot(epochs, smooth, color="C0", label=f"training, mean of {span} epochs")
    if "loss_spread" in rows[-1]:
        low, high = ([r["loss"] + sign * r["loss_spread"] for r in rows] for sign in (-1, 1))
        axes.fill_between(epochs, low, high, color="C0", alpha=0.15, label="± spread of the seeds")
    validated = [r for r in rows if "validation_loss" in r]
    if validated:
        points = [r["epoch"] for r in validated], [r["validation_loss"] for r in validated]
        axes.plot(*points, color="C1", marker=".", label="validation")
    axes.set(xlabel="epoch", ylabel="loss (nats per character)")
    to_bits: Any = (bits_per_character, lambda bits: bits * math.log(2))
    bpc = axes.secondary_yaxis("right", functions=to_bits)
    bpc.set_ylabel("bits per character")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)


def _running_mean(values: Sequence[float], span: int) -> list[float]:
    """The mean of each value and those before it, `span` in all."""
    windows = (values[max(0, i + 1 - span) : i + 1] for i in range(len(values)))
    return [sum(w) / len(w) for w in windows]
