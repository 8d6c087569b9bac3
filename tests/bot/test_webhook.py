"""POST /telegram: who may call it, what is delivered again and what is not, and that nothing of it shows in a log."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import socket
import sqlite3
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.bot.updates import REMEMBERED, UpdateContext, Updates
from app.engine.fake import FakeEngine
from app.errors import SettingError
from app.settings import Settings, read_settings
from tests.bot.conftest import JOKE, bot
from tests.conftest import process, run_module, serving
from tests.telegram import SECRET, TOKEN, Fault, Telegram

HEADER = "X-Telegram-Bot-Api-Secret-Token"
MESSAGE = {
    "message_id": 1,
    "date": 1,
    "chat": {"id": 7, "type": "private"},
    "from": {"id": 7, "is_bot": False, "first_name": "A"},
}


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.bot.outbox.PAUSES", (0.01, 0.01))


@pytest.mark.parametrize(
    "headers", [{}, {HEADER: ""}, {HEADER: SECRET.upper()}, {HEADER: SECRET + " x"}, {HEADER: "\xfc"}]
)
@pytest.mark.parametrize("body", [b'{"update_id": 1}', b"not JSON", b"x" * 2**20])
def test_who_does_not_know_the_secret_is_refused_before_the_body(headers: dict[str, str], body: bytes) -> None:
    with bot() as telegram:
        raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        reply = httpx.post(telegram.webhook["url"], content=body, headers=raw)
    assert (reply.status_code, reply.json()["error"]["code"]) == (403, "wrong_secret")
    assert reply.json()["error"]["type"] == "permission_error"


def test_the_body_is_not_waited_for() -> None:
    with bot() as telegram:
        address = httpx.URL(telegram.webhook["url"])
        with socket.create_connection((address.host, address.port or 80), timeout=10) as connection:
            connection.sendall(b"POST /telegram HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.1 403 ")


def written(**more: Any) -> bytes:
    return json.dumps({"update_id": 11, "message": MESSAGE | more}).encode()


MALFORMED = [
    b"", b"nonsense", b"[]", b"{}", b'"text"', b"\xff\xfe", b'{"update_id": "1"}', b'{"update_id": 1e99}', b'{"update_id": 1.5}',
    b'{"update_id": 170141183460469231731687303715884105728}', b'{"update_id": 3, "message": 4}',
    b'{"update_id": 3, "update_id": 4}',
    b'{"update_id": 5, "message": {"chat": {"id": "x"}}}', b'{"update_id": 6, "message": {"chat": {"id": 7}}}',
    b'{"update_id": 7, "callback_query": {}}', b'{"update_id": 8, "callback_query": {"id": "1", "from": 5, "data": "up:x"}}',
    b'{"update_id": 9}', b'{"update_id": 10, "edited_message": {"chat": {"id": 7}}}', b"[" * 100_000, b"x" * 300_000,
    written(text="hi", entities=[{"type": "mention", "offset": 900, "length": 5}]), written(text="\ud800"), written(text=["a"]),
]  # fmt: skip


@pytest.mark.parametrize("body", MALFORMED, ids=lambda body: body[:30].decode("latin-1"))
def test_what_can_never_be_handled_is_not_delivered_again(body: bytes) -> None:
    with bot() as telegram:
        reply = httpx.post(telegram.webhook["url"], content=body, headers={HEADER: SECRET})
    assert (reply.status_code, reply.content) == (200, b"")


def test_an_update_delivered_again_is_answered_once(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/f.db"
    engine = FakeEngine(JOKE, template="qa", seconds_per_token=0.005)
    update = {"update_id": 5, "message": MESSAGE | {"text": "/joke"}}
    with bot(engine, feedback=store) as telegram:
        telegram.write(7, "/help")
        telegram.settle()

        def deliver() -> None:
            codes.append(httpx.post(telegram.webhook["url"], json=update, headers={HEADER: SECRET}).status_code)

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
        httpx.post(telegram.webhook["url"], json=update, headers={HEADER: SECRET})
        assert len(telegram.said(7)) == 2


def test_one_chats_updates_in_order_and_different_chats_side_by_side() -> None:
    order: list[str] = []
    together = threading.Barrier(2)

    class Recorder:
        async def handle(self, update: dict[str, Any], context: UpdateContext) -> None:
            name = f"{update['message']['chat']['id']} {update['update_id']}"
            order.append(f"{name} begins")
            if update["update_id"] in (1, 3):
                # Ends only if both are there at once.
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
    assert len(updates._chat_locks) == len(updates._running) == 0


def test_an_update_that_takes_too_long_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless some of the answer is out already."""
    monkeypatch.setattr("app.bot.updates.SECONDS", 0.2)
    monkeypatch.setattr("app.bot.model_writer.SENDING", 0.1)
    with bot(FakeEngine("a", seconds_per_token=0.01)) as telegram:
        telegram.write(7, "Why?")
        telegram.settle()
        (said,) = telegram.said(7)
        assert 0 < len(said["text"]) < 100
        telegram.fault = Failing("sendMessage", Fault(before=0.5), 1)
        telegram.write(7, "/help")
        telegram.settle()
        assert telegram.statuses == {200: 2, 503: 1}


