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
from tests.bot.conftest import JOKE, SHOWN, ask, bot, press


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


def test_an_internal_error_is_reported_and_the_update_not_asked_for_again() -> None:
    class Broken(FakeEngine):
        def slots(self, count: int, positions: int) -> Any:
            raise ZeroDivisionError(JOKE)

    with bot(Broken()) as telegram:
        assert ask(telegram, "/joke")["text"] == INTERNAL_ERROR
        assert telegram.statuses == {200: 1}
