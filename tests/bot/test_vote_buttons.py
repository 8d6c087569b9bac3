"""Votes on the bot's texts."""

from __future__ import annotations

import pytest

from app.bot.strings import EXPIRED_BUTTON
from tests.bot.conftest import SHOWN, ask, bot, labels, press, rows


def test_a_vote_is_stored_acknowledged_and_may_be_changed(store: str) -> None:
    with bot(feedback=store) as telegram:
        said = ask(telegram, "/joke")
        press(telegram, said, "👍")
        assert telegram.now(said)["text"] == SHOWN + "\n\nThank you for your feedback."
        assert telegram.notices[-1]["text"] == "👍 Your vote is counted. Thank you!"
        press(telegram, telegram.now(said), "👎")
        assert telegram.now(said)["text"] == SHOWN + "\n\nThank you for your feedback."
        assert labels(telegram.now(said)) == ["👍", "👎", "Another"]
        press(telegram, said, "👍", user=8)
    votes = rows(store, "SELECT voter, value FROM votes ORDER BY value")
    assert [value for _, value in votes] == [-1, 1]
    assert all(len(voter) == 32 and set(voter) <= set("0123456789abcdef") for voter, _ in votes)


def test_without_a_store_there_is_nothing_to_vote_on() -> None:
    with bot() as telegram:
        said = ask(telegram, "/joke")
        assert labels(said) == ["Another"]
        telegram.press(said, "up:abc")
        telegram.settle()
        assert telegram.notices[-1]["text"] == EXPIRED_BUTTON
        assert ask(telegram, "/stats")["text"] == "Votes are not stored here."


@pytest.mark.parametrize(
    "data", ["", "dance", "up", "up:", "up:nobody_knows", "model:x", "length:7", "temperature:9", ":"]
)
def test_an_expired_button_says_so(store: str, data: str) -> None:
    with bot(feedback=store) as telegram:
        telegram.press(ask(telegram, "/joke"), data)
        telegram.settle()
        assert [notice["text"] for notice in telegram.notices] == [EXPIRED_BUTTON]
        assert telegram.statuses == {200: 2}


def test_a_message_that_telegram_no_longer_shows_can_only_be_voted_on(store: str) -> None:
    with bot(feedback=store) as telegram:
        said = ask(telegram, "/joke")
        gone = {"chat": said["chat"], "message_id": said["message_id"], "date": 0}
        telegram.press(gone, telegram.button(said, "👍"))
        telegram.press(gone, "joke")
        telegram.settle()
        assert [notice["text"] for notice in telegram.notices] == [
            "👍 Your vote is counted. Thank you!",
            EXPIRED_BUTTON,
        ]
    assert rows(store, "SELECT value FROM votes") == [(1,)]
