"""The options of `train`, and the combinations that are refused."""

from __future__ import annotations

import dataclasses
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from app.errors import SettingError
from finetune.data.packing import Learn

Precision = Literal["float32", "bfloat16", "float16"]
Freeze = Literal["nothing", "embeddings"] | int

# Options that may differ when a run is resumed. A change of any other would make it a different run.
MAY_CHANGE = {
    "data", "out", "init", "resume", "save", "steps", "save_every", "validation_tokens", "patience", "samples", "sample_length",
    "xla",
}  # fmt: skip
AT_LEAST_ONE = ("steps", "batch_size", "accumulate", "save_every", "n_layer", "n_head", "n_embd", "n_ctx")
AT_LEAST_ZERO = (
    "warmup", "lora", "patience", "samples", "validation_tokens", "clip", "weight_decay", "unlikelihood",
)  # fmt: skip
SHARES = ("decay_to", "ignore_meta_prob")


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """Train on prepared data, from a checkpoint or from scratch."""

    data: Path
    """the folder that prepare wrote"""
    out: Path
    """the run's folder, such as checkpoint/NAME"""
    init: str = "124M"
    """the weights to start from: a model in models/, a checkpoint's folder, or scratch (random weights)"""
    steps: int = 1000
    """optimizer steps in total; a resumed run counts those it already made"""
    batch_size: int = 1
    """rows of text per batch"""
    accumulate: int = 1
    """gradient accumulation: batches per optimizer step"""
    learning_rate: float = 1e-4
    """peak learning rate, reached after the warm-up"""
    warmup: int = 0
    """steps of linear warm-up from 0 to the peak learning rate"""
    decay_to: float = 0.1
    """cosine decay ends at this share of the peak learning rate; 1 keeps it constant"""
    weight_decay: float = 0.01
    """AdamW's weight decay; it applies to matrices and embeddings, not to biases and layer norms"""
    beta_2: float = 0.999
    """Adam's decay rate for the average of squared gradients"""
    clip: float = 1.0
    """clip the gradient to this global norm; 0 is off"""
    precision: Precision = "float32"
    """data type of the computation; bfloat16 and float16 are mixed precision, with weights in float32"""
    xla: bool = False
    """compile the training step with XLA: faster on GPUs, slower to start"""
    gradient_checkpointing: bool = False
    """recompute each layer in the backward pass instead of storing its activations: less memory, a third slower"""
    freeze: Freeze = "nothing"
    """weights that are not trained: nothing, embeddings, or N for the embeddings and the lowest N layers"""
    lora: int = 0
    """rank of LoRA adapters, which are merged into the weights on save; 0 trains the weights themselves"""
    context: int | None = None
    """tokens per row; by default the model's window"""
    packing: Literal["documents", "windows"] = "documents"
    """documents: whole documents per row, no attention between them; windows: random stretches of text, as in gpt-2-simple"""
    learn: Learn = "all"
    """turns of a conversation that count in the loss: all, replies (all but the first), or last; control codes never do"""
    ignore_meta_prob: float = 0.0
    """probability of dropping a document's control code, so that the model also writes without one"""
    unlikelihood: float = 0.0
    """weight of the unlikelihood loss against repetition (arXiv 1908.04319); 0 is off"""
    save_every: int = 200
    """steps between saves; each save also measures the validation loss and writes samples"""
    validation_tokens: int = 20_000
    """validation tokens to measure the loss on, at most"""
    patience: int = 0
    """early stopping: end after this many saves without a lower validation loss; 0 is off"""
    samples: int = 3
    """texts to write to samples.txt at each save"""
    sample_length: int = 100
    """tokens per sample"""
    resume: bool = False
    """continue the run in --out"""
    save: int | None = None
    """the number of the save to start from, with --init or --resume; by default the newest"""
    n_layer: int = 12
    """with --init scratch: number of layers"""
    n_head: int = 12
    """with --init scratch: attention heads per layer"""
    n_embd: int = 768
    """with --init scratch: embedding width"""
    n_ctx: int = 1024
    """with --init scratch: window in tokens"""
    seed: int = 0
    """random seed; the same seed repeats the run"""
    trainer: Literal["keras", "gpt-2-simple"] = "keras"
    """keras, or gpt-2-simple to train with that program's own code"""

    def as_dict(self) -> dict[str, Any]:
        """All options as JSON values, as description.json keeps them."""
        described: dict[str, Any] = msgspec.to_builtins(dataclasses.asdict(self), enc_hook=str)
        return described

    def check(self) -> None:
        """Raises SettingError naming the first option that is out of range or contradicts another."""
        self.check_ranges()
        if self.save is not None and self.init == "scratch" and not self.resume:
            raise SettingError(
                "--save names the save to start from, and --init scratch starts from none: leave it out."
            )
        if self.lora and self.freeze != "nothing":
            raise SettingError("--lora trains nothing but its adapters: leave --freeze out.")
        if self.packing == "windows" and self.ignore_meta_prob:
            raise SettingError(
                "--ignore_meta_prob drops a document's control code, and --packing windows ignores documents: "
                "leave one of them out."
            )
        if os.environ.get("KERAS_BACKEND", "tensorflow") not in ("tensorflow", "jax"):
            raise SettingError(f"KERAS_BACKEND is {os.environ['KERAS_BACKEND']}: set it to tensorflow or jax.")

    def check_ranges(self) -> None:
        # Every comparison is written so that NaN fails it.
        for name in AT_LEAST_ONE:
            self.require(name, getattr(self, name) >= 1, "give 1 or more")
        for name in AT_LEAST_ZERO:
            self.require(name, getattr(self, name) >= 0, "give 0 or more")
        for name in SHARES:
            self.require(name, 0 <= getattr(self, name) <= 1, "give a share from 0 to 1")
        self.require("learning_rate", 0 < self.learning_rate < math.inf, "give a number above 0, such as 1e-4")
        self.require("beta_2", 0 <= self.beta_2 < 1, "give 0 or more and less than 1, such as 0.999")

    def require(self, name: str, fits: bool, remedy: str) -> None:
        if not fits:
            raise SettingError(f"--{name} is {getattr(self, name)}: {remedy}.")

    def smaller(self) -> str:
        """What to change where these options need more memory than there is."""
        if self.batch_size > 1:
            return f"give a --batch_size below {self.batch_size}; --accumulate makes up for it"
        rest = ("" if self.gradient_checkpointing else "--gradient_checkpointing, ") + "a shorter --context, --lora 8"
        return f"give {rest} or a smaller model"

    def check_context(self, n_ctx: int) -> None:
        """Raises SettingError where `context` does not fit the model's window of n_ctx tokens."""
        if self.context is not None and not 1 < self.context <= n_ctx:
            raise SettingError(f"--context is {self.context} and the model's window is {n_ctx}: give 2 to {n_ctx}.")
