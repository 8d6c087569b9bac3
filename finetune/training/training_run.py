"""A training run from its options to its end: opens the data and the starting point, and trains with either trainer."""

from __future__ import annotations

from finetune.data.prepared import open_data
from finetune.out_of_memory import explain_memory
from finetune.run_folder import RunFolder
from finetune.run_lock import run_lock
from finetune.training.devices import choose_backend
from finetune.training.options import TrainingOptions
from finetune.training.starting_point import starting_point
from finetune.training.training_result import TrainingResult


def train_run(options: TrainingOptions) -> TrainingResult:
    """Train to the last step, to an early stop or until a signal, and save. Call this with output_may_close.

    Raises SettingError, CheckpointError or DataError for what cannot be trained, and TrainingError where it diverges.
    """
    options.check()
    data = open_data(options.data)
    run = RunFolder(options.out)
    with run_lock(run.folder), explain_memory(options.smaller()):
        if options.trainer == "gpt-2-simple":
            from finetune.training.gpt_2_simple_trainer import train_with_gpt_2_simple

            return train_with_gpt_2_simple(options, data, run)
        choose_backend()
        start = starting_point(options, data, run)
        options.check_model(start.hparams)
        from finetune.training.loop import train_with_keras

        return train_with_keras(options, data, run, start)
