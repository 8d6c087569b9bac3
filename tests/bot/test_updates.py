"""Updates: each is handled once, those of a chat in order, and none is lost."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.bot.updates import REMEMBERED, UpdateContext, Updates
from app.engine.fake import FakeEngine
from app.errors import SettingError, Undelivered
from tests.bot.conftest import JOKE, MESSAGE, SECRET_HEADER, Failing, bot
from tests.fakes.bot_api import Fault
from tests.fakes.telegram import Telegram

pytestmark = pytest.mark.usefixtures("short_pauses")


def test_an_update_delivered_again_is_answered_once(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/f.db"
    engine = FakeEngine(JOKE, template="qa", seconds_per_token=0.005)
    update = {"update_id": 5, "message": MESSAGE | {"text": "/joke"}}
    with bot(engine, feedback=store) as telegram:
        telegram.write(7, "/help")
        telegram.settle()

        def deliver() -> None:
            codes.append(httpx.post(telegram.webhook["url"], json=update, headers=SECRET_HEADER).status_code)

        codes: list[int] = []
        threads = [threading.Thread(target=deliver) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        deliver()
        assert codes == [200] * 6
        assert len(telegram.said(7)) == 2
        other = telegram
    with bot(engine, feedback=store, telegram=other) as telegram:
        httpx.post(telegram.webhook["url"], json=update, headers=SECRET_HEADER)
        assert len(telegram.said(7)) == 2


def test_updates_are_in_order_within_a_chat_and_different_chats_run_at_the_same_time() -> None:
    order: list[str] = []
    together = threading.Barrier(2)

    class Recorder:
        async def handle(self, update: dict[str, Any], context: UpdateContext) -> None:
            name = f"{update['message']['chat']['id']} {update['update_id']}"
            order.append(f"{name} begins")
            if update["update_id"] in (1, 3):
                # Only ends if two updates are handled at the same time.
                await asyncio.to_thread(together.wait, 10)
            order.append(f"{name} ends")

        async def close(self) -> None: ...

    async def deliver() -> Updates:
        updates = Updates(Recorder, None)
        given = [(1, 7), (2, 7), (3, 8)]
        await asyncio.gather(*(updates.take({"update_id": n, "message": {"chat": {"id": chat}}}) for n, chat in given))
        for number in range(10, REMEMBERED + 20):
            await updates.take({"update_id": number, "message": {"chat": {"id": number}}})
        return updates

    updates = asyncio.run(deliver())
    assert [each for each in order if each.startswith("7 ")] == ["7 1 begins", "7 1 ends", "7 2 begins", "7 2 ends"]
    assert len(updates._finished) == REMEMBERED
    assert len(updates._locks) == len(updates._running) == 0


def test_an_update_that_takes_too_long_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """But not if a part of the answer was sent."""
    with bot(FakeEngine("a", seconds_per_token=0.01)) as telegram:
        # The first update imports the library, which may take longer than the shortened limit below.
        telegram.write(7, "/help")
        telegram.settle()
        monkeypatch.setattr("app.bot.updates.SECONDS", 0.6)
        monkeypatch.setattr("app.bot.answers.SENDING", 0.3)
        telegram.write(7, "Why?")
        telegram.settle()
        said = telegram.said(7)[-1]
        assert 0 < len(said["text"]) < 100
        telegram.fault = Failing("getMe", Fault(before=1.0), 1)
        telegram.write(-100, "/help@JokerBot")
        telegram.settle()
        assert (len(telegram.said(-100)), telegram.statuses) == (1, {200: 3, 503: 1})


class Answering:
    """Handles every update at once."""

    def __init__(self) -> None:
        self.handled: list[int] = []

    async def handle(self, update: dict[str, Any], context: UpdateContext) -> None:
        self.handled.append(context.update_id)

    async def close(self) -> None: ...


def test_a_bot_that_could_not_be_opened_is_opened_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The failure was once kept for as long as the process lived, and every update answered with 500."""
    handler, failures = Answering(), [ImportError("half a package"), SettingError("HTTPS_PROXY names no proxy.")]
    opened: list[int] = []

    def open_handler() -> Answering:
        opened.append(len(opened))
        if failures:
            raise failures.pop(0)
        return handler

    async def deliver() -> None:
        updates = Updates(open_handler, None)
        for pause in (60.0, 0.0):
            monkeypatch.setattr("app.bot.updates.OPEN_PAUSE", pause)
            # While it waits, it is not opened for every update that comes.
            for _ in range(3 if pause else 1):
                with pytest.raises(Undelivered, match="the bot cannot be opened right now: send the update again"):
                    await updates.take({"update_id": 1})
            await updates.close()
            updates._open_again = 0.0
        await updates.take({"update_id": 1})
        await updates.take({"update_id": 2})

    asyncio.run(deliver())
    assert (handler.handled, len(opened)) == ([1, 2], 3)
    assert [record.getMessage() for record in caplog.records if record.name == "app.bot.updates"] == [
        "the bot cannot be opened",
        "the bot cannot be opened: HTTPS_PROXY names no proxy.",
    ]


