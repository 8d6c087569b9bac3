"""The line that a run begins with: on what it computes, and how much at a time."""

from __future__ import annotations

import math
from dataclasses import replace

from finetune.training.devices import Devices
from finetune.training.options import TrainingOptions
from finetune.training.trainer import Trainer


def start_line(options: TrainingOptions, devices: Devices, trainer: Trainer, length: int) -> str:
    used = replace(devices, count=1) if options.parallel == "none" else devices
    shared = f" ({'model' if options.parallel == 'model' else 'data'} parallel)" if used.count > 1 else ""
    precision = "float16 with a scaled loss" if options.precision == "float16" else options.precision
    attention = "flash attention" if trainer.flash else "plain attention"
    batch = f"{options.rows} row{'s' if options.rows > 1 else ''} a batch"
    step = f"{options.rows * options.accumulate * length:,} tokens a step"
    return ", ".join([f"{used}{shared}", precision, attention, batch, step, parameters(trainer)]) + "."


def parameters(trainer: Trainer) -> str:
    model = trainer.model
    every, trained = (
        sum(math.prod(each.shape) for each in found) for found in (model.variables, model.trainable_variables)
    )
    return f"{every:,} parameters" + (f", {trained:,} of them trained" if trained != every else "")
