"""How a training run ended, in words: what it saved, where, and the command that comes next."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import NamedTuple


class TrainingResult(NamedTuple):
    """The step that was reached and saved, the last one asked for, and the signal that stopped the run or 0.

    `best` is the step and the loss of the lowest validation loss, if it was measured. `early`: it no longer fell.
    `time_over`: --minutes were over.
    """

    folder: Path
    step: int
    steps: int
    best: tuple[int, float] | None = None
    early: bool = False
    signal: int = 0
    time_over: bool = False

    @property
    def complete(self) -> bool:
        return self.early or self.time_over or self.step >= self.steps

    @property
    def checkpoint(self) -> Path:
        """What to use of the run: the save with the lowest validation loss, else the newest."""
        return self.folder / "best" if self.best else self.folder

    def summary(self) -> str:
        best = self.best
        kept = f"Lowest validation loss {best[1]:.3f} at step {best[0]}, saved in {self.checkpoint}. " if best else ""
        reached = (
            f"step {self.step} of {self.steps}, where its minutes were over" if self.time_over else f"step {self.step}"
        )
        return f"{self.folder}: {reached}. {kept}Loss curve: {self.folder}/loss.png."

    def ending(self, resume: str) -> str:
        """What a signal has left. `resume` is the command that goes on."""
        if self.complete:
            return f"The run was complete: step {self.step} is saved in {self.folder}, and nothing is left to train."
        if not self.step:
            return f"Stopped before the first step: nothing was saved. To begin again: {resume}"
        return f"Stopped at step {self.step} of {self.steps}, which is saved in {self.folder}. To go on: {resume}"

    def next_commands(self, data: Path) -> str:
        """What people do next."""
        name = self.folder.name
        used, text, report, bundle = map(
            shlex.quote, map(str, (self.checkpoint, data, f"reports/{name}", f"models/{name}"))
        )
        return (
            f"Now: gpt2 evaluate --checkpoint {used} --data {text} --out {report}\n"
            f"then: gpt2 export --checkpoint {used} --out {bundle}"
        )
