"""The options of `train`, and the combinations that are refused."""

from __future__ import annotations

import dataclasses
import math
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from cyclopts import Group, Parameter
from msgspec import Meta

from app.engine.bundle import LARGEST, Hparams
from app.engine.generation import Length
from app.errors import SettingError
from finetune.data.packing import Learn
from finetune.option_ranges import Count, CountOrZero, NotNegative, Share, check_ranges, option
from finetune.training.backend_settings import refuse_backend

Precision = Literal["float32", "bfloat16", "float16"]
Parallel = Literal["auto", "data", "model", "none"]
Freeze = Literal["nothing", "embeddings"] | CountOrZero

START, LENGTH, RATE, MEMORY, TEXT, SHOWN = (
    Parameter(group=Group.create_ordered(title))
    for title in ("Where to start", "How long", "How it learns", "Speed and memory", "What it reads", "What it shows")
)

# Options that may differ when a run is resumed. A change of any other would make it a different run.
MAY_CHANGE = {
    "data", "out", "init", "resume", "save", "steps", "minutes", "save_every", "save_minutes", "patience", "samples",
    "sample_length", "xla", "parallel", "attention", "batch_size", "accumulate", "gradient_checkpointing",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """Train on prepared data, from a checkpoint or from scratch."""

    data: Annotated[Path, START]
    """the folder that prepare wrote"""
    out: Annotated[Path, START]
    """the run's folder, such as checkpoint/NAME"""
    init: Annotated[str, START] = "124M"
    """the weights to start from: a model in models/, a checkpoint's folder or a save in it, or scratch (random weights)"""
    steps: Annotated[Count, LENGTH] = 1000
    """optimizer steps in total; a resumed run counts those it already made"""
    minutes: Annotated[NotNegative, LENGTH] = 0.0
    """minutes to train at most, those before a --resume included: then the run is saved and ends; 0 is off"""
    batch_size: Annotated[Count | Literal["auto"], MEMORY] = 1
    """rows of text per batch; auto takes the largest that fits into memory and makes training faster"""
    accumulate: Annotated[Count, MEMORY] = 1
    """gradient accumulation: batches per optimizer step"""
    tokens_per_step: Annotated[Count | None, MEMORY] = None
    """tokens per optimizer step, instead of --accumulate: as many batches as come nearest"""
    learning_rate: Annotated[float, Meta(gt=0), RATE] = 1e-4
    """peak learning rate, reached after the warm-up"""
    warmup: Annotated[CountOrZero, RATE] = 0
    """steps of linear warm-up from 0 to the peak learning rate"""
    decay_to: Annotated[Share, RATE] = 0.1
    """cosine decay ends at this share of the peak learning rate; 1 keeps it constant"""
    optimizer: Annotated[Literal["adamw", "adafactor"], RATE] = "adamw"
    """adafactor takes less memory; its steps are relative to the weights, so give ten times AdamW's learning rate"""
    weight_decay: Annotated[NotNegative, RATE] = 0.01
    """weight decay; it applies to matrices and embeddings, not to biases and layer norms"""
    beta_2: Annotated[float, Meta(ge=0, lt=1), RATE] = 0.999
    """Adam's decay rate for the average of squared gradients"""
    clip: Annotated[NotNegative, RATE] = 1.0
    """clip the gradient to this global norm; 0 is off"""
    precision: Annotated[Precision, MEMORY] = "float32"
    """data type of the computation; bfloat16 and float16 are mixed precision, with weights in float32"""
    attention: Annotated[Literal["auto", "flash", "plain"], MEMORY] = "auto"
    """flash: cuDNN's flash attention, on JAX in 16 bits on GPUs since Ampere; plain: anywhere; auto: flash where possible"""
    xla: Annotated[bool, MEMORY] = False
    """compile the training step with XLA, which JAX and GPUs always do: slower to start"""
    gradient_checkpointing: Annotated[bool, MEMORY] = False
    """recompute each layer in the backward pass instead of storing its activations: less memory, a third slower"""
    parallel: Annotated[Parallel, MEMORY] = "auto"
    """several GPUs, on JAX: data splits each batch among them, and auto does too; model splits the model; none uses one GPU"""
    freeze: Annotated[Freeze, RATE] = "nothing"
    """weights that are not trained: nothing, embeddings, or N for the embeddings and the lowest N layers"""
    lora: Annotated[CountOrZero, RATE] = 0
    """rank of LoRA adapters, which are merged into the weights on save; 0 trains the weights themselves"""
    context: Annotated[Annotated[int, Meta(ge=2)] | None, MEMORY] = None
    """tokens per row; by default the model's window"""
    packing: Annotated[Literal["documents", "windows"], TEXT] = "documents"
    """documents: whole documents per row, no attention between them; windows: random stretches of text, as in gpt-2-simple"""
    learn: Annotated[Learn, TEXT] = "all"
    """turns of a conversation that count in the loss: all, replies (all but the first), or last; control codes never do"""
    ignore_meta_prob: Annotated[Share, TEXT] = 0.0
    """probability of dropping a document's control code, so that the model also writes without one"""
    unlikelihood: Annotated[NotNegative, RATE] = 0.0
    """weight of the unlikelihood loss against repetition (arXiv 1908.04319); 0 is off"""
    save_every: Annotated[Count, LENGTH] = 200
    """steps between saves; each save also measures the validation loss and writes samples"""
    save_minutes: Annotated[NotNegative, LENGTH] = 10.0
    """minutes between saves at most, whatever --save-every says; these extra saves measure and show nothing; 0 is off"""
    validation_tokens: Annotated[CountOrZero, LENGTH] = 20_000
    """validation tokens to measure the loss on, at most"""
    patience: Annotated[CountOrZero, LENGTH] = 0
    """early stopping: end after this many saves without a lower validation loss; 0 is off"""
    samples: Annotated[CountOrZero, SHOWN] = 3
    """texts to write to samples.txt at each save; the first two are shown; 0 writes none"""
    sample_length: Annotated[Length, SHOWN] = 100
    """tokens per sample"""
    resume: Annotated[bool, START] = False
    """continue the run in --out"""
    save: Annotated[CountOrZero | None, START] = None
    """the number of the save to start from, by default the newest; with --resume, later saves are replaced"""
    n_layer: Annotated[int, Meta(ge=1, le=LARGEST["n_layer"]), START] = 12
    """with --init scratch: number of layers"""
    n_head: Annotated[int, Meta(ge=1, le=LARGEST["n_head"]), START] = 12
    """with --init scratch: attention heads per layer"""
    n_embd: Annotated[int, Meta(ge=1, le=LARGEST["n_embd"]), START] = 768
    """with --init scratch: embedding width"""
    n_ctx: Annotated[int, Meta(ge=1, le=LARGEST["n_ctx"]), START] = 1024
    """with --init scratch: window in tokens"""
    seed: Annotated[int, Meta(ge=0, le=2**32 - 1), START] = 0
    """random seed; the same seed repeats the run"""
    trainer: Annotated[Literal["keras", "gpt-2-simple"], START] = "keras"
    """keras, or gpt-2-simple to train with that program's own code"""

    @classmethod
    def recorded(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        """The options of a run's description that there still are."""
        known = {field.name for field in dataclasses.fields(cls)}
        return {name: value for name, value in options.items() if name in known}

    def as_dict(self) -> dict[str, Any]:
        """All options as JSON values, as description.json keeps them."""
        described: dict[str, Any] = msgspec.to_builtins(dataclasses.asdict(self), enc_hook=str)
        return described

    def resume_command(self) -> str:
        """The command that continues this run."""
        return replace(self, save=None).command(resume=True)  # It goes on from the newest.

    def command(self, resume: bool) -> str:
        """The command that trains with these options."""
        usual = {field.name: field.default for field in dataclasses.fields(self)}
        given = {name: value for name, value in vars(replace(self, resume=False)).items() if value != usual[name]}
        words = [
            (option(name), *([] if value is True else [str(value)]))
            for name, value in (given | ({"resume": True} if resume else {})).items()
        ]
        return shlex.join(["gpt2", "train", *chain.from_iterable(words)])

    @property
    def rows(self) -> int:
        """The batch size, once `auto` has become a number."""
        assert self.batch_size != "auto"
        return self.batch_size

    def seconds_left(self, spent: float) -> float:
        """What is left of --minutes after so many seconds of training."""
        return self.minutes * 60 - spent if self.minutes else math.inf

    def rows_per_step(self, n_ctx: int) -> int | None:
        """How many rows a step has; None if --batch-size auto decides it."""
        if self.batch_size == "auto":
            return None
        if self.tokens_per_step is None:
            return self.batch_size * self.accumulate
        return self.batch_size * max(1, round(self.tokens_per_step / (self.context or n_ctx) / self.batch_size))

    def check(self) -> None:
        """Raises SettingError naming the first option that is out of range or contradicts another."""
        check_ranges(self)
        if self.save is not None and self.init == "scratch" and not self.resume:
            raise SettingError(
                "--save names the save to start from, and --init scratch starts from none: leave it out."
            )
        if self.lora and self.freeze != "nothing":
            raise SettingError("--lora trains nothing but its adapters: leave --freeze out.")
        if self.optimizer == "adafactor" and self.beta_2 != TrainingOptions.beta_2:
            raise SettingError("--beta-2 is AdamW's: leave it or --optimizer adafactor out.")
        if self.tokens_per_step is not None and self.accumulate > 1:
            raise SettingError("--tokens-per-step sets --accumulate: leave one of them out.")
        if self.packing == "windows" and self.ignore_meta_prob:
            raise SettingError(
                "--ignore-meta-prob drops a document's control code, and --packing windows ignores documents: "
                "leave one of them out."
            )
        self.refuse_unused_shape()
        if self.trainer == "keras":
            refuse_backend(os.environ.get("KERAS_BACKEND") or "tensorflow")

    def refuse_unused_shape(self) -> None:
        """Raises SettingError for a shape that would be ignored, since the model that --init names has its own."""
        if self.init == "scratch" or self.resume:
            return
        for name in ("n_layer", "n_head", "n_embd", "n_ctx"):
            if getattr(self, name) != getattr(TrainingOptions, name):
                raise SettingError(
                    f"{option(name)} is {getattr(self, name)}, and {self.init} has a shape of its own: "
                    f"leave {option(name)} out, or give --init scratch."
                )

    def smaller(self) -> str:
        """What to change where these options need more memory than there is."""
        if self.batch_size == "auto":
            return "give --batch-size 1; --tokens-per-step makes up for it"
        if self.batch_size > 1:
            return f"give a --batch-size below {self.batch_size}; --accumulate makes up for it"
        saving = {"--gradient-checkpointing": self.gradient_checkpointing, "--lora 8": self.lora}
        choices = [*(option for option, given in saving.items() if not given), "a shorter --context"]
        return f"give {', '.join(choices)} or a smaller model"

    def check_model(self, hparams: Hparams) -> None:
        """Raises SettingError where `context` or `freeze` is larger than the model."""
        if self.context is not None and self.context > hparams.n_ctx:
            raise SettingError(
                f"--context is {self.context} and the model's window is {hparams.n_ctx}: give 2 to {hparams.n_ctx}."
            )
        if isinstance(self.freeze, int) and self.freeze > hparams.n_layer:
            raise SettingError(
                f"--freeze is {self.freeze} and the model has {hparams.n_layer} layers: give 0 to {hparams.n_layer}."
            )
