"""A run with the data that it was trained on, as far as `export` can tell."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from finetune.commands.prepare import prepare
from finetune.data.prepared import open_data
from finetune.run_folder import RunDescription, RunFolder
from tests.conftest import SENTENCES


@pytest.fixture
def sentence_run(checkpoint: Path, tmp_path: Path) -> Path:
    """A run that was trained on sentences, as far as `export` can tell."""
    (tmp_path / "sentences.txt").write_text("\n\n".join(SENTENCES), encoding="utf-8")
    prepare(
        [str(tmp_path / "sentences.txt")],
        out=tmp_path / "data",
        vocabulary=checkpoint,
        near_duplicates=0,
        split="lines",
    )
    folder = Path(shutil.copytree(checkpoint, tmp_path / "run"))
    described = open_data(tmp_path / "data").description
    RunFolder(folder).describe(
        RunDescription(
            corpus_sha256=described.corpus_sha256,
            end=0,
            template="text",
            init="scratch",
            options={"data": str(tmp_path / "data")},
            made={},
        )
    )
    return folder
