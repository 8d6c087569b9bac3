"""The command that resumes a run, with the options that it began with."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from finetune.training.options import TrainingOptions

SAID = {"data", "out", "steps", "resume", "save"}
"""Options that the command names itself, or that name a starting point."""


def resume_command(folder: Path, options: Mapping[str, Any], steps: int) -> str:
    """`gpt2 train … --resume` up to step `steps`. `options` are those of description.json."""
    defaults = TrainingOptions(data=Path(), out=Path()).as_dict()
    changed = {name: value for name, value in options.items() if name in defaults and value != defaults[name]}
    words = ["gpt2", "train", "--data", str(options.get("data", "data/NAME")), "--out", str(folder)]
    for name, value in changed.items():
        if name not in SAID and value is not None:
            words += [f"--{name}"] if value is True else [f"--{name}", str(value)]
    return shlex.join([*words, "--resume", "--steps", str(steps)])
