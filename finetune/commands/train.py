"""`train`: fine-tune GPT-2 on prepared data, or train it from scratch.

    python -m finetune train --data data/NAME --init 124M --out checkpoint/NAME --steps 1000

A run that was stopped, by Ctrl-C, by a terminal or a machine that went away or by a full disk, continues with --resume and ends
with the same weights as one that ran through. Its options are in finetune/training/options.py, its folder is described in
finetune/run_folder.py.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, NoReturn

from cyclopts import Parameter

from finetune.data.prepared import open_data
from finetune.out_of_memory import explain_memory
from finetune.run_folder import RunFolder
from finetune.training.closed_output import output_may_close
from finetune.training.devices import choose_backend
from finetune.training.options import TrainingOptions
from finetune.training.starting_point import starting_point


def train(options: Annotated[TrainingOptions, Parameter(name="*")]) -> None:
    """Train on prepared data, from a checkpoint or from scratch."""
    options.check()
    data = open_data(options.data)
    run = RunFolder(options.out)
    with output_may_close(), explain_memory(options.smaller()):
        if options.trainer == "gpt-2-simple":
            from finetune.training.gpt_2_simple_trainer import train_with_gpt_2_simple

            if number := train_with_gpt_2_simple(options, data, run):
                end_interrupted(run, number)
            return
        choose_backend()
        start = starting_point(options, data, run)
        options.check_model(start.hparams)
        from finetune.training.loop import train_with_keras

        result = train_with_keras(options, data, run, start)
        print(summary(run.folder, result.step, result.best))
        if result.signal:
            end_interrupted(run, result.signal)


def end_interrupted(run: RunFolder, number: int) -> NoReturn:
    """Say what a stop by this signal leaves, and exit as shells expect it."""
    kept = f"Saved in {run.folder}: the same command with --resume continues." if run.exists else "Nothing was saved."
    print(f"Interrupted. {kept}", file=sys.stderr)
    sys.exit(128 + number)


def summary(folder: Path, step: int, best: tuple[int, float] | None) -> str:
    """`best` is the step and value of the lowest validation loss, if it was measured."""
    kept = f"Lowest validation loss {best[1]:.3f} at step {best[0]}, saved in {folder}/best. " if best else ""
    return f"{folder}: step {step}. {kept}Loss curve: {folder}/loss.png."
