"""`train`: prepared data and a checkpoint → a better checkpoint.

    python -m finetune train --data data/NAME --init 124M --out checkpoint/NAME --steps 1000

The run's folder is described in finetune/run_folder.py. A run that was stopped, by Ctrl-C, by a machine that was taken away or
by a full disk, goes on with --resume as if nothing had happened: with the same rows of text, optimizer and learning rate.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from app.engine.bundle import Hparams
from app.engine.checkpoint_folder import CheckpointFolder
from app.errors import CheckpointError, SettingError
from finetune.checkpoint import Array, initial_weights, newest_whole
from finetune.data.prepared import Data, open_data
from finetune.run_folder import RunDescription, RunFolder, State, vocabulary_differs
from finetune.training.options import MAY_CHANGE, TrainingOptions, as_dict

MODELS = Path("models")


@dataclass(frozen=True)
class StartingPoint:
    """What training begins with. `vocabulary` is the folder that has encoder.json and vocab.bpe."""

    hparams: Hparams
    weights: Mapping[str, Array]
    vocabulary: Path
    step: int = 0
    state: State | None = None


def train(options: TrainingOptions) -> None:
    """Train on prepared data, from a checkpoint or from nothing."""
    refuse_contradictions(options)
    data = open_data(options.data)
    run = RunFolder(options.out)
    if options.trainer == "gpt-2-simple":
        from finetune.training.gpt_2_simple_trainer import train_classic

        train_classic(options, data, run)
        return
    start = starting_point(options, data, run)
    refuse_context(options.context, start.hparams.n_ctx)
    from finetune.training.loop import follow

    if stopped := follow(options, data, run, start):
        print(f"interrupted; saved in {run.folder}: the same command with --resume goes on.", file=sys.stderr)
        sys.exit(128 + stopped)


def refuse_contradictions(options: TrainingOptions) -> None:
    """Say which option does not fit, in one sentence."""
    for name in ("steps", "batch_size", "accumulate", "save_every", "n_layer", "n_head", "n_embd", "n_ctx"):
        if getattr(options, name) < 1:
            raise SettingError(f"--{name} is {getattr(options, name)}: give 1 or more.")
    for name in ("warmup", "lora", "patience", "samples", "validation_tokens", "clip", "weight_decay", "unlikelihood"):
        if not getattr(options, name) >= 0:
            raise SettingError(f"--{name} is {getattr(options, name)}: give 0 or more.")
    for name in ("decay_to", "ignore_meta_prob"):
        if not 0 <= getattr(options, name) <= 1:
            raise SettingError(f"--{name} is {getattr(options, name)}: give a share from 0 to 1.")
    if not 0 < options.learning_rate < math.inf:
        raise SettingError(f"--learning_rate is {options.learning_rate}: give a number above 0, such as 1e-4.")
    if not 0 <= options.beta_2 < 1:
        raise SettingError(f"--beta_2 is {options.beta_2}: give a number from 0 up to 1, such as 0.999.")
    if options.lora and options.freeze != "nothing":
        raise SettingError("--lora freezes everything else by itself: leave --freeze away.")
    if options.packing == "windows" and options.ignore_meta_prob:
        raise SettingError(
            "--ignore_meta_prob leaves out a document's control code and --packing windows knows no documents."
        )
    if os.environ.get("KERAS_BACKEND", "tensorflow") not in ("tensorflow", "jax"):
        raise SettingError(f"KERAS_BACKEND is {os.environ['KERAS_BACKEND']}: give tensorflow or jax.")


def refuse_context(length: int | None, n_ctx: int) -> None:
    if length is not None and not 1 < length <= n_ctx:
        raise SettingError(f"--context is {length} and the model's window is {n_ctx}: give 2 to {n_ctx}.")


def starting_point(options: TrainingOptions, data: Data, run: RunFolder) -> StartingPoint:
    """Find weights, and where the run stands. Raises the FatalError that says what does not fit."""
    if options.resume:
        return resumed(options, data, run)
    run.refuse_strangers()
    if options.init == "scratch":
        if options.n_embd % options.n_head:
            raise SettingError(f"--n_embd {options.n_embd} cannot be divided among --n_head {options.n_head} heads.")
        shape = {"n_ctx": options.n_ctx, "n_embd": options.n_embd, "n_head": options.n_head, "n_layer": options.n_layer}
        hparams = Hparams(n_vocab=data.description.n_vocab, **shape)
        return StartingPoint(hparams, initial_weights(hparams, options.seed), data.folder)
    source, weights = newest_whole(initial_folder(options.init))
    refuse_other_vocabulary(source, data)
    return StartingPoint(source.hparams, weights, source.folder)


def initial_folder(init: str) -> Path:
    if Path(init).is_dir():
        return Path(init)
    if (MODELS / init).is_dir():
        return MODELS / init
    if init in ("124M", "355M", "774M", "1558M"):
        raise CheckpointError(f"models/{init} is not there: `python -m finetune download {init}` fetches it.")
    raise CheckpointError(
        f"--init is {init}: give 124M or another model in models/, a checkpoint's folder, or scratch."
    )


def refuse_other_vocabulary(source: CheckpointFolder, data: Data) -> None:
    if vocabulary_differs(source.folder, data.folder):
        raise SettingError(
            f"{data.folder} was prepared with another vocabulary than {source.folder} has: "
            f"prepare it again with --vocabulary {source.folder}."
        )


def resumed(options: TrainingOptions, data: Data, run: RunFolder) -> StartingPoint:
    if not run.exists:
        raise SettingError(f"--resume is given and {run.folder} has no run to go on with: leave --resume away.")
    source, weights = newest_whole(run.folder)
    refuse_other_vocabulary(source, data)
    if source.step >= options.steps:
        raise SettingError(f"{run.folder} is at step {source.step} already: give --steps more than that.")
    before = run.description
    if before is not None:
        refuse_other_run(options, data, before, run.folder)
    state = run.state(source)
    if state is None:
        print(f"{run.folder / source.save} has no optimizer's state with it: that begins anew.", file=sys.stderr)
    return StartingPoint(source.hparams, weights, source.folder, source.step, state)


def refuse_other_run(options: TrainingOptions, data: Data, before: RunDescription, folder: Path) -> None:
    if before.corpus_sha256 != data.description.corpus_sha256:
        raise SettingError(
            f"{folder} was trained on other data than {data.folder}: start from it with --init {folder}."
        )
    for name, value in as_dict(options).items():
        if name not in MAY_CHANGE and before.options.get(name, value) != value:
            raise SettingError(
                f"--{name} is {value} and was {before.options[name]} when {folder} began: give that, "
                f"or start a new run with --init {folder}."
            )
