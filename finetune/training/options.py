"""The options of a training run."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from finetune.data.packing import Learn

Precision = Literal["float32", "bfloat16", "float16"]
Freeze = Literal["nothing", "embeddings"] | int


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
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


def as_dict(options: TrainingOptions) -> dict[str, Any]:
    described: dict[str, Any] = msgspec.to_builtins(dataclasses.asdict(options), enc_hook=str)
    return described
