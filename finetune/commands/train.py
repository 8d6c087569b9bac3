"""`train`: fine-tune GPT-2 on prepared data, or train it from scratch.

    python -m finetune train --data data/NAME --init 124M --out checkpoint/NAME --steps 1000

A run that was stopped, by Ctrl-C, by a terminal or a machine that went away or by a full disk, continues with --resume and ends
with the same weights as one that ran through. Its options are in finetune/training/options.py, its folder is described in
finetune/run_folder.py.
"""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import Parameter

from finetune.training.closed_output import output_may_close
from finetune.training.options import TrainingOptions
from finetune.training.training_run import train_run
from finetune.watch.page_file import leave_page


def train(options: Annotated[TrainingOptions, Parameter(name="*")]) -> None:
    """Train on prepared data, from a checkpoint or from scratch."""
    with output_may_close():
        try:
            result = train_run(options)
        finally:
            leave_page(options.out)
        if not result.signal:
            print(result.summary())
            print(result.next_commands(options.data))
            return
        print(result.ending(options.resume_command()), file=sys.stderr)
        sys.exit(128 + result.signal)  # As shells expect it.
