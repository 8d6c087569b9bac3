"""Reactions to the bot's texts count as votes."""

from __future__ import annotations

import pytest

from app.bot.chat_state import ANSWERS
from tests.bot.conftest import GROUP, ask, bot, labels, press, rows


def test_a_reaction_is_a_vote_and_the_latest_of_a_person_counts(store: str) -> None:
    with bot(feedback=store) as telegram:
        said = ask(telegram, "/joke@JokerBot", chat=GROUP, user=1)
        telegram.react(said, "❤\ufe0f", user=1)
        telegram.react(said, "👍", user=2)
        telegram.react(said, "🤮", user=3)
        telegram.settle()
        assert labels(telegram.now(said)) == ["👍 2", "👎 1", "Another"]
        telegram.react(said, "👎", user=2)
        press(telegram, said, "👍", user=3)
        assert labels(telegram.now(said)) == ["👍 2", "👎 1", "Another"]
        telegram.react(said, "🎉", user=None, actor_chat={"id": GROUP, "type": "supergroup", "title": "Group"})
        telegram.settle()
        assert labels(telegram.now(said)) == ["👍 3", "👎 1", "Another"]
        mine = ask(telegram, "Why?")
        telegram.react(mine, "🔥")
        telegram.settle()
        assert labels(telegram.now(mine)) == ["✓ 👍", "👎", "Another"]
    assert rows(store, "SELECT value, count(*) FROM votes GROUP BY value ORDER BY 1") == [(-1, 1), (1, 4)]


@pytest.mark.parametrize("emoji", [(), ("👀",), ("👍", "👎")])
def test_what_says_neither_or_both_is_no_vote(store: str, emoji: tuple[str, ...]) -> None:
    with bot(feedback=store) as telegram:
        said = ask(telegram, "/joke")
        telegram.react(said, *emoji)
        telegram.react(said, new_reaction=[{"type": "custom_emoji", "custom_emoji_id": "5"}, {"type": "paid"}])
        telegram.react(said | {"message_id": 1}, "👍")
        telegram.settle()
        assert telegram.statuses == {200: 4}
    assert rows(store, "SELECT * FROM votes") == []


def test_reactions_obey_the_allow_list_and_the_rate(store: str) -> None:
    with bot(feedback=store, telegram_allow="1,2", telegram_rate=1) as telegram:
        said = ask(telegram, "/joke@JokerBot", chat=GROUP, user=1)
        for user in (1, 1, 3):
            telegram.react(said, "👍", user=user)
        telegram.settle()
        assert len(telegram.said(GROUP)) == 1
    assert rows(store, "SELECT value FROM votes") == [(1,)]


def test_only_the_newest_texts_of_a_chat_are_known(store: str) -> None:
    with bot(feedback=store, telegram_rate=0) as telegram:
        first = ask(telegram, "/joke")
        for _ in range(ANSWERS):
            telegram.write(7, "/joke")
        telegram.settle()
        telegram.react(first, "👍")
        telegram.react(telegram.said(7)[1], "👍")
        telegram.settle()
    assert rows(store, "SELECT count(*) FROM votes") == [(1,)]


def test_without_a_store_a_reaction_changes_nothing() -> None:
    with bot() as telegram:
        said = ask(telegram, "/joke")
        telegram.react(said, "👍")
        telegram.settle()
        assert telegram.now(said) == said
