"""Divergence: losses and weights that show that training has failed."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from app.errors import TrainingError
from finetune.checkpoint import Array

HIGHEST_LOSS = 709.0
"""In nats per token: a higher one is a perplexity that no floating-point number holds."""


def refuse_divergence(loss: float, step: int, name: str = "loss") -> None:
    """Raises TrainingError where a loss is NaN, infinite or beyond HIGHEST_LOSS."""
    if not math.isfinite(loss):
        raise diverged(f"the {name} is not a number", step)
    if loss > HIGHEST_LOSS:
        raise diverged(f"the {name} is {loss:,.0f} nats per token", step)


def refuse_infinite_weights(weights: Mapping[str, Array], step: int) -> None:
    """Raises TrainingError where a weight is NaN or infinite. The training loss, measured before a step, cannot show it."""
    if not all(np.isfinite(array).all() for array in weights.values()):
        raise diverged("the weights are not numbers", step)


def diverged(what: str, step: int) -> TrainingError:
    return TrainingError(f"{what} at step {step}: give a lower --learning_rate.")
