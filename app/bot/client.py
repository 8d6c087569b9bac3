"""Telegram's Bot API, through python-telegram-bot: patient with a server that asks to wait or is down for a moment."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import httpx
import msgspec
from telegram import Bot
from telegram.error import NetworkError
from telegram.request import HTTPXRequest

from app.bot.updates import handling
from app.settings import Settings

log = logging.getLogger(__name__)
# Tries and the seconds after each, where the server says none.
PAUSES = (0.5, 1.0, 2.0)
# What can be left out or comes too late anyway.
FLEETING = ("/sendMessageDraft", "/sendChatAction")
# The request cannot have reached the server.
UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)

# The message is there, or may be.
TAKEN = (httpx.codes.OK, httpx.codes.GATEWAY_TIMEOUT)

# Their lines hold addresses, in which the token is, and what people write.
for name in ("telegram", "httpx", "httpcore"):
    logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def open_client(settings: Settings) -> Bot:
    """A client that has asked for nothing yet, not even who it is."""
    request = Patient(connection_pool_size=128, read_timeout=15.0, connect_timeout=5.0, pool_timeout=5.0)
    address = settings.telegram_api_url.rstrip("/")
    return Bot(settings.telegram_token, f"{address}/bot", request=request, get_updates_request=request)


class Patient(HTTPXRequest):
    """Tries again what did not get through, for as long as the update at hand may take.

    A message that was sent without an answer is never sent again, since it may be there.
    """

    async def do_request(self, url: str, *arguments: Any, **options: Any) -> tuple[int, bytes]:
        for pause in (*PAUSES, None):
            try:
                status, payload = await super().do_request(url, *arguments, **options)
            except NetworkError as error:
                if not isinstance(error.__cause__, UNSENT):
                    note_answer(url)
                    raise
                if not await may_retry(url, pause):
                    raise
                continue
            if status in TAKEN:
                note_answer(url)
            wait = retry_after(payload) if status == httpx.codes.TOO_MANY_REQUESTS else pause
            if not passes(status) or not await may_retry(url, wait):
                return status, payload
        return status, payload


def passes(status: int) -> bool:
    """Whether it may be another one later."""
    return status == httpx.codes.TOO_MANY_REQUESTS or (status >= 500 and status not in TAKEN)


def note_answer(url: str) -> None:
    if url.endswith("/sendMessage") and (current := handling.get(None)):
        current.answered = True


async def may_retry(url: str, pause: float | None) -> bool:
    """Wait for so many seconds, if that leads anywhere."""
    current = handling.get(None)
    if pause is None or current is None or url.endswith(FLEETING):
        return False
    if asyncio.get_running_loop().time() + pause >= current.deadline:
        return False
    await asyncio.sleep(pause)
    return True


def retry_after(payload: bytes) -> float:
    """Seconds that Telegram asks to wait."""
    try:
        return float(msgspec.json.decode(payload)["parameters"]["retry_after"])
    except (msgspec.DecodeError, KeyError, TypeError, ValueError):
        return PAUSES[-1]
