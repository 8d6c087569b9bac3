"""Votes on the bot's texts."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.bot.strings import EXPIRED_BUTTON, TOP_HIDDEN
from app.engine.fake import FakeEngine
from tests.bot.conftest import GROUP, SHOWN, ask, bot, labels, press, rows


def test_a_vote_is_stored_acknowledged_and_may_be_changed(store: str) -> None:
    with bot(feedback=store) as telegram:
        said = ask(telegram, "/joke")
        press(telegram, said, "👍")
        assert telegram.notices[-1]["text"] == "👍 Your vote is counted. Thank you!"
        assert labels(telegram.now(said)) == ["✓ 👍", "👎", "Another"]
        press(telegram, telegram.now(said), "👎")
        assert (telegram.now(said)["text"], labels(telegram.now(said))) == (SHOWN, ["👍", "✓ 👎", "Another"])
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


def test_in_a_group_the_buttons_count_the_votes(store: str) -> None:
    """A vote once rewrote the text for everybody, with thanks, and nothing showed how many there were."""
    with bot(feedback=store) as telegram:
        said = ask(telegram, "/joke@JokerBot", chat=GROUP, user=1)
        for user, label in ((1, "👍"), (2, "👍"), (3, "👎"), (2, "👎"), (2, "👎")):
            press(telegram, telegram.now(said), label, user=user)
        assert labels(telegram.now(said)) == ["👍 1", "👎 2", "Another"]
        assert telegram.now(said)["text"] == said["text"]
        press(telegram, telegram.now(said), "👍", user=3)
        assert labels(telegram.now(said)) == ["👍 2", "👎 1", "Another"]


def test_a_blind_comparison_shows_no_counts(store: str, tmp_path: Path) -> None:
    """Who sees what others think of a text is no longer free to think otherwise. One's own vote is no secret."""
    people = tmp_path / "people.txt"
    people.write_text("One.\n", encoding="utf-8")
    with bot(FakeEngine("a", name="a"), feedback=store, compare=f"a,{people}") as telegram:
        said = ask(telegram, "/joke@JokerBot", chat=GROUP, user=1)
        press(telegram, said, "👍", user=1)
        assert labels(telegram.now(said)) == ["👍", "👎", "Another"]
        mine = ask(telegram, "/joke")
        press(telegram, mine, "👍")
        assert labels(telegram.now(mine)) == ["✓ 👍", "👎", "Another"]
        assert ask(telegram, "/top")["text"] == TOP_HIDDEN
        assert ask(telegram, "/start")["text"].startswith("Here the author of each text is chosen at random")
    assert rows(store, "SELECT count(*) FROM texts WHERE settings LIKE '%own_words%'") == [(0,)]
