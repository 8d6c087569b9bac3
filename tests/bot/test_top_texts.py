"""/top: what people like best."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.bot.strings import NO_FAVOURITES, VOTES_OFF
from app.bot.top_texts import best, wilson_lower_bound
from app.feedback.store import LikedText
from tests.bot.conftest import GROUP, SHOWN, ask, bot, press, rows


def test_what_is_liked_is_shown_and_what_somebody_wrote_is_not(store: str) -> None:
    """An answer tells what its question was, which may be nobody else's business."""
    with bot(feedback=store, telegram_rate=0) as telegram:
        assert ask(telegram, "/top")["text"] == NO_FAVOURITES
        joke = ask(telegram, "/joke@JokerBot", chat=GROUP, user=1)
        for user in (1, 2, 3):
            press(telegram, telegram.now(joke), "👍", user=user)
        press(telegram, telegram.now(joke), "👎", user=4)
        for secret in ("What does my boss earn?", "/joke about my boss"):
            press(telegram, ask(telegram, secret), "👍")
        press(telegram, ask(telegram, "/joke"), "👎")
        assert ask(telegram, "/top")["text"] == f"Liked best this week\n\n{SHOWN}\n👍 3 · 👎 1"
    with bot() as telegram:
        assert ask(telegram, "/top")["text"] == VOTES_OFF
    assert rows(store, "SELECT count(*) FROM texts") == [(4,)]


def test_older_texts_are_liked_best_of_all(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with bot(feedback=store) as telegram:
        press(telegram, ask(telegram, "/joke"), "👍")
        monkeypatch.setattr("app.bot.top_texts.WEEK", timedelta(0))
        assert ask(telegram, "/top")["text"] == f"Liked best of all\n\n{SHOWN}\n👍 1"


def test_many_votes_say_more_than_few() -> None:
    one, most, mixed = LikedText("", "one", 1, 0), LikedText("", "most", 18, 2), LikedText("", "mixed", 30, 20)
    assert best([one, mixed, most], 2) == [most, mixed]
    assert best([most, LikedText("", "most", 2, 0)], 2) == [most]
    assert wilson_lower_bound(18, 2) == pytest.approx(0.699, abs=0.001)
    assert best([], 3) == []
