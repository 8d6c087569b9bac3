"""What the bot says when the store is down or something breaks."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from app.bot.strings import (
    INTERNAL_ERROR,
    STORE_DOWN,
    VOTE_NOT_STORED,
)
from app.engine.fake import FakeEngine
from tests.bot.conftest import GROUP, JOKE, SHOWN, ask, bot, press


def test_a_store_that_is_down_is_reported_and_no_vote_is_acknowledged(tmp_path: Path) -> None:
    file = tmp_path / "feedback.db"
    with bot(feedback=f"sqlite:///{file}") as telegram:
        said = ask(telegram, "/joke")
        settings = ask(telegram, "/settings")
        break_store(file)
        press(telegram, said, "👍")
        assert telegram.notices[-1] == {
            "callback_query_id": telegram.notices[-1]["callback_query_id"],
            "text": VOTE_NOT_STORED,
            "show_alert": "true",
        }
        assert telegram.now(said)["text"] == SHOWN
        press(telegram, settings, "short")
        assert telegram.notices[-1]["text"] == STORE_DOWN
        for text in ("/joke", "Why?", "/stats", "/chat"):
            assert ask(telegram, text)["text"] == STORE_DOWN
        assert ask(telegram, "/help")["text"].startswith("Write to me")
        assert set(telegram.statuses) == {200}


def break_store(file: Path) -> None:
    """Drop all tables but that of the updates, so that the store does not create them again."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for table in ("votes", "texts", "chats"):
            connection.execute(f"DROP TABLE {table}")


def test_an_answer_that_cannot_be_remembered_is_given_once_all_the_same(tmp_path: Path) -> None:
    file = tmp_path / "feedback.db"
    with bot(feedback=f"sqlite:///{file}") as telegram:
        ask(telegram, "/joke")
        said = ask(telegram, "/chat")
        with closing(sqlite3.connect(file, isolation_level=None)) as connection:
            # Chats can be read, as before anybody wrote, and not written.
            connection.execute("DROP TABLE chats")
            connection.execute("CREATE VIEW chats AS SELECT 'x' AS id, x'' AS state")
        before = len(telegram.said(7))
        assert ask(telegram, "/joke")["text"] == SHOWN
        telegram.react(telegram.said(7)[-1], "👍")
        telegram.edit(telegram.write(7, "Why?"), "Why not?")
        telegram.settle()
        assert [each["text"] for each in telegram.said(7)[before:]] == [SHOWN, "Why did the duck stop?"]
        assert ask(telegram, "/chat")["text"] == STORE_DOWN != said["text"]


def test_reactions_and_counts_wait_for_no_store_that_is_down(tmp_path: Path) -> None:
    """Nobody can be told of a reaction that was not counted, and a vote that was stored needs no count."""
    file = tmp_path / "feedback.db"
    with bot(feedback=f"sqlite:///{file}") as telegram:
        said = ask(telegram, "/joke@JokerBot", chat=GROUP, user=7)
        break_store(file)
        telegram.react(said, "👍", user=7)
        telegram.settle()
        assert (telegram.now(said), len(telegram.said(GROUP))) == (said, 1)
        assert set(telegram.statuses) == {200}


def test_an_internal_error_is_reported_and_the_update_not_asked_for_again() -> None:
    class Broken(FakeEngine):
        def slots(self, count: int, positions: int) -> Any:
            raise ZeroDivisionError(JOKE)

    with bot(Broken()) as telegram:
        assert ask(telegram, "/joke")["text"] == INTERNAL_ERROR
        assert telegram.statuses == {200: 1}
