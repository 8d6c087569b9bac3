"""A fake Google Cloud and the model that it would serve, in a folder as a user has it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.engine.bundle import open_bundle
from app.engine.onnx import OnnxEngine
from finetune.__main__ import main
from tests.conftest import ROOT, serving
from tests.fakes.bot_api import TOKEN
from tests.fakes.gcloud.fake_project import FakeGcloud, install
from tests.fakes.telegram import Telegram

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


def furnish(folder: Path, url: str, patch: pytest.MonkeyPatch) -> FakeGcloud:
    """A working folder with two bundles, of which models/DEFAULT names `jokes`, and an empty project."""
    home = folder / "home"
    (home / "models").mkdir(parents=True)
    write_bundle(home / "models" / "jokes")
    (home / "models" / "starter").symlink_to(STARTER)
    (home / "models" / "DEFAULT").write_text("jokes\n", encoding="utf-8")
    patch.chdir(home)
    patch.setattr(tempfile, "tempdir", str(folder))
    for name in ("GOOGLE_CLOUD_PROJECT", "TELEGRAM_TOKEN"):
        patch.delenv(name, raising=False)
    return install(folder / "cloud", patch, url)


@pytest.fixture
def cloud(tmp_path: Path, live: str, monkeypatch: pytest.MonkeyPatch) -> FakeGcloud:
    return furnish(tmp_path, live, monkeypatch)


@pytest.fixture(scope="session")
def state_with_all(live: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The fake's state after `deploy` with a bot and votes."""
    with pytest.MonkeyPatch.context() as patch, Telegram().serving() as telegram:
        cloud = furnish(tmp_path_factory.mktemp("deployed"), live, patch)
        patch.setenv("TELEGRAM_API_URL", telegram.url)
        assert main(["deploy", "--telegram", TOKEN, "--votes", "--yes"]) == 0
        return cloud.state


@pytest.fixture
def deployed(cloud: FakeGcloud, state_with_all: dict[str, Any]) -> FakeGcloud:
    """A project to which everything has been deployed."""
    cloud.change(**state_with_all)
    return cloud


@pytest.fixture
def telegram(live: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Telegram]:
    """Telegram, whose webhook is the deployed service."""
    with Telegram().serving() as telegram:
        telegram.webhook = {"url": f"{live}/telegram"}
        monkeypatch.setenv("TELEGRAM_API_URL", telegram.url)
        yield telegram
