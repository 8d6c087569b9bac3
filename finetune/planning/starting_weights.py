"""The weights that `new` starts from: OpenAI's 124M where it is here or can be had, else random ones."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from app.engine.bundle import Hparams
from app.engine.checkpoint_folder import CheckpointFolder
from app.errors import FatalError
from finetune.checkpoint import open_save
from finetune.openai_shapes import OpenaiModel
from finetune.openai_weights import fetch_model
from finetune.planning.machine import Machine
from finetune.training.starting_point import MODELS, initial_folder

USUAL: OpenaiModel = "124M"
MEMORY_NEEDED = {True: 6_000_000_000, False: 5_000_000_000}
"""Bytes that training 124M takes on a card and on a processor, rows of 512 tokens."""


class StartingWeights(NamedTuple):
    """`init` as `train` takes it, the checkpoint that it names or None for random weights, and what a person should know."""

    init: str
    source: CheckpointFolder | None
    told: str = ""

    @property
    def hparams(self) -> Hparams | None:
        return self.source.hparams if self.source else None


def starting_weights(init: str | None, machine: Machine) -> StartingWeights:
    """Raises CheckpointError where --init names no checkpoint."""
    if init == "scratch":
        return StartingWeights("scratch", None)
    if init is not None:
        return StartingWeights(init, open_save(initial_folder(init)))
    if not machine.has_room_for(MEMORY_NEEDED[machine.gpu]):
        return from_scratch(
            f"{USUAL} takes {MEMORY_NEEDED[machine.gpu] / 1e9:.0f} GB of memory to train, and less is free"
        )
    if not (folder := MODELS / USUAL).is_dir() and (trouble := fetch_trouble(USUAL, MODELS)):
        return from_scratch(f"{folder} is not here, and {trouble}")
    return StartingWeights(USUAL, open_save(folder))


def from_scratch(reason: str) -> StartingWeights:
    return StartingWeights(
        "scratch",
        None,
        f"{reason}: a small model is trained on your text alone. It learns how your text sounds, and knows nothing else.",
    )


def fetch_trouble(model: OpenaiModel, models: Path) -> str:
    """Fetch a model; why it cannot be had, or nothing."""
    print(f"Fetching {model}, GPT-2 as OpenAI trained it, 0.5 GB. Your text stays here.")
    try:
        fetch_model(model, models)
    except (FatalError, OSError) as error:
        return str(error).partition(": ")[0].rstrip(".")
    return ""