class Failing:
    """So many calls of this method go wrong."""

    def __init__(self, method: str, fault: Fault, times: int) -> None:
        self.method, self.fault, self.times = method, fault, times

    def __call__(self, method: str) -> Fault | None:
        if method != self.method or not self.times:
            return None
        self.times -= 1
        return self.fault


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
        reply = httpx.post(telegram.webhook["url"], json=update, headers={HEADER: SECRET})
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


def test_when_too_many_wait_telegram_brings_the_update_again() -> None:
    with bot(FakeEngine(seconds_per_token=0.005), queue_limit=0, telegram_rate=1) as telegram:
        for chat in range(1, 5):
            telegram.write(chat, "/joke")
        telegram.settle()
        assert [len(telegram.said(chat)) for chat in range(1, 5)] == [1] * 4
        assert telegram.statuses[503] > 0


def test_other_routes_are_answered_meanwhile() -> None:
    with bot(FakeEngine(seconds_per_token=0.01)) as telegram:
        telegram.write(7, "Why?")
        health = httpx.get(telegram.webhook["url"].replace("/telegram", "/health"), timeout=2)
        assert (health.status_code, telegram.said(7)) == (200, [])


def test_five_hundred_updates_through_a_bad_day(tmp_path: Path) -> None:
    """Telegram fails now and then, gives up waiting and delivers again: each is answered once, each vote counts once."""
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
    with sqlite3.connect(tmp_path / "f.db") as connection:
        (votes,) = connection.execute("SELECT count(*) FROM votes").fetchone()
    assert votes == len(people) * asked
    assert telegram.statuses[0] + telegram.statuses[503] > 0


def test_without_a_token_there_is_no_bot() -> None:
    with serving(FakeEngine(), feedback="") as url:
        reply = httpx.post(f"{url}/telegram", json={"update_id": 1})
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "bot_off")


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"TELEGRAM_TOKEN": TOKEN}, "TELEGRAM_SECRET is empty and TELEGRAM_TOKEN is not"),
        ({"TELEGRAM_TOKEN": TOKEN, "TELEGRAM_SECRET": "no spaces"}, "TELEGRAM_SECRET is not what it should be, and should"),
        ({"TELEGRAM_TOKEN": TOKEN, "TELEGRAM_SECRET": "x" * 257}, "TELEGRAM_SECRET is not what it should be"),
        ({"TELEGRAM_TOKEN": "secret"}, "TELEGRAM_TOKEN is not what it should be, and should be the token that"),
        ({"TELEGRAM_ALLOW": "7,ann"}, "TELEGRAM_ALLOW is '7,ann', and should be ids of people and chats"),
        ({"TELEGRAM_API_URL": "api.telegram.org"}, "TELEGRAM_API_URL is 'api.telegram.org', and should be the address"),
        ({"COMPARE": "a,b"}, "COMPARE is for the Telegram bot: set TELEGRAM_TOKEN too"),
    ],
)  # fmt: skip
def test_settings_that_do_not_fit_stop_the_start(environ: dict[str, str], said: str) -> None:
    ended = run_module("app", **{"ENGINE": "fake", "FEEDBACK": ""} | environ)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(f"error: {said}")
    assert ended.stderr.count("\n") == 1
    assert not any(
        value in ended.stderr for name, value in environ.items() if name in ("TELEGRAM_TOKEN", "TELEGRAM_SECRET")
    )


