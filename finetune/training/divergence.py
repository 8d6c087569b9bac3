"""Divergence: losses and weights that show that training has failed."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from app.errors import TrainingError
from finetune.checkpoint import Array

HIGHEST_LOSS = 709.0
"""In nats per token: a higher one is a perplexity that no floating-point number holds."""
LOWEST_LOSS_SCALE = 2**-10
"""The scale begins at 2**15 and is halved at each overflow."""


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


def refuse_overflow(loss_scale: float, step: int) -> None:
    """Raises TrainingError where float16's loss scale has been halved again and again: gradients overflow at every step."""
    if loss_scale < LOWEST_LOSS_SCALE:
        raise TrainingError(
            f"the gradients overflow float16 at every step up to {step}: give --precision bfloat16 or float32."
        )


def diverged(what: str, step: int) -> TrainingError:
    return TrainingError(f"{what} at step {step}: give a lower --learning-rate.")
