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
from finetune.data.private_text import looks_like_chat
from finetune.run_folder import RunDescription, RunFolder
from tests.finetune.data.chats.exports import SAID, TWEETS, discord, package, telegram, whatsapp, x_messages

STORY = "The duck crossed the road.\n\nNobody knows why.\n\nIt was a long road for a duck.\n\nA bill is a bill.\n"
MAIL = "From: Anna <anna@x.org>\nSubject: Ducks\n\nI have to tell you something about the ducks.\n"
LIKED = '{"body": "A text of its own."}\n{"turns": ["Why did the duck cross?", "Because it could."], "private": true}\n'
CHAT_LOG = """\
Wednesday 5th, 12:30 - Anna: The ducks are back on the pond
Wednesday 5th, 12:31 - Bob: All of the ducks are there?
Wednesday 5th, 12:40 - Anna: Yes, all of them are
"""


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
        ({"tweets.js": f"window.YTD.tweets.part0 = {json.dumps([{'tweet': tweet} for tweet in TWEETS])}"}, ""),
        ({"liked.jsonl": LIKED}, ""),
        ({"log.txt": CHAT_LOG}, ""),
        ({"WhatsApp Chat mit Anna.txt": STORY}, ""),
    ],
)
def test_private_words_are_no_beginnings(
    exported: Callable[..., list[str]], files: dict[str, str], model_is: str
) -> None:
    assert exported(files, model_is=model_is) == []


def test_given_beginnings_are_taken_whatever_the_data(exported: Callable[..., list[str]]) -> None:
    assert exported({"chat.txt": whatsapp()}, "--beginning", "Hello?", model_is="Bob") == ["Hello?"]


@pytest.mark.parametrize("files", [{"story.txt": STORY}, {"liked.jsonl": '{"body": "A duck went to the pond."}\n'}])
def test_published_words_are(exported: Callable[..., list[str]], files: dict[str, str]) -> None:
    assert exported(files)


@pytest.mark.parametrize(
    ("text", "is_chat"),
    [
        (CHAT_LOG, True),
        ("[12:30] <anna> The ducks are back\n[12:31] <bob> All of them?\n[12:40] <anna> Yes they are\n", True),
        (
            "Anna, [12.05.21 14:30]\nThe ducks are back\n\nBob, [12.05.21 14:31]\nAll?\n\nAnna, [12.05.21 14:32]\nYes\n",
            True,
        ),
        (
            "[03-May-21 09:01 AM] Anna#12\nAre they back?\n\n[03-May-21 09:02 AM] Bob\nYes\n\n[03-May-21 09:03 AM] Anna#12\nAh\n",
            True,
        ),
        ("ANNA: The ducks are back.\nBOB: All of them?\nANNA: Yes.\n", False),
        ("At 12:30 the ducks came: all of them.\nAt 12:40 they left: all but one.\n", False),
        (STORY, False),
    ],
)
def test_chats_of_other_formats_are_found(text: str, is_chat: bool) -> None:
    """A chat whose dates are not known is read as a text, and its lines were beginnings on the page."""
    assert looks_like_chat(text) == is_chat


@pytest.mark.slow
def test_data_that_does_not_say_so_may_be_private(exported: Callable[..., list[str]], tmp_path: Path) -> None:
    """Older versions of `prepare` did not record it."""
    assert exported({"story.txt": STORY})
    path = tmp_path / "data/description.json"
    described = json.loads(path.read_text(encoding="utf-8"))
    assert described.pop("private") is False
    path.write_text(json.dumps(described), encoding="utf-8")
    assert main(["export", str(tmp_path / "run"), str(tmp_path / "out")]) == 0
    assert read_manifest(tmp_path / "out").beginnings == []
