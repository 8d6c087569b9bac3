"""A Hugging Face folder of the tiny model, to read and to change."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from finetune.commands.export import export


@pytest.fixture(scope="session")
def folder(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model as a Hugging Face folder."""
    out = tmp_path_factory.mktemp("huggingface") / "tiny"
    export(checkpoint, out, format="huggingface")
    return out


@pytest.fixture
def theirs(folder: Path, tmp_path: Path) -> Path:
    """A copy of that folder, to be changed."""
    return Path(shutil.copytree(folder, tmp_path / "theirs"))
