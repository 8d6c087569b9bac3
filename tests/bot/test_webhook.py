"""POST /telegram: who may call it, and that nothing of it shows in a log."""

from __future__ import annotations

import json
import signal
import socket
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.engine.fake import FakeEngine
from app.errors import SettingError
from app.settings import Settings, read_settings
from tests.bot.conftest import MESSAGE, SECRET_HEADER, Failing, bot
from tests.conftest import process, run_module, serving
from tests.fakes.bot_api import TOKEN, Fault
from tests.fakes.telegram import SECRET, Telegram

pytestmark = pytest.mark.usefixtures("short_pauses")


HEADER = "X-Telegram-Bot-Api-Secret-Token"


@pytest.mark.parametrize(
    "headers", [{}, {HEADER: ""}, {HEADER: SECRET.upper()}, {HEADER: SECRET + " x"}, {HEADER: "\xfc"}]
)
@pytest.mark.parametrize("body", [b'{"update_id": 1}', b"not JSON", b"x" * 2**20])
def test_a_request_without_the_secret_is_refused_before_its_body_is_parsed(
    headers: dict[str, str], body: bytes
) -> None:
    with bot() as telegram:
        raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        reply = httpx.post(telegram.webhook["url"], content=body, headers=raw)
    assert (reply.status_code, reply.json()["error"]["code"]) == (403, "wrong_secret")
    assert reply.json()["error"]["type"] == "permission_error"


def test_a_request_without_the_secret_is_refused_before_its_body_arrives() -> None:
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
    b'{"update_id": "\\ud800"}', b'{"update_id": 11, "message": {"chat": {"id": 7}, "from": {"id": 7, "first_name": "\\ud800"}}}',
]  # fmt: skip


@pytest.mark.parametrize("body", MALFORMED, ids=lambda body: body[:30].decode("latin-1"))
def test_an_update_that_can_never_be_handled_is_acknowledged(body: bytes) -> None:
    with bot() as telegram:
        reply = httpx.post(telegram.webhook["url"], content=body, headers=SECRET_HEADER)
    assert (reply.status_code, reply.content) == (200, b"")


def test_other_routes_are_answered_meanwhile() -> None:
    with bot(FakeEngine(seconds_per_token=0.01)) as telegram:
        telegram.write(7, "Why?")
        health = httpx.get(telegram.webhook["url"].replace("/telegram", "/health"), timeout=2)
        assert (health.status_code, telegram.said(7)) == (200, [])


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
        ({"COMPARE": "a,b"}, "COMPARE is for the Telegram bot and for /play: set TELEGRAM_TOKEN, or"),
    ],
)  # fmt: skip
def test_wrong_settings_stop_the_start(environ: dict[str, str], said: str) -> None:
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
    """The log of a real process, with and without failures."""
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
            httpx.post(f"{url}/telegram", content=f'{{"update_id": "{QUOTE}"}}', headers=SECRET_HEADER)
            httpx.post(f"{url}/telegram", content=QUOTE, headers=SECRET_HEADER)
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
