"""Sending: what is tried again, and what is never sent twice."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from app.bot.client import DEFAULT_RETRY_AFTER, retry_after
from app.engine.fake import FakeEngine
from tests.bot.conftest import MESSAGE, SECRET_HEADER, Failing, bot
from tests.fakes.bot_api import Fault

pytestmark = pytest.mark.usefixtures("short_pauses")


@pytest.mark.parametrize(
    ("fault", "times", "statuses"),
    [
        (Fault(status=502), 2, {200: 1}),
        (Fault(status=500), 7, {503: 2, 200: 1}),
        (Fault(retry_after=1), 1, {200: 1}),
        (Fault(retry_after=3600), 1, {503: 1, 200: 1}),
    ],
)
def test_a_message_that_telegram_refuses_for_a_while_is_sent_later_and_once(
    fault: Fault, times: int, statuses: dict[int, int]
) -> None:
    with bot() as telegram:
        telegram.fault = Failing("sendMessage", fault, times)
        telegram.write(7, "/joke")
        telegram.settle()
        assert len(telegram.said(7)) == 1
        assert telegram.statuses == statuses


def test_an_update_is_asked_for_again_when_telegram_cannot_be_reached() -> None:
    with bot(telegram_api_url="http://127.0.0.1:9") as telegram:
        update = {"update_id": 5, "message": MESSAGE | {"text": "/joke"}}
        reply = httpx.post(telegram.webhook["url"], json=update, headers=SECRET_HEADER)
        assert (reply.status_code, reply.headers["retry-after"]) == (503, "2")
        assert reply.json()["error"]["code"] == "undelivered"


@pytest.mark.parametrize(("fault", "messages"), [(Fault(hang_up=True), 1), (Fault(status=504), 0)])
def test_a_message_that_may_have_arrived_is_not_sent_again(fault: Fault, messages: int) -> None:
    """The connection ends after Telegram took the message and before it confirmed that."""
    with bot() as telegram:
        telegram.fault = Failing("sendMessage", fault, 1)
        telegram.write(7, "/joke")
        telegram.settle()
        assert len(telegram.said(7)) == messages
        assert telegram.statuses == {200: 1}


def test_a_vote_is_counted_once_when_its_mark_was_lost(tmp_path: Path) -> None:
    """The buttons only show what is stored already, so nothing is delivered again for them."""
    with bot(feedback=f"sqlite:///{tmp_path}/f.db") as telegram:
        telegram.write(7, "/joke")
        telegram.settle()
        (said,) = telegram.said(7)
        telegram.fault = Failing("editMessageReplyMarkup", Fault(status=502), 4)
        telegram.press(said, telegram.button(said, "👍"))
        telegram.settle()
        assert telegram.now(said)["reply_markup"] == said["reply_markup"]
        assert telegram.statuses == {200: 2}
        telegram.write(7, "/stats")
        telegram.settle()
        assert telegram.said(7)[-1]["text"] == "fake: 👍 1, 👎 0, texts 1"


def test_failing_drafts_do_not_delay_the_answer() -> None:
    with bot(FakeEngine(seconds_per_token=0.01)) as telegram:
        telegram.fault = Failing("sendMessageDraft", Fault(retry_after=30), 99)
        telegram.write(7, "Why?")
        telegram.settle()
        assert len(telegram.said(7)) == 1
        assert telegram.calls["sendMessageDraft"] == 1


@pytest.mark.parametrize(
    ("body", "seconds"),
    [(b'{"parameters": {"retry_after": 7}}', 7), (b"{}", DEFAULT_RETRY_AFTER), (b"<html>", DEFAULT_RETRY_AFTER)],
)
def test_a_429_says_how_long_to_wait_or_a_default_is_taken(body: bytes, seconds: float) -> None:
    """A proxy in front of the Bot API answers with a body of its own."""
    assert retry_after(body) == seconds
