"""Training by gpt-2-simple's own code (`train --trainer gpt-2-simple`), for comparison.

It trains on windows that cross document boundaries, at a constant learning rate. It saves no optimizer state and measures
no validation loss.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from app.engine.checkpoint_folder import open_checkpoint, step_of
from app.errors import SettingError
from finetune.checkpoint import read_weights, replace_text, save_note, write_checkpoint
from finetune.data.prepared import Data
from finetune.folder import scratch_folder
from finetune.option_ranges import option
from finetune.run_folder import RunFolder, saves
from finetune.training.divergence import refuse_infinite_weights
from finetune.training.options import TrainingOptions
from finetune.training.run_description import describe_run
from finetune.training.starting_point import starting_point
from finetune.training.stop_signals import StopRequest, handled_by
from finetune.training.training_result import TrainingResult

WINDOW = 1024  # Hard-coded in gpt-2-simple, whatever the model's window is.
# The options that gpt-2-simple's finetune has a counterpart for.
SUPPORTED = {
    "data", "out", "init", "steps", "batch_size", "accumulate", "learning_rate", "freeze", "save_every", "samples",
    "sample_length", "resume", "save", "n_layer", "n_head", "n_embd", "n_ctx", "seed", "trainer",
}  # fmt: skip


def train_with_gpt_2_simple(options: TrainingOptions, data: Data, run: RunFolder) -> TrainingResult:
    """Train to the last step or until a signal, and save.

    Raises SettingError if an option, the model or the data does not suit gpt-2-simple, and TrainingError if the loss became
    NaN or infinite.
    """
    refuse_unsupported(options, data)
    start = starting_point(options, data, run)
    refuse_window(options, start.hparams.n_ctx)
    with scratch_folder() as work:
        tokens = work / "tokens.npz"
        np.savez_compressed(tokens, np.asarray(data.train.tokens, np.int32))
        # Also for a resumption: gpt-2-simple takes the shape and the vocabulary from there, and cannot from the run itself.
        write_checkpoint(model := work / "start", start.hparams, start.weights, start.vocabulary)
        if options.resume:
            name_save(run.folder, start.step)
        else:
            run.describe(describe_run(options, data))
        with interrupts() as stop:
            finetune(options, tokens, model, run.folder, options.steps - start.step)
    # Also after a resumption, since the run may be one that gpt-2-simple began.
    run.describe(describe_run(options, data))
    saved = open_checkpoint(run.folder)
    refuse_infinite_weights(read_weights(saved), saved.step)
    return TrainingResult(run.folder, saved.step, options.steps, signal=stop.signal)


def name_save(folder: Path, step: int) -> None:
    """Let gpt-2-simple continue at this save: it takes the weights from one file and the number of steps from another."""
    save = f"model-{step}"
    if (folder / f"{save}.index").is_file():
        # Also if the file names this save: it may name it by a path of another machine, where gpt-2-simple would look.
        earlier = [name for name in saves(folder) if step_of(name) < step]
        replace_text(folder / "checkpoint", save_note([*earlier, save]))
    replace_text(folder / "counter", f"{step}\n")


@contextmanager
def interrupts() -> Iterator[StopRequest]:
    """Turn each signal to stop into the KeyboardInterrupt at which gpt-2-simple saves. Later ones do not disturb the save."""
    stop = StopRequest()

    def interrupt(number: int, frame: object) -> None:
        if not stop.signal:
            stop.signal = number
            raise KeyboardInterrupt

    with handled_by(interrupt):
        yield stop


def refuse_window(options: TrainingOptions, n_ctx: int) -> None:
    if n_ctx < WINDOW:
        raise SettingError(
            f"gpt-2-simple trains on windows of {WINDOW} tokens and the model's window is {n_ctx}: "
            "leave --trainer gpt-2-simple out."
        )
    if options.sample_length > n_ctx:
        raise SettingError(
            f"--sample-length is {options.sample_length} and the model's window is {n_ctx}: give {n_ctx} or less."
        )


def refuse_unsupported(options: TrainingOptions, data: Data) -> None:
    defaults = TrainingOptions(data=options.data, out=options.out).as_dict()
    for name, value in options.as_dict().items():
        if name not in SUPPORTED and value != defaults[name]:
            raise SettingError(
                f"{option(name)} is not supported by gpt-2-simple: leave it or --trainer gpt-2-simple out."
            )
    if options.batch_size == "auto":
        raise SettingError("--batch-size auto is not supported by gpt-2-simple: give a number.")
    if isinstance(options.freeze, int):
        raise SettingError("--freeze with a number is not supported by gpt-2-simple: give embeddings.")
    if len(data.train.tokens) < WINDOW:
        raise SettingError(
            f"gpt-2-simple needs at least {WINDOW} tokens of text and {data.folder} has {len(data.train.tokens)}: "
            "leave --trainer gpt-2-simple out."
        )


def finetune(options: TrainingOptions, tokens: Path, model: Path, run: Path, steps: int) -> None:
    """Call gpt_2_simple.finetune on the `tokens` file, from the checkpoint `model` or, resumed, the newest save of `run`."""
    import gpt_2_simple
    import tensorflow as tf

    # It writes samples in the locale's encoding, which may lack their characters, or be none that others read.
    gpt_2_simple.gpt_2.open = partial(open, encoding="utf-8")  # It opens text files only, while it trains.
    random.seed(options.seed)  # gpt-2-simple draws its windows from this generator.
    tf.compat.v1.reset_default_graph()
    session = gpt_2_simple.start_tf_sess()
    try:
        gpt_2_simple.finetune(
            session,
            str(tokens),
            steps=steps,
            model_name=model.name,
            model_dir=str(model.parent),
            run_name=run.name,
            checkpoint_dir=str(run.parent),
            restore_from="latest" if options.resume else "fresh",
            batch_size=options.rows,
            accumulate_gradients=options.accumulate,
            learning_rate=options.learning_rate,
            only_train_transformer_layers=options.freeze == "embeddings",
            sample_every=options.save_every if options.samples else 10**9,
            sample_num=max(1, options.samples),
            sample_length=options.sample_length,
            save_every=options.save_every,
        )
    finally:
        session.close()
