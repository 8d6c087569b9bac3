"""No private words on a public page: what people wrote to each other gives a bundle no beginnings, only `--beginning` does."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from app.engine.bundle import read_manifest
from finetune.__main__ import main
from finetune.data.prepared import open_data
from finetune.run_folder import RunDescription, RunFolder
from tests.finetune.data.chats.exports import SAID, TWEETS, discord, package, telegram, whatsapp, x_messages

STORY = "The duck crossed the road.\n\nNobody knows why.\n\nIt was a long road for a duck.\n\nA bill is a bill.\n"
MAIL = "From: Anna <anna@x.org>\nSubject: Ducks\n\nI have to tell you something about the ducks.\n"


@pytest.fixture
def exported(checkpoint: Path, tmp_path: Path) -> Callable[..., list[str]]:
    """Prepare files, take a checkpoint for the run that learned them, export it: the beginnings in the bundle's manifest."""

    def export(files: dict[str, str], *given: str, model_is: str = "") -> list[str]:
        folder, data, run, out = (tmp_path / name for name in ("in", "data", "run", "out"))
        folder.mkdir()
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
        arguments = ["--model-is", model_is] if model_is else []
        prepared = ["prepare", str(folder), "--out", str(data), "--vocabulary", str(checkpoint), "--validation", "0"]
        assert main([*prepared, *arguments]) == 0
        described = open_data(data).description
        shutil.copytree(checkpoint, run)
        RunFolder(run).describe(
            RunDescription(
                corpus_sha256=described.corpus_sha256, end=0, template=described.template, init="scratch",
                options={"data": str(data)}, made={},
            )
        )  # fmt: skip
        assert main(["export", str(run), str(out), *given]) == 0
        return read_manifest(out).beginnings

    return export


@pytest.mark.parametrize(
    ("files", "model_is"),
    [
        ({"chat.txt": whatsapp()}, "Bob"),
        ({"result.json": telegram()}, "Bob"),
        ({"channel.json": discord()}, "Bob"),
        ({"direct-messages.js": x_messages()}, "me"),
        ({"messages.json": package(SAID)}, ""),
        ({"sent.eml": MAIL}, ""),
        ({"chat.txt": whatsapp(), "story.txt": STORY}, "Bob"),
    ],
)
def test_private_words_are_no_beginnings(
    exported: Callable[..., list[str]], files: dict[str, str], model_is: str
) -> None:
    assert exported(files, model_is=model_is) == []


def test_given_beginnings_are_taken_whatever_the_data(exported: Callable[..., list[str]]) -> None:
    assert exported({"chat.txt": whatsapp()}, "--beginning", "Hello?", model_is="Bob") == ["Hello?"]


@pytest.mark.parametrize(
    "files",
    [
        {"story.txt": STORY},
        {"tweets.js": f"window.YTD.tweets.part0 = {json.dumps([{'tweet': tweet} for tweet in TWEETS])}"},
    ],
)
def test_published_words_are(exported: Callable[..., list[str]], files: dict[str, str]) -> None:
    assert exported(files)


def test_data_that_does_not_say_so_may_be_private(exported: Callable[..., list[str]], tmp_path: Path) -> None:
    """Older versions of `prepare` did not record it."""
    assert exported({"story.txt": STORY})
    path = tmp_path / "data/description.json"
    described = json.loads(path.read_text(encoding="utf-8"))
    assert described.pop("private") is False
    path.write_text(json.dumps(described), encoding="utf-8")
    assert main(["export", str(tmp_path / "run"), str(tmp_path / "out")]) == 0
    assert read_manifest(tmp_path / "out").beginnings == []
