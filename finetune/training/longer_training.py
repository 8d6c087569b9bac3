"""The command that trains a run longer, from what its description says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from finetune.training.options import TrainingOptions


def resume_command(folder: Path, options: Mapping[str, Any], steps: int) -> str:
    """The command that continues a run up to step `steps`. `options` are those of description.json."""
    paths = {"data": Path(str(options.get("data", "data/NAME"))), "out": folder}
    return TrainingOptions(**TrainingOptions.recorded(options) | paths | {"steps": steps}).resume_command()


def more_steps(step: int) -> int:
    """Half as many again, rounded to hundreds where that changes little."""
    more = step * 3 // 2
    return round(more, -2) if more >= 1000 else max(more, step + 1)
