"""The app and a Bot API server, both real and on loopback."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.engine.base import Engine
from app.engine.fake import FakeEngine
from tests.conftest import serving
from tests.telegram import SECRET, TOKEN, Telegram

SECRET_HEADER = {"X-Telegram-Bot-Api-Secret-Token": SECRET}
MESSAGE = {
    "message_id": 1,
    "date": 1,
    "chat": {"id": 7, "type": "private"},
    "from": {"id": 7, "is_bot": False, "first_name": "A"},
}
JOKE = " Why did the duck stop?\n[ANSWER] It had a bill to pay.\n[QUESTION]"


@contextlib.contextmanager
def bot(*engines: Engine, telegram: Telegram | None = None, **changes: Any) -> Iterator[Telegram]:
    """The app with a bot, known to the Bot API server that this yields. Votes are kept where `feedback` says, else nowhere."""
    with (telegram or Telegram()).serving() as api:
        settings = {"telegram_token": TOKEN, "telegram_secret": SECRET, "telegram_api_url": api.url, "feedback": ""}
        with serving(*(engines or (FakeEngine(JOKE, template="qa"),)), **settings | changes) as url:
            api.webhook = {"url": f"{url}/telegram", "secret_token": SECRET}
            yield api
            api.settle()


@pytest.fixture
def store(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/feedback.db"
