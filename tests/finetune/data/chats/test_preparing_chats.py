"""From the export of a chat to data: turns with roles, names replaced, and the question whose messages are the model's."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from app.errors import DataError, SettingError
from finetune.commands.prepare import prepare
from finetune.data.prepared import Data, Role, open_data, texts_of
from tests.conftest import ROOT
from tests.finetune.data.chats.exports import discord, package, telegram, whatsapp
from tests.finetune.data.reading import written

ENDED = "<|endoftext|>"


def prepared(folder: Path, **options: Any) -> Data:
    given: dict[str, Any] = {"vocabulary_size": 300, "validation": 0.0, "near_duplicates": 0} | options
    prepare([str(folder / "in")], out=folder / "data", **given)
    return open_data(folder / "data")


@pytest.fixture
def chat(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    written(tmp_path / "in/chat.txt", whatsapp())
    return tmp_path


def turns_of(data: Data, number: int) -> list[tuple[str, Role]]:
    tokens, roles = data.train[number]
    found, start = [], 0
    for end in (tokens == data.description.end_of_text).nonzero()[0].tolist():
        found.append((data.tokenizer.decode(tokens[start:end].tolist()), Role(roles[end])))
        start = end + 1
    return found


def test_a_chat_is_written_as_a_chat_in_which_the_model_answers(chat: Path) -> None:
    data = prepared(chat, model_is=["Bob"], keep_names=True)
    assert turns_of(data, 0) == [
        ("Hi Bob!\nHow are you?", Role.PROMPT), ("Fine, Anna.", Role.REPLY), ("Good.", Role.REPLY), ("And you?", Role.TEXT),
    ]  # fmt: skip
    assert data.description.template == "chat"
    assert (data.description.options["model_is"], data.description.replaced) == ("Bob", None)
    assert list(texts_of(prepared(chat, model_is=["bob"], template="qa", keep_names=True), "train"))[1] == (
        "[QUESTION] Sorry, I slept.\n[ANSWER] Ok."
    )


def test_names_are_replaced_and_counted(chat: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = prepared(chat, model_is=["Bob"])
    assert turns_of(data, 0)[:2] == [("Hi [name2]!\nHow are you?", Role.PROMPT), ("Fine, [name1].", Role.REPLY)]
    assert data.description.replaced == {"name": 2}
    assert "Replaced: 2 names; --keep-names keeps them." in capsys.readouterr().out


def test_files_of_several_kinds_come_together(chat: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(chat / "in/a.md", "# A *title*")
    written(chat / "in/result.json", telegram())
    written(chat / "in/general.json", discord([("Anna Schmidt", "Yes?", 0), ("Carl", "No.", 1)]))
    written(chat / "in/messages.json", package())
    written(chat / "in/notes.org", "skipped")
    data = prepared(chat, model_is=["Bob", "Carl"])
    texts = list(texts_of(data, "train"))
    assert texts[0] == "A title"
    assert "Yes?No." in texts
    # Telegram's and WhatsApp's are the same conversations.
    assert data.description.dropped["duplicate"] == 2
    printed = capsys.readouterr().out
    assert "Dropped: 2 duplicate." in printed
    assert "in/notes.org" in printed


def test_unanswered_conversations_are_told(chat: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(chat / "in/other.txt", whatsapp([("Anna Schmidt", "Hello?", 0), ("Carl", "Nobody.", 1)]))
    data = prepared(chat, model_is=["Bob"])
    assert (data.description.read, data.description.dropped["unanswered"]) == (3, 1)
    assert "Dropped: 1 unanswered." in capsys.readouterr().out


@contextmanager
def typed_on_a_terminal(typed: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A terminal for stdin and stderr, on which this was typed."""
    ours, theirs = pty.openpty()
    os.write(ours, typed.encode())
    with os.fdopen(os.dup(theirs), encoding="utf-8") as stdin, os.fdopen(theirs, "w", encoding="utf-8") as stderr:
        monkeypatch.setattr("sys.stdin", stdin)
        monkeypatch.setattr("sys.stderr", stderr)
        yield ours
        monkeypatch.undo()
    os.close(ours)


@pytest.mark.parametrize("typed", ["2\n", "bob\n", "7\nnobody\n2\n"])
def test_a_person_is_asked_for_on_a_terminal(typed: str, chat: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with typed_on_a_terminal(typed, monkeypatch) as screen:
        assert turns_of(prepared(chat), 0)[1] == ("Fine, [name1].", Role.REPLY)
        shown = os.read(screen, 10_000).decode()
    assert "Whom should the model write like?" in shown
    assert " 1  Anna Schmidt, 4 messages\r\n   2  Bob, 4 messages\r\n" in shown


def test_an_end_of_input_is_no_answer(chat: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        typed_on_a_terminal("\x04", monkeypatch),
        pytest.raises(SettingError, match="nobody was named: give --model-is NAME"),
    ):
        prepared(chat)


def test_without_a_terminal_the_people_are_named(chat: Path) -> None:
    with pytest.raises(
        SettingError, match=r"with --model-is NAME: 'Anna Schmidt' \(4 messages\), 'Bob' \(4 messages\)\."
    ):
        prepared(chat)
    assert not (chat / "data").exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"model_is": ["Bob"]}, "--model-is is Bob, and no input is the export of a chat that is known: leave it out."),
        (
            {"keep_names": True},
            "--keep-names is given, and no input is the export of a chat or a mailbox: leave it out.",
        ),
    ],
)
def test_options_of_chats_are_refused_without_one(options: dict[str, Any], sentence: str, chat: Path) -> None:
    written(chat / "in/chat.txt", "No chat.")
    with pytest.raises(SettingError) as error:
        prepared(chat, **options)
    assert str(error.value) == sentence


def test_an_encoding_is_refused_where_none_is_to_be_chosen(chat: Path) -> None:
    written(chat / "in/chat.txt", telegram())
    with pytest.raises(
        SettingError, match="--encoding is cp1252, and no input has an encoding to choose: leave it out"
    ):
        prepared(chat, encoding="cp1252", model_is=["Bob"])


@pytest.mark.parametrize("text", [telegram([]), '{"name": "x", "type": "personal_chat", "id": 1, "messages": []}'])
def test_an_export_without_messages_has_no_text(text: str, chat: Path) -> None:
    written(chat / "in/chat.txt", text)
    with pytest.raises(DataError, match="there is no text to train on in the inputs"):
        prepared(chat)


LARGE = """
import resource, sys
from pathlib import Path
from finetune.commands.prepare import prepare
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
prepare([sys.argv[1]], out=Path(sys.argv[2]), vocabulary_size=300, model_is=["Bob"])
print("grown:", (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1000)
"""


@pytest.mark.slow
def test_a_large_export_needs_little_memory(chat: Path) -> None:
    """Of sixty megabytes of JSON, whose pages count as memory here while they are read, a few times less than parsed."""
    said = [("Bob" if number % 2 else "Anna", f"{number} " + "quack " * 20, number * 20.0) for number in range(150_000)]
    path = written(chat / "result.json", telegram(said))
    assert path.stat().st_size > 50_000_000
    command = [sys.executable, "-c", LARGE, str(path), str(chat / "data")]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(ended.stdout.split("grown:")[1]) < 250
