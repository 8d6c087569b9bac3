"""A tiny model with data prepared for it, and a run that several tests look at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.engine.checkpoint_folder import open_checkpoint
from finetune.checkpoint import initial_weights, write_checkpoint
from finetune.commands.train import train
from tests.conftest import write_tiny
from tests.finetune.training.runs import training_options


@pytest.fixture(scope="session")
def base(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny model `init` and text prepared for it, `data`."""
    folder = tmp_path_factory.mktemp("train")
    write_tiny(folder / "init", n_layer=2)
    hparams = open_checkpoint(folder / "init").hparams
    write_checkpoint(folder / "init", hparams, initial_weights(hparams), vocabulary=folder / "init")
    (folder / "data").symlink_to(data)
    return folder


@pytest.fixture(scope="session")
def finished(base: Path, keras: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of twelve steps with a save at every fourth, to read or to copy."""
    run = tmp_path_factory.mktemp("finished") / "run"
    keras(train, training_options(base, run))
    return run
