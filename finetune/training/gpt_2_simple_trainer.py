"""`train --trainer gpt-2-simple`: the way it always was. gpt-2-simple's own `finetune` does all of it.

Its windows cross documents, its learning rate is constant, it keeps no optimizer state and measures no validation loss.
It is here for comparison, and for whoever wants exactly that.
"""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

import numpy as np

from app.errors import SettingError
from finetune.checkpoint import write_checkpoint
from finetune.commands.train import starting_point
from finetune.data.prepared import Data
from finetune.run_folder import RunFolder
from finetune.training.options import TrainingOptions, as_dict

WINDOW = 1024  # Written into its code, whatever the model's window is.
KNOWN = {
    "data",
    "out",
    "init",
    "steps",
    "batch_size",
    "accumulate",
    "learning_rate",
    "freeze",
    "save_every",
    "samples",
} | {
    "sample_length",
    "resume",
    "n_layer",
    "n_head",
    "n_embd",
    "n_ctx",
    "seed",
    "trainer",
}


def train_classic(options: TrainingOptions, data: Data, run: RunFolder) -> None:
    refuse_what_it_cannot(options, data)
    start = starting_point(options, data, run)
    if start.hparams.n_ctx < WINDOW:
        raise SettingError(f"gpt-2-simple trains on windows of {WINDOW} and the model's is {start.hparams.n_ctx}.")
    with tempfile.TemporaryDirectory() as work:
        tokens = Path(work) / "tokens.npz"
        np.savez_compressed(tokens, np.asarray(data.train.tokens, np.int32))
        model = Path(work) / "start"
        if not options.resume:
            write_checkpoint(model, start.hparams, start.weights, start.vocabulary)
        finetune(options, tokens, model, run.folder, options.steps - start.step)


def refuse_what_it_cannot(options: TrainingOptions, data: Data) -> None:
    defaults = as_dict(TrainingOptions(data=options.data, out=options.out))
    for name, value in as_dict(options).items():
        if name not in KNOWN and value != defaults[name]:
            raise SettingError(
                f"--{name} is not something gpt-2-simple can do: leave it or --trainer gpt-2-simple away."
            )
    if isinstance(options.freeze, int):
        raise SettingError("--freeze with a number is not something gpt-2-simple can do: give embeddings.")
    if len(data.train.tokens) < WINDOW:
        raise SettingError(
            f"gpt-2-simple needs a window of {WINDOW} tokens and {data.folder} has {len(data.train.tokens)}: "
            "leave --trainer gpt-2-simple away, which trains on less."
        )


def finetune(options: TrainingOptions, tokens: Path, model: Path, run: Path, steps: int) -> None:
    import gpt_2_simple
    import tensorflow as tf

    random.seed(options.seed)  # It picks its windows with it.
    tf.compat.v1.reset_default_graph()
    session = gpt_2_simple.start_tf_sess()
    try:
        gpt_2_simple.finetune(
            session,
            str(tokens),
            steps=steps,
            model_name=run.name if options.resume else model.name,
            model_dir=str(run.parent if options.resume else model.parent),
            run_name=run.name,
            checkpoint_dir=str(run.parent),
            restore_from="latest" if options.resume else "fresh",
            batch_size=options.batch_size,
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
