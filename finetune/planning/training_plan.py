"""The training plan of `new`: vocabulary, model and steps, by the size of the text, the machine and the time there is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.engine.bundle import Hparams
from finetune.data.prepared import DataDescription
from finetune.planning.machine import Machine
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
"""Beyond these, a model learns its text by heart. Early stopping usually ends before."""
FEWEST_STEPS = 50
SAVES = 10
"""How often a run measures its validation loss: often enough to stop early, and seldom enough not to take long."""
PATIENCE = 3


@dataclass(frozen=True)
class VocabularyPlan:
    """A vocabulary that is learned from the text: its size, and the share of the documents that is held out."""

    size: int
    validation: float


def vocabulary_plan(size: int) -> VocabularyPlan:
    """For a text of `size` bytes. Each token should occur often enough to be learned."""
    tokens = min(8192, max(512, 2 ** round(math.log2(max(1, size / 200)))))
    return VocabularyPlan(tokens, validation_share(size))


def validation_share(size: int) -> float:
    """Enough text to measure a loss on, of a small one too."""
    return 0.1 if size < 1_000_000 else 0.05 if size < 5_000_000 else 0.02


@dataclass(frozen=True)
class TrainingPlan:
    """Which steps train a model on this data: `options` of `train`, and how long they take here without compilation."""

    options: dict[str, Any]
    seconds: float


def plan_training(
    data: DataDescription, start: Hparams | None, machine: Machine, minutes: float, steps: int | None
) -> TrainingPlan:
    """The plan for a model of this shape; None trains one from random weights.

    `steps` are given by whoever knows better.
    """
    if start is not None:
        return plan_steps(data, start, pretrained_options(start, machine), machine, minutes, steps)
    plans = (plan_scratch(data, shape, machine, minutes, steps) for shape in reversed(shapes_for(data)))
    plan = next(plans)
    while passes(data, plan.options) < FEWEST_PASSES and (smaller := next(plans, None)):
        plan = smaller
    return plan


def shapes_for(data: DataDescription) -> list[dict[str, int]]:
    """From the smallest to the largest that suits the text."""
    characters = 3 * data.tokens["train"]
    fitting = [shape for most, shape in SCRATCH_SIZES if most <= characters]
    return [*fitting, next((shape for most, shape in SCRATCH_SIZES if characters < most), LARGEST_SCRATCH)]


def plan_scratch(
    data: DataDescription, shape: dict[str, int], machine: Machine, minutes: float, steps: int | None
) -> TrainingPlan:
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
    return plan_steps(data, hparams, options, machine, minutes, steps)


def pretrained_options(start: Hparams, machine: Machine) -> dict[str, Any]:
    """On a processor, more steps of less text each."""
    if machine.gpu:
        rows = max(1, 16_384 // start.n_ctx)
        return {"batch_size": "auto", "tokens_per_step": rows * start.n_ctx, "precision": machine.precision}
    return {"batch_size": 1, "context": min(start.n_ctx, 512), "precision": machine.precision, "learning_rate": 5e-5}


def tokens_per_step(options: dict[str, Any], n_ctx: int) -> int:
    return int(options.get("tokens_per_step") or options["batch_size"] * options.get("context", n_ctx))


def passes(data: DataDescription, options: dict[str, Any]) -> float:
    """How often the steps read the whole text, when rows are filled well."""
    steps: int = options["steps"]
    return steps * tokens_per_step(options, 1024) / max(1, data.tokens["train"])


def plan_steps(
    data: DataDescription,
    hparams: Hparams,
    options: dict[str, Any],
    machine: Machine,
    minutes: float,
    steps: int | None,
) -> TrainingPlan:
    """As many steps as the time allows, and no more than are of use."""
    tokens = tokens_per_step(options, hparams.n_ctx)
    each = seconds_of_step(
        flops_per_token(hparams, options.get("context", hparams.n_ctx)) * tokens, machine.device, options["precision"]
    )
    most = MOST_PASSES["scratch" if options.get("init") == "scratch" else "pretrained"]
    useful = max(FEWEST_STEPS, math.ceil(most * data.tokens["train"] / tokens))
    number = steps or max(1, min(useful, round(60 * minutes / each)))
    every = max(1, number // SAVES)
    more = {"steps": number, "save_every": every, "warmup": number // 20, "patience": PATIENCE}
    return TrainingPlan(options | more, number * each)


def training_options(plan: TrainingPlan, init: str, data: Path, out: Path) -> TrainingOptions:
    return TrainingOptions(data=data, out=out, **{"init": init} | plan.options)
