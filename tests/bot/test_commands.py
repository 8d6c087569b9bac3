"""`python -m app.bot`: webhook, polling, and one line for each error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.bot.__main__ import UPDATE_KINDS
from app.bot.strings import COMMANDS
from tests.bot.conftest import GROUP
from tests.bot.polling_process import poll
from tests.conftest import run_module
from tests.fakes.bot_api import TOKEN, entities
from tests.fakes.telegram import SECRET, Telegram


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"TELEGRAM_TOKEN": TOKEN, "TELEGRAM_SECRET": SECRET, "ENGINE": "fake", "FEEDBACK": ""}


def test_the_webhook_is_set_shown_and_deleted(environ: dict[str, str]) -> None:
    with Telegram().serving() as telegram:
        environ["TELEGRAM_API_URL"] = telegram.url
        ended = run_module("app.bot", "set-webhook", "https://a.example/", **environ)
        assert (ended.returncode, ended.stdout) == (0, "Telegram now sends updates to https://a.example/telegram\n")
        assert telegram.webhook == {
            "url": "https://a.example/telegram",
            "secret_token": SECRET,
            "allowed_updates": list(UPDATE_KINDS),
            "max_connections": "33",
        }
        assert {each["command"] for each in telegram.commands} == set(COMMANDS)
        told = run_module("app.bot", "info", **environ).stdout
        assert told == "bot      @JokerBot\nwebhook  https://a.example/telegram\nwaiting  0\n"
        assert run_module("app.bot", "delete-webhook", **environ).returncode == 0
        assert telegram.webhook == {}


def test_polling_answers_and_ends_with_ctrl_c(environ: dict[str, str]) -> None:
    as_channel: dict[str, Any] = {
        "from": {"id": 136817688, "is_bot": True, "first_name": "Channel"},
        "sender_chat": {"id": -501, "type": "channel", "title": "Channel"},
    }
    with Telegram().serving() as telegram:
        telegram.write(7, "Hello")
        telegram.write(8, "/help")
        mine = telegram.write(GROUP, "/start@JokerBot", user=8)
        for text in ("why, @JokerBot?", "/joke@JokerBot"):
            telegram.write(GROUP, None, user=8, caption=text, caption_entities=entities(text), reply_to_message=mine)
        telegram.write(GROUP, "/joke@JokerBot", **as_channel)
        out = poll(telegram, environ)
        assert out.startswith("@JokerBot is listening")
        assert [len(telegram.said(chat)) for chat in (7, 8, GROUP)] == [1, 1, 4]


@pytest.mark.parametrize(
    ("arguments", "changes", "said"),
    [
        (["info"], {"TELEGRAM_TOKEN": ""}, "TELEGRAM_TOKEN is empty: set it to the token that @BotFather gave you."),
        (["info"], {"TELEGRAM_TOKEN": "1:wrong"}, "Telegram does not know this TELEGRAM_TOKEN: copy it again"),
        (["info"], {"TELEGRAM_TOKEN": "abc/d"}, "TELEGRAM_TOKEN is not what it should be, and should be the token"),
        (["poll"], {}, "a webhook is set, so updates go there"),
        (["info"], {"TELEGRAM_API_URL": "http://127.0.0.1:9"}, "http://127.0.0.1:9 cannot be reached"),
        (["set-webhook", "https://a.example"], {"TELEGRAM_SECRET": ""}, "TELEGRAM_SECRET is empty and TELEGRAM_TOKEN is not"),
        (["set-webhook", "a.example"], {}, "'a.example' is not a URL: give the service's"),
    ],
)  # fmt: skip
def test_an_error_is_one_line(
    environ: dict[str, str], arguments: list[str], changes: dict[str, str], said: str
) -> None:
    with Telegram().serving() as telegram:
        telegram.webhook = {"url": "https://a.example/telegram"}
        ended = run_module("app.bot", *arguments, **environ | {"TELEGRAM_API_URL": telegram.url} | changes)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(f"error: {said}")
    assert ended.stderr.count("\n") == 1
    assert TOKEN not in ended.stderr
    assert "abc/d" not in ended.stderr
