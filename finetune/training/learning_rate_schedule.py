"""The learning-rate schedule: linear warm-up, then half a cosine down."""

from __future__ import annotations

import math

import keras

from finetune.training.options import TrainingOptions


def learning_rate_schedule(options: TrainingOptions) -> keras.optimizers.schedules.LearningRateSchedule:
    """Step → learning rate.

    Rises linearly over `warmup` steps to `learning_rate`, then follows a cosine down to `decay_to` times that at step
    `steps`. The first step already learns: it takes 1 / (warmup + 1) of the peak.
    """
    warmup = min(options.warmup, options.steps)
    return keras.optimizers.schedules.CosineDecay(
        options.learning_rate / (warmup + 1),
        decay_steps=max(1, options.steps - warmup),
        alpha=options.decay_to,
        warmup_target=options.learning_rate if warmup else None,
        warmup_steps=warmup,
    )


def learning_rate_at(options: TrainingOptions, step: int) -> float:
    """The schedule's value, for the log. Keras would compute it on the device, behind the steps that are queued there."""
    warmup = min(options.warmup, options.steps)
    if step < warmup:
        return options.learning_rate * (step + 1) / (warmup + 1)
    decayed = min(1.0, (step - warmup) / max(1, options.steps - warmup))
    return options.learning_rate * (options.decay_to + (1 - options.decay_to) * (1 + math.cos(math.pi * decayed)) / 2)
