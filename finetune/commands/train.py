"""`train`: prepared data and a checkpoint → a better checkpoint.

    python -m finetune train --data data/NAME --init 124M --out checkpoint/NAME --steps 1000

The run's folder is described in finetune/training/run.py. A run that was stopped, by Ctrl-C, by a machine that was taken away or
by a full disk, goes on with --resume as if nothing had happened: with the same rows of text, optimizer and learning rate.
"""

from __future__ import annotations

import dataclasses
import math
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from app.engine.bundle import Hparams
from app.engine.checkpoint_folder import CheckpointFolder
from app.errors import CheckpointError, SettingError
from finetune.checkpoint import Array, initial_weights, newest_whole
from finetune.data.packing import Learn
from finetune.data.prepared import Data, open_data
from finetune.training.run import Description, Run, State, vocabulary_differs

Precision = Literal["float32", "bfloat16", "float16"]
Freeze = Literal["nothing", "embeddings"] | int
MODELS = Path("models")


@dataclass(frozen=True, kw_only=True)
class Training:
    """Train on prepared data, from a checkpoint or from nothing."""

    data: Path
    """the folder that prepare wrote"""
    out: Path
    """the run's folder, such as checkpoint/NAME"""
    init: str = "124M"
    """what to start from: a model in models/, a checkpoint's folder, or scratch"""
    steps: int = 1000
    """updates of the weights in all, those of an earlier part of the run included"""
    batch_size: int = 1
    """rows of text that are read side by side"""
    accumulate: int = 1
    """batches that make one update"""
    learning_rate: float = 1e-4
    """the highest learning rate, after the warm-up"""
    warmup: int = 0
    """steps over which the learning rate rises from 0"""
    decay_to: float = 0.1
    """the share of the learning rate that half a cosine ends at; 1 keeps it constant"""
    weight_decay: float = 0.01
    """how strongly AdamW pulls matrices towards 0"""
    beta_2: float = 0.999
    """over how many updates Adam averages squared gradients: 1 / (1 - beta_2)"""
    clip: float = 1.0
    """the largest norm of a gradient; 0 is off"""
    precision: Precision = "float32"
    """what is computed in; weights stay float32"""
    xla: bool = False
    """compile the step: faster on GPUs, a longer start"""
    gradient_checkpointing: bool = False
    """compute each layer twice rather than keep what it computed: less memory, a third slower"""
    freeze: Freeze = "nothing"
    """what stays as it is: nothing, embeddings, or embeddings and that many layers from below"""
    lora: int = 0
    """train only a product of two matrices of this rank beside each projection; added in on save; 0 is off"""
    context: int | None = None
    """tokens in a row; the model's window unless given"""
    packing: Literal["documents", "windows"] = "documents"
    """documents: whole ones, which do not see each other; windows: any stretch of text, as gpt-2-simple takes them"""
    learn: Learn = "all"
    """of conversations: all turns, replies (all but the first), or the last; control codes are never learned"""
    ignore_meta_prob: float = 0.0
    """how often a document's control code is left out, so that the model also writes without one"""
    unlikelihood: float = 0.0
    """the weight of the loss for words already said, against repetition (arXiv 1908.04319); 0 is off"""
    save_every: int = 200
    """steps between saves; at each, the validation loss is measured and samples are written"""
    validation_tokens: int = 20_000
    """how much validation text is read each time, at most"""
    patience: int = 0
    """stop after so many saves without a better validation loss; 0 is never"""
    samples: int = 3
    """texts to write to samples.txt at each save"""
    sample_length: int = 100
    """tokens in each"""
    resume: bool = False
    """go on with the run in --out"""
    n_layer: int = 12
    """from scratch: layers"""
    n_head: int = 12
    """from scratch: heads"""
    n_embd: int = 768
    """from scratch: width"""
    n_ctx: int = 1024
    """from scratch: window"""
    seed: int = 0
    """same seed, same run"""
    trainer: Literal["keras", "gpt-2-simple"] = "keras"
    """gpt-2-simple trains exactly as it always has"""


# What may differ when a run goes on; all else makes it another run.
MAY_CHANGE = {"data", "out", "init", "resume", "steps", "save_every", "validation_tokens", "patience", "samples"} | {
    "sample_length",
    "xla",
}


@dataclass(frozen=True)
class Start:
    """What training begins with. `vocabulary` is the folder that has encoder.json and vocab.bpe."""

    hparams: Hparams
    weights: Mapping[str, Array]
    vocabulary: Path
    step: int = 0
    state: State | None = None


def train(options: Training) -> None:
    """Train on prepared data, from a checkpoint or from nothing."""
    refuse_contradictions(options)
    data = open_data(options.data)
    run = Run(options.out)
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


def refuse_contradictions(options: Training) -> None:
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


def starting_point(options: Training, data: Data, run: Run) -> Start:
    """Find weights, and where the run stands. Raises a StartError that says what does not fit."""
    if options.resume:
        return resumed(options, data, run)
    run.refuse_strangers()
    if options.init == "scratch":
        if options.n_embd % options.n_head:
            raise SettingError(f"--n_embd {options.n_embd} cannot be divided among --n_head {options.n_head} heads.")
        shape = {"n_ctx": options.n_ctx, "n_embd": options.n_embd, "n_head": options.n_head, "n_layer": options.n_layer}
        hparams = Hparams(n_vocab=data.description.n_vocab, **shape)
        return Start(hparams, initial_weights(hparams, options.seed), data.folder)
    source, weights = newest_whole(initial_folder(options.init))
    refuse_other_vocabulary(source, data)
    return Start(source.hparams, weights, source.folder)


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


def resumed(options: Training, data: Data, run: Run) -> Start:
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
    return Start(source.hparams, weights, source.folder, source.step, state)


def refuse_other_run(options: Training, data: Data, before: Description, folder: Path) -> None:
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


def as_dict(options: Training) -> dict[str, Any]:
    described: dict[str, Any] = msgspec.to_builtins(dataclasses.asdict(options), enc_hook=str)
    return described
