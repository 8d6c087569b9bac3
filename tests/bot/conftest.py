"""The app and a Bot API server, both real and on loopback."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.engine.base import Engine
from app.engine.fake import FakeEngine
from tests.conftest import serving
from tests.fakes.bot_api import TOKEN, Fault
from tests.fakes.telegram import SECRET, Telegram

SECRET_HEADER = {"X-Telegram-Bot-Api-Secret-Token": SECRET}
MESSAGE = {
    "message_id": 1,
    "date": 1,
    "chat": {"id": 7, "type": "private"},
    "from": {"id": 7, "is_bot": False, "first_name": "A"},
}
JOKE = " Why did the duck stop?\n[ANSWER] It had a bill to pay.\n[QUESTION]"
SHOWN = "Why did the duck stop?\n\nIt had a bill to pay."
GROUP = -100


@contextlib.contextmanager
def bot(*engines: Engine, telegram: Telegram | None = None, **changes: Any) -> Iterator[Telegram]:
    """The app with a bot, connected to the Telegram that this yields. Votes are stored in `feedback`, if it is given."""
    with (telegram or Telegram()).serving() as api:
        settings = {"telegram_token": TOKEN, "telegram_secret": SECRET, "telegram_api_url": api.url, "feedback": ""}
        with serving(*(engines or (FakeEngine(JOKE, template="qa"),)), **settings | changes) as url:
            api.webhook = {"url": f"{url}/telegram", "secret_token": SECRET}
            yield api
            api.settle()


@pytest.fixture
def store(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/feedback.db"


def labels(message: dict[str, Any]) -> list[str]:
    rows = message.get("reply_markup", {"inline_keyboard": []})["inline_keyboard"]
    return [button["text"] for row in rows for button in row]


def ask(telegram: Telegram, text: str, chat: int = 7, **more: Any) -> dict[str, Any]:
    """Write a message, and return the bot's last one."""
    telegram.write(chat, text, **more)
    telegram.settle()
    return telegram.said(chat)[-1]


def press(telegram: Telegram, message: dict[str, Any], label: str, **more: Any) -> None:
    telegram.press(message, telegram.button(message, label), **more)
    telegram.settle()


def rows(store: str, query: str) -> list[Any]:
    with contextlib.closing(sqlite3.connect(store.removeprefix("sqlite:///"))) as connection:
        return connection.execute(query).fetchall()


class Failing:
    """The first `times` calls of this method go wrong."""

    def __init__(self, method: str, fault: Fault, times: int) -> None:
        self.method, self.fault, self.times = method, fault, times

    def __call__(self, method: str) -> Fault | None:
        if method != self.method or not self.times:
            return None
        self.times -= 1
        return self.fault


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.bot.outbox.PAUSES", (0.01, 0.01))
