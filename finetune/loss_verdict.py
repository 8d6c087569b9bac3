"""The verdict on a loss curve in words: still falling, levelled off, rising, diverged."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np

from finetune.run_folder import LogEntry

Trend = Literal["unknown", "falling", "level", "turning", "rising", "diverged"]
VISIBLE = 0.005
"""Differences below this, in nats per token, count as none."""
PATIENT = 4
"""So many saves without a lower validation loss are a rise, even if the last of them is lower than the one before."""
BLOWN_UP = 1.0
"""A training loss that has risen by more nats than this has diverged."""


class LossVerdict(msgspec.Struct, frozen=True):
    """`best`: the step with the lowest validation loss, if it was measured. `sentence` has no full stop."""

    trend: Trend
    sentence: str
    best: int | None = None


def judge_losses(log: Sequence[LogEntry]) -> LossVerdict:
    """What the curve says. The validation loss decides where it is known, since the training loss nearly always falls."""
    if any(not math.isfinite(entry.train) for entry in log):
        return LossVerdict("diverged", "diverged: the loss is not a number any more")
    if not log:
        return LossVerdict("unknown", "no loss is known")
    losses = [entry.train for entry in log]
    training = smooth(losses)
    if len(training) > 2 and training[-1] > min(training) + BLOWN_UP:
        return LossVerdict("diverged", f"diverged: the loss rose from {min(losses):.2f} to {losses[-1]:.2f}")
    validation = [(entry.step, entry.validation) for entry in log if entry.validation is not None]
    measured = [(step, loss) for step, loss in validation if math.isfinite(loss)]
    if len(measured) > 1:
        return judge_validation(measured)
    return judge_training(training, measured[0][0] if measured else None)


def judge_training(training: Sequence[float], best: int | None) -> LossVerdict:
    """The verdict on smoothed training losses, where nothing else is known."""
    if len(training) < 4:
        return LossVerdict("unknown", "too early to tell", best)
    if training[len(training) // 2] - training[-1] > VISIBLE:
        return LossVerdict("falling", "the training loss is falling", best)
    return LossVerdict("level", "the training loss has levelled off", best)


def judge_validation(measured: Sequence[tuple[int, float]]) -> LossVerdict:
    """The verdict on validation losses, each with its step."""
    best, lowest = min(measured, key=lambda pair: pair[1])
    later = [loss for step, loss in measured if step > best]
    if later and later[-1] > lowest + VISIBLE:
        if len(later) >= PATIENT or (len(later) > 1 and later[-1] > later[-2]):
            return LossVerdict(
                "rising", f"the validation loss rises since step {best:,}: the best save is that one", best
            )
        return LossVerdict("turning", f"the validation loss was lowest at step {best:,}", best)
    before = measured[max(0, len(measured) - 1 - max(1, len(measured) // 3))][1]
    if before - measured[-1][1] > VISIBLE:
        return LossVerdict("falling", "the validation loss is still falling", best)
    return LossVerdict("level", "the validation loss has levelled off", best)


def smooth(losses: Sequence[float], width: int = 5) -> list[float]:
    """The mean of each loss and those before it, `width` in all."""
    sums = np.convolve(losses, np.ones(width))[: len(losses)]
    return [float(total) / min(number, width) for number, total in enumerate(sums, 1)]
