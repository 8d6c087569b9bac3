"""A Hugging Face folder of the tiny model, to read and to change, and a Hub that has it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from finetune.commands.export import export
from finetune.network_errors import PROXIES
from tests.fakes.hugging_face_hub import COMMIT, Hub, hugging_face_hub

SETTINGS = ("HF_TOKEN", "HF_TOKEN_PATH", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HUB_OFFLINE", "XDG_CACHE_HOME")
SNAPSHOT = Path(f"../hf/hub/models--openai-community--gpt2/snapshots/{COMMIT}")
"""The fetched model in the cache, from the folder in which a test of the Hub works."""
CHUNK = 2048
"""What is written to the disk at once. The tiny model has many of it, as a large one has of the real size."""


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


@pytest.fixture
def hub(theirs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """The tiny model on a Hub, an empty cache, and a folder to work in."""
    for name in (*SETTINGS, *PROXIES):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setattr("finetune.formats.hub_server.CHUNK", CHUNK)
    (theirs / "README.md").write_text("A card, which nothing here reads.")
    (theirs / "onnx.onnx").write_bytes(b"another form of the model")
    with hugging_face_hub(theirs) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address + "/")
        yield hub
