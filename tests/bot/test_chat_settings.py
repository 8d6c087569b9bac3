"""Commands, and what the bot remembers of each chat."""

from __future__ import annotations

import asyncio

import pytest

from app.bot.chat_state import CHATS, ChatState, ChatStates, newest_turns
from app.bot.languages import COMMANDS
from app.bot.strings import MODEL_GONE
from app.engine.fake import FakeEngine
from tests.bot.conftest import ask, bot, labels, press, rows


def test_help_names_every_command_that_is_of_use(store: str) -> None:
    with bot(feedback=store) as telegram:
        for command in ("/help", "/HELP payload"):
            text = ask(telegram, command)["text"]
            assert [name for name in COMMANDS if f"/{name} " not in text] == ["duet", "play"]
        assert ask(telegram, "/dance")["text"] == "I don't know /dance yet, but /help shows what I can do."


def test_a_model_is_chosen_for_its_chat() -> None:
    with bot(FakeEngine("a", name="one"), FakeEngine("b", name="two")) as telegram:
        assert ask(telegram, "Hi")["text"] == "a" * 100
        said = ask(telegram, "/model")
        assert labels(said) == ["✓ one", "two"]
        press(telegram, said, "two")
        assert labels(telegram.now(said)) == ["one", "✓ two"]
        assert ask(telegram, "Hi")["text"] == "b" * 100
        assert ask(telegram, "Hi", chat=8)["text"] == "a" * 100


def test_a_chosen_model_that_is_no_longer_served_is_explained(store: str) -> None:
    with bot(FakeEngine("a", name="one"), FakeEngine("b", name="two"), feedback=store) as telegram:
        press(telegram, ask(telegram, "/model"), "two")
    with bot(FakeEngine("a", name="one"), feedback=store) as telegram:
        assert ask(telegram, "Hi")["text"] == MODEL_GONE
        press(telegram, ask(telegram, "/model"), "one")
        assert ask(telegram, "Hi")["text"] == "a" * 100


def test_settings_are_chosen_for_their_chat(store: str) -> None:
    with bot(FakeEngine("a"), feedback=store) as telegram:
        said = ask(telegram, "/settings")
        assert labels(said) == ["calm", "✓ normal", "bold", "wild", "short", "✓ medium", "long", "very long"]
        assert said["text"].startswith("How I write: normal.")
        assert said["text"].endswith("How much: medium, about 80 words at most.")
        press(telegram, said, "short")
        press(telegram, said, "wild")
        assert labels(telegram.now(said)) == [
            "calm",
            "normal",
            "bold",
            "✓ wild",
            "✓ short",
            "medium",
            "long",
            "very long",
        ]
        assert ask(telegram, "Hi")["text"] == "a" * 50
        press(telegram, said, "wild")
    with bot(FakeEngine("a"), feedback=store) as telegram:
        assert ask(telegram, "Hi")["text"] == "a" * 50
    assert rows(store, "SELECT count(*), max(length(id)), min(length(id)) FROM chats") == [(1, 32, 32)]
    assert rows(store, "SELECT settings FROM texts") == [('{"temperature":1.1,"length":50}',)] * 2


def test_stats_count_the_votes(store: str) -> None:
    with bot(feedback=store) as telegram:
        assert ask(telegram, "/stats")["text"] == "Nothing has been written yet."
        press(telegram, ask(telegram, "/joke"), "👎")
        assert ask(telegram, "/stats")["text"] == "fake: 👍 0, 👎 1, texts 1"


async def remember_too_many(chats: ChatStates) -> list[int | None]:
    for chat in range(CHATS + 2):
        await chats.keep(chat, ChatState(length=50, turns=["x"] * 100))
    return [(await chats.get(chat)).length for chat in (0, 1, 2, CHATS + 1)]


def test_without_a_store_the_last_chats_are_remembered() -> None:
    chats = ChatStates(None, b"key")
    assert asyncio.run(remember_too_many(chats)) == [None, None, 50, 50]
    assert len(asyncio.run(chats.get(5)).turns) == 100


@pytest.mark.parametrize(("length", "kept"), [(3, 300), (1000, 32), (1100, 28), (4096, 8), (20_000, 0)])
def test_a_conversation_is_remembered_as_far_back_as_a_window_may_reach(length: int, kept: int) -> None:
    """Only its last forty turns once were, however short, so that the window was seldom full."""
    turns = [f"{number:03}".ljust(length, "x") for number in range(300)]
    assert newest_turns(turns) == turns[300 - kept :]
