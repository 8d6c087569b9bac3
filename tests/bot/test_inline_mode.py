"""`@NAME beginning` in any chat."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.bot.strings import EXPIRED_BUTTON, INLINE_BEGIN
from app.engine.fake import FakeEngine
from tests.bot.conftest import JOKE, SHOWN, Failing, ask, bot, labels, rows
from tests.fakes.bot_api import Fault
from tests.fakes.telegram import Telegram


@pytest.fixture(autouse=True)
def short_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.bot.inline_mode.PAUSE", 0.05)


def offer(telegram: Telegram, text: str, user: int = 7) -> tuple[str, list[str]]:
    """The query's id, and the texts that were offered."""
    query = telegram.inquire(text, user)
    telegram.settle()
    results = telegram.offers[query]["results"]
    return query, [result["input_message_content"]["message_text"] for result in results]


def test_a_text_is_offered_sent_stored_and_voted_on(store: str) -> None:
    with bot(feedback=store) as telegram:
        query, texts = offer(telegram, "about cats")
        assert texts == [f"Cats {SHOWN}"]
        assert rows(store, "SELECT * FROM texts") == []
        sent = telegram.choose(query)
        telegram.settle()
        assert labels(sent) == ["👍", "👎"]
        for user, label in ((1, "👍"), (2, "👍"), (2, "👎"), (3, "👍")):
            telegram.press_inline(sent, label, user)
            telegram.settle()
        assert labels(telegram.inline_messages[sent["id"]]) == ["👍 2", "👎 1"]
    assert rows(store, "SELECT channel, count(*) FROM texts") == [("telegram", 1)]
    assert rows(store, "SELECT value, count(*) FROM votes GROUP BY value ORDER BY 1") == [(-1, 1), (1, 2)]


def test_the_first_vote_stores_a_text_that_the_bot_was_not_told_of(store: str) -> None:
    with bot(feedback=store) as telegram:
        sent = telegram.choose(offer(telegram, "Why did the duck stop?")[0], told=False)
        assert sent["text"].startswith("Why did the duck stop?\n\nWhy did the duck")
        telegram.press_inline(sent, "👎")
        telegram.settle()
        assert rows(store, "SELECT prompt, value FROM votes JOIN texts ON id = text_id") == [
            ("Why did the duck stop?", -1)
        ]
        other = telegram.choose(offer(telegram, "about dogs")[0], told=False)
    with bot(feedback=store, telegram=telegram) as telegram:
        telegram.press_inline(other, "👍")
        telegram.settle()
        assert telegram.notices[-1]["text"] == EXPIRED_BUTTON


def test_only_the_latest_query_of_a_person_is_written_for() -> None:
    """Each prefix that somebody types would otherwise cost a text."""
    with bot(FakeEngine(JOKE, template="qa", seconds_per_token=0.01)) as telegram:
        ask(telegram, "/help")
        queries = [telegram.inquire("about cats"[:length]) for length in range(4, 10)]
        other = telegram.inquire("about dogs", user=8)
        last = telegram.inquire("about cats")
        telegram.settle()
        assert set(telegram.offers) == {other, last}
        assert telegram.statuses == {200: len(queries) + 3}


def test_nothing_to_go_on_with_and_nobody_to_ask() -> None:
    with bot(telegram_allow="7,8", telegram_rate=1) as telegram:
        query, texts = offer(telegram, " ")
        assert (texts, telegram.offers[query]["button"]["text"]) == ([], INLINE_BEGIN)
        assert offer(telegram, "about cats", user=9)[1] == []
        query, texts = offer(telegram, "about cats")
        assert (len(texts), telegram.offers[query]["is_personal"]) == (1, "True".lower())
        assert "reply_markup" not in telegram.offers[query]["results"][0]
        query, texts = offer(telegram, "about dogs")
        assert texts == []
        assert telegram.offers[query]["button"]["text"].startswith("You have reached the limit")
        assert offer(telegram, "why " * 900, user=8)[1] == []
        assert telegram.said(7) == telegram.said(9) == []


def test_an_answer_that_comes_too_late_is_not_asked_for_again(store: str, short_pauses: None) -> None:
    with bot(feedback=store) as telegram:
        telegram.fault = Failing("answerInlineQuery", Fault(retry_after=60), 1)
        telegram.inquire("about cats")
        telegram.settle()
        telegram.deliver(
            {
                "chosen_inline_result": {
                    "result_id": "none",
                    "from": {"id": 7, "is_bot": False, "first_name": "A"},
                    "query": "",
                }
            }
        )
        telegram.settle()
        assert (telegram.offers, telegram.statuses) == ({}, {200: 2})


def test_a_blind_comparison_is_blind_here_too(store: str, tmp_path: Path) -> None:
    (tmp_path / "people.txt").write_text("One.\n", encoding="utf-8")
    with bot(FakeEngine("a", name="a"), feedback=store, compare=f"a,{tmp_path}/people.txt") as telegram:
        sent = telegram.choose(offer(telegram, "b")[0])
        telegram.press_inline(sent, "👍")
        telegram.settle()
        assert labels(telegram.inline_messages[sent["id"]]) == ["👍", "👎"]
