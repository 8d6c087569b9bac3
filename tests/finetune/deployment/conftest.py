"""A fake Google Cloud and the model that it would serve, in a folder as a user has it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.engine.bundle import open_bundle
from app.engine.onnx import OnnxEngine
from tests.conftest import ROOT, serving
from tests.fakes.gcloud import FakeGcloud, install

STARTER = ROOT / "models" / "starter"


def write_bundle(folder: Path) -> None:
    """The starter under another name."""
    shutil.copytree(STARTER, folder)
    manifest = folder / "manifest.json"
    manifest.write_text(manifest.read_text(encoding="utf-8").replace('"starter"', f'"{folder.name}"'), encoding="utf-8")


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The model `jokes` behind a real server: what the fake's services answer with."""
    folder = tmp_path_factory.mktemp("served") / "jokes"
    write_bundle(folder)
    with serving(OnnxEngine(open_bundle(folder), threads=1)) as address:
        yield address


@pytest.fixture
def cloud(tmp_path: Path, live: str, monkeypatch: pytest.MonkeyPatch) -> FakeGcloud:
    """The working folder has two bundles, and models/DEFAULT names `jokes`."""
    home = tmp_path / "home"
    (home / "models").mkdir(parents=True)
    write_bundle(home / "models" / "jokes")
    (home / "models" / "starter").symlink_to(STARTER)
    (home / "models" / "DEFAULT").write_text("jokes\n", encoding="utf-8")
    monkeypatch.chdir(home)
    for name in ("GOOGLE_CLOUD_PROJECT", "TELEGRAM_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return install(tmp_path / "cloud", monkeypatch, live)
