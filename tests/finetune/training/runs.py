"""Options for short runs, and what the tests read of a run."""

from __future__ import annotations

import csv
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.engine.checkpoint_folder import open_checkpoint
from finetune.checkpoint import read_weights
from finetune.commands.train import train
from finetune.training.options import TrainingOptions


def training_options(base: Path, out: Path, **changes: Any) -> TrainingOptions:
    usual: dict[str, Any] = {
        "init": str(base / "init"),
        "steps": 12,
        "batch_size": 2,
        "save_every": 4,
        "learning_rate": 1e-2,
        "samples": 0,
    }
    return TrainingOptions(data=base / "data", out=out, **usual | changes)


def weights_of(folder: Path) -> dict[str, np.ndarray]:
    return read_weights(open_checkpoint(folder))


def logged(folder: Path) -> list[dict[str, str]]:
    with (folder / "log.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def stopped_after(options: TrainingOptions, steps: int) -> None:
    """Train, with a signal as Ctrl-C sends it after so many steps."""
    from finetune.training.trainer import Trainer

    class Stopping(Trainer):
        count = 0

        def step(self, batches: Any) -> Any:
            Stopping.count += 1
            if Stopping.count == steps:
                signal.raise_signal(signal.SIGINT)
            return super().step(batches)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("finetune.training.loop.Trainer", Stopping)
        with pytest.raises(SystemExit, match="130"):
            train(options)
