"""The optimizer of a run: AdamW or Adafactor, with weight decay on matrices, and a scaled loss in float16."""

from __future__ import annotations

from typing import Any

import keras

from finetune.training.adafactor import Adafactor
from finetune.training.options import TrainingOptions


def optimizer_for(
    options: TrainingOptions, schedule: keras.optimizers.schedules.LearningRateSchedule
) -> keras.optimizers.Optimizer:
    common: dict[str, Any] = {"weight_decay": options.weight_decay, "global_clipnorm": options.clip or None}
    if options.optimizer == "adafactor":
        optimizer = Adafactor(schedule, name="adafactor", **common)
    else:
        optimizer = keras.optimizers.AdamW(schedule, beta_2=options.beta_2, epsilon=1e-8, **common)
    # Biases and the gains of layer norms are not decayed, as is usual: decay would change what the network computes.
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    if options.precision == "float16":  # Without a scale, small gradients would be zero in 16 bits.
        return keras.optimizers.LossScaleOptimizer(optimizer)
    return optimizer
