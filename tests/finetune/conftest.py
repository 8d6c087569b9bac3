"""A tiny model and data prepared for it, to train on."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.engine.checkpoint_folder import open_checkpoint
from finetune.checkpoint import initial_weights, write_checkpoint
from tests.conftest import write_tiny


@pytest.fixture(scope="session")
def base(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny model `init` and text prepared for it, `data`."""
    folder = tmp_path_factory.mktemp("train")
    write_tiny(folder / "init")
    hparams = open_checkpoint(folder / "init").hparams
    write_checkpoint(folder / "init", hparams, initial_weights(hparams), vocabulary=folder / "init")
    (folder / "data").symlink_to(data)
    return folder
