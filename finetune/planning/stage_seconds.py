"""The seconds that the stages of `new` are expected to take, so that one bar can tell how long all of it takes."""

from __future__ import annotations

from collections.abc import Sequence

from app.engine.bundle import Hparams
from finetune.checkpoint import count_parameters
from finetune.data.input_files import InputFile, total_bytes
from finetune.data.prepared import DataDescription
from finetune.planning.training_plan import TrainingPlan, TrainingTime
from finetune.training.training_rate import training_rate

BYTES_PREPARED = 1_000_000
"""In a second."""
TOKENS_WRITTEN = 36_000
"""What an evaluation lets the model write: 180 texts."""
MOST_READ = 50_000
"""Tokens that it reads of the held-out text, and of the training text."""
USUAL_SCRATCH = 5_000_000
"""Parameters of a model whose shape is not chosen yet."""


def prepare_seconds(files: Sequence[InputFile]) -> float:
    return 2 + total_bytes(files) / BYTES_PREPARED


def seconds_after(time: TrainingTime, hparams: Hparams | None) -> dict[str, float]:
    """Of the stages after `prepare`, before there is a plan."""
    parameters = count_parameters(hparams) if hparams else USUAL_SCRATCH
    train = 60 * time.minutes if time.steps is None else 60.0
    return {"train": train, "evaluate": evaluate_seconds(parameters, MOST_READ), "export": export_seconds(parameters)}


def seconds_of_plan(plan: TrainingPlan, data: DataDescription) -> dict[str, float]:
    return {
        "train": plan.seconds,
        "evaluate": evaluate_seconds(plan.parameters, min(MOST_READ, data.tokens["validation"])),
        "export": export_seconds(plan.parameters),
    }


def evaluate_seconds(parameters: int, held_out: int) -> float:
    """It reads `held_out` tokens, and as many of the training text."""
    return 5 + 2 * parameters * (TOKENS_WRITTEN + 2 * held_out) / training_rate("CPU", "float32")


def export_seconds(parameters: int) -> float:
    return 3 + parameters / 10_000_000