def test_updates_that_come_together_open_the_bot_once() -> None:
    opened: list[Answering] = []

    def open_handler() -> Answering:
        opened.append(Answering())
        return opened[0]

    async def deliver() -> None:
        updates = Updates(open_handler, None)
        await asyncio.gather(*(updates.take({"update_id": number}) for number in range(20)))

    asyncio.run(deliver())
    assert sorted(opened[0].handled) == list(range(20))
    assert len(opened) == 1


def test_an_update_that_breaks_the_program_is_not_asked_for_again(caplog: pytest.LogCaptureFixture) -> None:
    """It would break it again each time that Telegram sends it, for a day."""

    class Broken(Answering):
        async def handle(self, update: dict[str, Any], context: UpdateContext) -> None:
            raise ZeroDivisionError

    asyncio.run(Updates(Broken, None).take({"update_id": 1}))
    assert "an update could not be handled" in caplog.text


def test_an_answer_under_way_when_the_time_is_up_is_not_sent_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its call was once cut off, and the update given back, although Telegram carried the call out."""
    with bot() as telegram:
        telegram.write(7, "/help")
        telegram.settle()
        monkeypatch.setattr("app.bot.updates.SECONDS", 0.4)
        telegram.fault = Failing("sendMessage", Fault(before=1.0), 1)
        telegram.write(7, "/help")
        telegram.settle()
        telegram.fault = Failing("sendMessage", Fault(before=1.0, status=502), 1)
        telegram.write(8, "/help")
        telegram.settle()
        # The first was carried out. The second was refused after its time, so it is given back.
        assert (len(telegram.said(7)), len(telegram.said(8))) == (2, 1)
        assert telegram.statuses == {200: 3, 503: 1}


@pytest.mark.slow
def test_an_update_is_asked_for_again_when_the_queue_is_full() -> None:
    with bot(FakeEngine(seconds_per_token=0.005), queue_limit=0, telegram_rate=1) as telegram:
        for chat in range(1, 5):
            telegram.write(chat, "/joke")
        telegram.settle()
        assert [len(telegram.said(chat)) for chat in range(1, 5)] == [1] * 4
        assert telegram.statuses[503] > 0


@pytest.mark.slow
def test_five_hundred_updates_through_failures(tmp_path: Path) -> None:
    """Telegram fails at times and delivers again: each update is answered once, and each vote counts once."""
    chance = random.Random(5)

    def fault(method: str) -> Fault | None:
        kinds = {0: Fault(status=502), 1: Fault(retry_after=1), 2: Fault(before=0.15)}
        return kinds.get(chance.randrange(80)) if method != "sendMessage" or chance.random() < 0.5 else None

    people, asked = range(1, 26), 10
    server = Telegram(timeout=0.5, pace=0.05)
    engine = FakeEngine(" A.\n[QUESTION]", template="qa")
    with bot(engine, feedback=f"sqlite:///{tmp_path}/f.db", telegram=server, telegram_rate=0) as telegram:
        telegram.fault = fault
        for number in range(asked):
            for chat in people:
                telegram.write(chat, f"question {number}")
        telegram.settle(60)
        answers = {chat: telegram.said(chat) for chat in people}
        for chat in people:
            for said in answers[chat]:
                telegram.press(said, telegram.button(said, "👍" if chance.random() < 0.7 else "👎"))
        telegram.settle(60)
    for chat in people:
        assert [said["reply_to_message"]["text"] for said in answers[chat]] == [f"question {n}" for n in range(asked)]
    with closing(sqlite3.connect(tmp_path / "f.db")) as connection:
        (votes,) = connection.execute("SELECT count(*) FROM votes").fetchone()
    assert votes == len(people) * asked
    assert telegram.statuses[0] + telegram.statuses[503] > 0