def test_the_settings_do_not_show_their_secrets() -> None:
    settings = read_settings({"TELEGRAM_TOKEN": TOKEN, "TELEGRAM_SECRET": SECRET})
    assert TOKEN not in repr(settings)
    assert SECRET not in repr(settings)
    assert settings.telegram_allowed == set()
    assert Settings(telegram_allow=" 7 , -100").telegram_allowed == {7, -100}
    with pytest.raises(SettingError):
        read_settings({"TELEGRAM_RATE": "-1"})


QUOTE = "the heron's private question"


@pytest.mark.parametrize("level", ["debug", "info"])
def test_neither_token_nor_text_is_in_the_log(level: str, tmp_path: Path) -> None:
    """Of a real process, on good days and bad."""
    with Telegram().serving() as telegram:
        environ = {
            "TELEGRAM_TOKEN": TOKEN, "TELEGRAM_SECRET": SECRET, "TELEGRAM_API_URL": telegram.url, "ENGINE": "fake",
            "FEEDBACK": f"sqlite:///{tmp_path}/f.db", "LOG_LEVEL": level,
        }  # fmt: skip
        with process(**environ) as (child, url):
            telegram.webhook = {"url": f"{url}/telegram", "secret_token": SECRET}
            telegram.write(7, QUOTE)
            telegram.write(-100, f"@JokerBot {QUOTE}", user=8)
            telegram.write(7, QUOTE * 3000)
            telegram.settle()
            telegram.press(telegram.said(7)[0], f"up:{QUOTE}")
            telegram.fault = Failing("sendMessage", Fault(retry_after=3600), 1)
            telegram.write(7, QUOTE)
            telegram.settle()
            telegram.fault = Failing("sendMessage", Fault(status=502), 1)
            telegram.write(7, QUOTE)
            telegram.settle()
            telegram.fault = Failing("sendMessage", Fault(status=400), 1)
            telegram.write(7, QUOTE)
            telegram.fault = Failing("sendMessage", Fault(hang_up=True), 1)
            telegram.write(8, QUOTE)
            telegram.settle()
            httpx.post(f"{url}/telegram", content=f'{{"update_id": "{QUOTE}"}}', headers={HEADER: SECRET})
            httpx.post(f"{url}/telegram", content=QUOTE, headers={HEADER: SECRET})
            child.send_signal(signal.SIGTERM)
            printed = child.communicate(timeout=20)[0]
    assert "POST /telegram 200" in printed
    assert "POST /telegram 503" in printed
    for hidden in (TOKEN, TOKEN.split(":")[1], SECRET, "heron", "quick brown"):
        assert hidden not in printed
    assert Counter(line.split()[1] for line in printed.splitlines() if line[:1].isdigit())["ERROR"] <= 4


def test_the_library_is_imported_with_the_first_update_and_not_before() -> None:
    with Telegram().serving() as telegram:
        environ = {
            "TELEGRAM_TOKEN": TOKEN,
            "TELEGRAM_SECRET": SECRET,
            "TELEGRAM_API_URL": telegram.url,
            "ENGINE": "fake",
            "FEEDBACK": "",
        }
        with process("-c", LOADED, **environ) as (child, url):
            assert httpx.get(f"{url}/?length=5").status_code == 200
            child.send_signal(signal.SIGUSR1)
            telegram.webhook = {"url": f"{url}/telegram", "secret_token": SECRET}
            assert child.stdout is not None
            before = next(line for line in child.stdout if "loaded" in line)
            telegram.write(7, "/joke")
            telegram.settle()
            child.send_signal(signal.SIGUSR1)
            after = next(line for line in child.stdout if "loaded" in line)
    assert (before, after) == ("loaded False False\n", "loaded True True\n")


LOADED = """
import runpy, signal, sys
def tell(*_):
    print("loaded", "telegram" in sys.modules, "httpx" in sys.modules, flush=True)
signal.signal(signal.SIGUSR1, tell)
runpy.run_module("app", run_name="__main__")
"""
