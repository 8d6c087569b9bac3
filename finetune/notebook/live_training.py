"""A training run shown while it trains: its progress, its loss curve and the texts that it writes. It resumes by itself."""

from __future__ import annotations

import re
import time
from pathlib import Path

from app.engine.checkpoint_folder import open_checkpoint
from app.errors import MachineError
from finetune.notebook.cell_output import CellOutput
from finetune.notebook.verb_process import follow, verb_command
from finetune.run_folder import RunFolder
from finetune.training.loss_plot import draw_losses

SECONDS_BETWEEN_CHARTS = 5.0
STEP_AND_LOSS = re.compile(r"(\d+)/\d+ \[.*\bloss (\d+\.\d+)")
"""The step and the loss in the progress bar of `train`. log.csv has them only after the next save."""


def train_live(out: Path, steps: int, *arguments: str | Path) -> None:
    """`train --out OUT --steps STEPS ARGUMENTS`, shown while it runs. A run that is there already is resumed.

    Raises MachineError if it fails or is interrupted, so that a notebook does not go on.
    """
    run = RunFolder(out)
    if run.exists and (step := open_checkpoint(out).step) >= steps:
        print(f"{out} is at step {step} already, of {steps}: ask for more steps to train on.")
        return
    command = verb_command("train", *arguments, "--out", out, "--steps", str(steps), *resumption(run))
    live = LiveTraining(run)
    code = follow(command, live.show)
    live.show_samples()
    live.draw()
    if code == 130:
        raise MachineError("Interrupted. To go on, run this cell again; or use what is saved in the cells below.")
    if code:
        raise MachineError("`train` did not finish: the last line above says why.")


def resumption(run: RunFolder) -> list[str]:
    """The options that resume a run, if it exists. It keeps its precision, though another card may be here today."""
    if not run.exists:
        return []
    print(f"{run.folder} is here: it is resumed.")
    begun = run.description.options.get("precision") if run.description else None
    return ["--resume", *(["--precision", begun] if begun else [])]


class LiveTraining:
    """Shows what a run prints, its losses as a chart, and its samples."""

    def __init__(self, run: RunFolder) -> None:
        self.run = run
        self.output = CellOutput()
        self.losses: list[tuple[int, float]] = []
        """Step and training loss, from the bar."""
        self.drawn = time.monotonic()
        self.samples = run.folder / "samples.txt"
        self.shown = self.samples.stat().st_size if self.samples.is_file() else 0

    def show(self, text: str, replaced: bool) -> None:
        self.output.show(text, replaced)
        if found := STEP_AND_LOSS.search(text):
            self.losses.append((int(found[1]), float(found[2])))
        self.show_samples()
        if self.losses and time.monotonic() - self.drawn >= SECONDS_BETWEEN_CHARTS:
            self.draw()

    def show_samples(self) -> None:
        """Show what was added to samples.txt."""
        if self.samples.is_file() and (size := self.samples.stat().st_size) > self.shown:
            with self.samples.open("rb") as file:
                file.seek(self.shown)
                self.output.show(file.read(size - self.shown).decode("utf-8", "replace").rstrip(), False)
            self.shown = size

    def draw(self) -> None:
        """Draw the losses of log.csv and, since its last entry, those of the bar."""
        entries = self.run.log()
        last = entries[-1].step if entries else 0
        training = [(entry.step, entry.train) for entry in entries] + [loss for loss in self.losses if loss[0] > last]
        if training:
            validation = [(entry.step, entry.validation) for entry in entries if entry.validation is not None]
            self.output.draw(draw_losses(training, validation, self.run.folder.name))
        self.drawn = time.monotonic()
