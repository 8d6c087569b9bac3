"""Who may ask the bot, and how often."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.bot.strings import EXPIRED_BUTTON, STORE_DOWN
from app.engine.fake import FakeEngine
from tests.bot.conftest import GROUP, JOKE, SHOWN, Failing, ask, bot, press, rows
from tests.fakes.bot_api import Fault
from tests.fakes.telegram import Telegram

WAIT = "You have reached the limit for now. Please wait "
# As whom Telegram shows those who write in the name of a group, of a channel, and what a channel itself writes.
GROUP_ANONYMOUS_BOT = {"id": 1087968824, "is_bot": True, "first_name": "Group", "username": "GroupAnonymousBot"}
CHANNEL_BOT = {"id": 136817688, "is_bot": True, "first_name": "Channel", "username": "Channel_Bot"}
TELEGRAM_ITSELF = {"id": 777000, "is_bot": False, "first_name": "Telegram"}


def test_texts_are_rate_limited_for_each_person() -> None:
    with bot(telegram_rate=2) as telegram:
        joke = ask(telegram, "/joke")
        ask(telegram, "Why?")
        assert ask(telegram, "Why?")["text"].startswith(WAIT)
        press(telegram, joke, "Another")
        assert telegram.notices[-1]["text"].startswith("You have reached the limit for now.")
        assert ask(telegram, "/help")["text"].startswith("Write to me")
        assert ask(telegram, "/joke", chat=8)["text"] == SHOWN


@pytest.mark.parametrize("command", ["/help", "/start", "/stats", "/settings", "/model", "/chat", "/reset", "/dance"])
def test_commands_are_rate_limited_too(command: str, store: str) -> None:
    """They once were not, and one person with a script kept the bot busy. Texts are counted apart."""
    with bot(telegram_rate=3, feedback=store) as telegram:
        said = [ask(telegram, command)["text"] for _ in range(4)]
        assert [text.startswith(WAIT) for text in said] == [False, False, False, True]
        assert ask(telegram, "/joke")["text"] == SHOWN
        assert not ask(telegram, command, chat=8)["text"].startswith(WAIT)


def test_a_flood_is_not_answered_message_by_message() -> None:
    """Telegram itself limits how fast a bot may write, so that answers to a flood would hold up those to others."""
    with bot(telegram_rate=2) as telegram:
        for _ in range(30):
            telegram.write(7, "/start")
        telegram.settle()
        said = [message["text"] for message in telegram.said(7)]
        assert [text.startswith(WAIT) for text in said] == [False, False, True, True, True]
        assert telegram.statuses == {200: 30}
    with bot(telegram_allow="8") as telegram:
        for _ in range(30):
            telegram.write(7, "Hello")
        telegram.settle()
        assert len(telegram.said(7)) == 3


def test_what_fails_is_counted_too(tmp_path: Path) -> None:
    """Else a text that is too long, or a command while the store is down, could be asked for without end."""
    with bot(telegram_rate=2, feedback=f"sqlite:///{tmp_path}") as telegram:
        assert [ask(telegram, "/stats")["text"] for _ in range(2)] == [STORE_DOWN] * 2
        assert ask(telegram, "/stats")["text"].startswith(WAIT)
    with bot(telegram_rate=2) as telegram:
        for _ in range(2):
            assert ask(telegram, "why " * 25_000)["text"].startswith("That is too long for me")
        assert ask(telegram, "why " * 25_000)["text"].startswith(WAIT)


def test_writing_in_many_chats_at_once_is_no_way_around_the_limit() -> None:
    """A text was counted when it was written, so that one person in ten groups got ten at the same time."""
    with bot(FakeEngine(JOKE, template="qa", seconds_per_token=0.005), telegram_rate=2) as telegram:
        groups = [GROUP - number for number in range(10)]
        for chat in groups:
            telegram.write(chat, "/joke@JokerBot", user=8)
        telegram.settle()
        said = [message["text"] for chat in groups for message in telegram.said(chat)]
        assert said.count(SHOWN) == 2
        # Nobody is told to wait more than three times a minute.
        assert len(said) == 5


@pytest.mark.usefixtures("short_pauses")
def test_what_is_sent_again_is_counted_once() -> None:
    with bot(telegram_rate=1) as telegram:
        telegram.fault = Failing("sendMessage", Fault(status=502), 4)
        assert ask(telegram, "/joke")["text"] == SHOWN
        assert telegram.statuses == {503: 1, 200: 1}
        telegram.fault = Failing("sendMessage", Fault(status=403), 1)
        telegram.write(8, "/joke")
        assert ask(telegram, "/joke", chat=8)["text"].startswith(WAIT)


def test_votes_and_other_buttons_are_rate_limited(store: str) -> None:
    with bot(telegram_rate=2, feedback=store) as telegram:
        joke = ask(telegram, "/joke")
        for label in ("👍", "👎", "👍"):
            press(telegram, joke, label)
        assert [notice["text"][:15] for notice in telegram.notices] == [
            "👍 Your vote is ",
            "👎 Your vote is ",
            WAIT[:15],
        ]
        telegram.press(joke, "dance")
        press(telegram, joke, "👍", user=8)
        assert [notice["text"] for notice in telegram.notices][-1].startswith("👍 Your vote")
    assert rows(store, "SELECT value FROM votes ORDER BY value") == [(-1,), (1,)]
    with bot(telegram_rate=1) as telegram:
        said = ask(telegram, "/settings")
        press(telegram, said, "short")
        telegram.press(said, "dance", user=9)
        telegram.settle()
        assert telegram.notices[0]["text"].startswith(WAIT)
        assert telegram.notices[1]["text"] == EXPIRED_BUTTON


def test_whoever_writes_as_a_group_or_channel_has_their_own_rate() -> None:
    """All of them share one account of Telegram's: one busy channel once used up the rate of all others."""
    with bot(telegram_rate=1) as telegram:
        authors: list[dict[str, Any]] = [
            {"sender": GROUP_ANONYMOUS_BOT, "sender_chat": group(-100)},
            {"sender": CHANNEL_BOT, "sender_chat": channel(-501)},
            {"sender": CHANNEL_BOT, "sender_chat": channel(-502)},
            {"sender": TELEGRAM_ITSELF, "sender_chat": channel(-503), "is_automatic_forward": True},
            {"sender": None, "sender_chat": channel(-504)},
        ]
        for author in authors:
            write_as(telegram, **author)
        assert [said["text"] for said in telegram.said(GROUP)] == [SHOWN] * len(authors)
        for author in authors:
            write_as(telegram, **author)
        assert [said["text"][: len(WAIT)] for said in telegram.said(GROUP)[len(authors) :]] == [WAIT] * len(authors)
        assert ask(telegram, "/joke@JokerBot", chat=GROUP, user=8)["text"] == SHOWN


def test_a_channel_may_be_allowed_and_the_shared_account_is_nobody() -> None:
    with bot(telegram_allow="-501, 1087968824") as telegram:
        write_as(telegram, CHANNEL_BOT, channel(-502))
        write_as(telegram, GROUP_ANONYMOUS_BOT, group(GROUP))
        assert telegram.said(GROUP) == []
        write_as(telegram, CHANNEL_BOT, channel(-501))
        assert [said["text"] for said in telegram.said(GROUP)] == [SHOWN]


def group(number: int) -> dict[str, Any]:
    return {"id": number, "type": "supergroup", "title": "Group"}


def channel(number: int) -> dict[str, Any]:
    return {"id": number, "type": "channel", "title": "Channel"}


def write_as(telegram: Telegram, sender: dict[str, Any] | None, sender_chat: dict[str, Any], **more: Any) -> None:
    """Somebody writes in the group in the name of a chat. Without a sender, the update names none."""
    message = telegram._message(GROUP, sender or {}, "/joke@JokerBot", sender_chat=sender_chat, **more)
    telegram.deliver({"message": {name: part for name, part in message.items() if part != {}}})
    telegram.settle()
