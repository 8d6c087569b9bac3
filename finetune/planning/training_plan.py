"""The training plan of `new`: vocabulary, model and steps, by the size of the text, the machine and the time there is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from app.engine.bundle import Hparams
from finetune.checkpoint import count_parameters
from finetune.data.prepared import DataDescription
from finetune.planning.machine import Machine
from finetune.run_folder import LogEntry
from finetune.training.model_flops import flops_per_token
from finetune.training.options import TrainingOptions
from finetune.training.training_rate import seconds_of_step

SCRATCH_SIZES: list[tuple[int, dict[str, int]]] = [
    (150_000, {"n_layer": 4, "n_head": 4, "n_embd": 128}),
    (1_000_000, {"n_layer": 4, "n_head": 4, "n_embd": 192}),
    (5_000_000, {"n_layer": 6, "n_head": 4, "n_embd": 256}),
]
"""Shapes of models that begin with random weights, and the bytes of text up to which each is taken."""
LARGEST_SCRATCH = {"n_layer": 6, "n_head": 6, "n_embd": 384}
SCRATCH_WINDOW = 512
FEWEST_PASSES = 3
"""A smaller model is taken where the time does not reach for so many."""
MOST_PASSES = {"scratch": 40, "pretrained": 6}
"""How often a text is read at most. Early stopping usually ends before."""
UNMEASURED = 2
"""Where no text is held out, nothing tells when to stop, so the text is read half as often."""
FEWEST_STEPS = 50
LITTLE_TEXT = 10_000
"""Tokens of a text that is soon known by heart."""
SAVES = 10
"""How often a run measures its validation loss: often enough to stop early, and seldom enough not to take long."""
PATIENCE = 3


def vocabulary_size(size: int) -> int:
    """Tokens to learn from a text of `size` bytes. Each should occur often enough to be learned."""
    return min(8192, max(512, 1 << round(math.log2(max(1, size / 200)))))


def validation_share(size: int) -> float:
    """Enough text to measure a loss on, of a small one too."""
    return 0.1 if size < 1_000_000 else 0.05 if size < 5_000_000 else 0.02


class TrainingTime(NamedTuple):
    """How long a training may take: minutes at most, or so many steps, given by whoever knows better."""

    minutes: float
    steps: int | None = None


@dataclass(frozen=True)
class TrainingPlan:
    """Which steps train a model on this data: `options` of `train`, the size of the model, and about how long it takes."""

    options: dict[str, Any]
    parameters: int
    seconds: float

    def sentence(self) -> str:
        """What is trained."""
        steps, minutes, size = self.options["steps"], self.options["minutes"], f"{self.parameters / 1e6:.1f} million"
        most = f", {minutes:g} minutes at most" if minutes else ""
        early = ". It ends early if its validation loss no longer falls" if self.options["patience"] else ""
        return f"A model of {size} parameters is trained for {steps:,} steps{most}{early}."


def plan_training(data: DataDescription, start: Hparams | None, machine: Machine, time: TrainingTime) -> TrainingPlan:
    """The plan for a model of this shape; None trains one from random weights."""
    if start is not None:
        return plan_steps(data, start, pretrained_options(start, machine), machine, time)
    plans = (plan_scratch(data, shape, machine, time) for shape in reversed(shapes_for(data)))
    plan = next(plans)
    while passes(data, plan.options) < FEWEST_PASSES and (smaller := next(plans, None)):
        plan = smaller
    return plan


def shapes_for(data: DataDescription) -> list[dict[str, int]]:
    """From the smallest to the largest that suits the text."""
    characters = 3 * data.tokens["train"]
    fitting = [shape for most, shape in SCRATCH_SIZES if most <= characters]
    return [*fitting, next((shape for most, shape in SCRATCH_SIZES if characters < most), LARGEST_SCRATCH)]


def plan_scratch(data: DataDescription, shape: dict[str, int], machine: Machine, time: TrainingTime) -> TrainingPlan:
    hparams = Hparams(n_vocab=data.n_vocab, n_ctx=SCRATCH_WINDOW, **shape)
    rows = 32 if machine.gpu else 4
    options: dict[str, Any] = {
        "init": "scratch",
        **shape,
        "n_ctx": SCRATCH_WINDOW,
        "context": SCRATCH_WINDOW,
        "batch_size": rows,
        "precision": machine.precision,
        "learning_rate": 1e-3,
        "decay_to": 0.01,
        "weight_decay": 0.1,
        "beta_2": 0.99,
    }
    return plan_steps(data, hparams, options, machine, time)


def pretrained_options(start: Hparams, machine: Machine) -> dict[str, Any]:
    """On a processor, more steps of less text each."""
    if machine.gpu:
        rows = max(1, 16_384 // start.n_ctx)
        return {"batch_size": "auto", "tokens_per_step": rows * start.n_ctx, "precision": machine.precision}
    return {"batch_size": 1, "context": min(start.n_ctx, 512), "precision": machine.precision, "learning_rate": 5e-5}


def tokens_per_step(options: dict[str, Any], n_ctx: int) -> int:
    rows = options["batch_size"] * options.get("accumulate", 1) if not options.get("tokens_per_step") else 0
    return int(options.get("tokens_per_step") or rows * (options.get("context") or n_ctx))


def passes(data: DataDescription, options: dict[str, Any]) -> float:
    """How often the steps read the whole text, when rows are filled well."""
    steps: int = options["steps"]
    return steps * tokens_per_step(options, 1024) / max(1, data.tokens["train"])


def plan_steps(
    data: DataDescription,
    hparams: Hparams,
    options: dict[str, Any],
    machine: Machine,
    time: TrainingTime,
) -> TrainingPlan:
    """As many steps as the time allows, and no more than are of use."""
    tokens = tokens_per_step(options, hparams.n_ctx)
    each = seconds_of_step(
        flops_per_token(hparams, options.get("context", hparams.n_ctx)) * tokens, machine.device, options["precision"]
    )
    number = time.steps or max(1, min(useful_steps(data, options, hparams.n_ctx), round(60 * time.minutes / each)))
    more = {
        "steps": number,
        "minutes": 0.0 if time.steps else time.minutes,
        "save_every": max(1, number // SAVES),
        "warmup": number // 20,
        "patience": PATIENCE if data.documents["validation"] else 0,
    }
    return TrainingPlan(options | more, count_parameters(hparams), number * each)


def useful_steps(data: DataDescription, options: dict[str, Any], n_ctx: int) -> int:
    """Beyond these, a model learns its text by heart. `options` are those of a plan or of a run."""
    most = MOST_PASSES["scratch" if options.get("init") == "scratch" else "pretrained"]
    if not data.documents["validation"]:
        most //= UNMEASURED
    return max(FEWEST_STEPS, math.ceil(most * data.tokens["train"] / tokens_per_step(options, n_ctx)))


def steps_within(minutes: float, log: Sequence[LogEntry], useful: int) -> int:
    """Steps that a run makes in so many minutes, as fast as its log says, and no more than are of use."""
    return min(useful, int(60 * minutes / max(1e-6, log[-1].seconds / log[-1].step))) if log else 0


def training_options(plan: TrainingPlan, init: str, data: Path, out: Path) -> TrainingOptions:
    return TrainingOptions(data=data, out=out, **{"init": init} | plan.options)
