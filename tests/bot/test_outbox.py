"""Sending: what is tried again, and what is never sent twice."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from app.engine.fake import FakeEngine
from tests.bot.conftest import MESSAGE, SECRET_HEADER, Failing, bot
from tests.bot_api import Fault

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
def test_what_telegram_cannot_take_now_it_gets_later_and_once(
    fault: Fault, times: int, statuses: dict[int, int]
) -> None:
    with bot() as telegram:
        telegram.fault = Failing("sendMessage", fault, times)
        telegram.write(7, "/joke")
        telegram.settle()
        assert len(telegram.said(7)) == 1
        assert telegram.statuses == statuses


def test_telegram_out_of_reach_brings_the_update_again() -> None:
    with bot(telegram_api_url="http://127.0.0.1:9") as telegram:
        update = {"update_id": 5, "message": MESSAGE | {"text": "/joke"}}
        reply = httpx.post(telegram.webhook["url"], json=update, headers=SECRET_HEADER)
        assert (reply.status_code, reply.headers["retry-after"]) == (503, "2")
        assert reply.json()["error"]["code"] == "undelivered"


@pytest.mark.parametrize(("fault", "messages"), [(Fault(hang_up=True), 1), (Fault(status=504), 0)])
def test_a_message_that_may_have_arrived_is_not_sent_again(fault: Fault, messages: int) -> None:
    """The connection ends after the message was taken and before that was said."""
    with bot() as telegram:
        telegram.fault = Failing("sendMessage", fault, 1)
        telegram.write(7, "/joke")
        telegram.settle()
        assert len(telegram.said(7)) == messages
        assert telegram.statuses == {200: 1}


def test_a_vote_whose_thanks_were_lost_is_counted_once(tmp_path: Path) -> None:
    with bot(feedback=f"sqlite:///{tmp_path}/f.db") as telegram:
        telegram.write(7, "/joke")
        telegram.settle()
        (said,) = telegram.said(7)
        telegram.fault = Failing("editMessageText", Fault(status=502), 4)
        telegram.press(said, telegram.button(said, "👍"))
        telegram.settle()
        assert telegram.now(said)["text"].endswith("feedback.")
        assert telegram.statuses == {200: 2, 503: 1}
        telegram.write(7, "/stats")
        telegram.settle()
        assert telegram.said(7)[-1]["text"] == "fake: 👍 1, 👎 0, texts 1"


def test_drafts_that_fail_cost_nothing() -> None:
    with bot(FakeEngine(seconds_per_token=0.01)) as telegram:
        telegram.fault = Failing("sendMessageDraft", Fault(retry_after=30), 99)
        telegram.write(7, "Why?")
        telegram.settle()
        assert len(telegram.said(7)) == 1
        assert telegram.calls["sendMessageDraft"] == 1
