"""The client of Telegram's Bot API: python-telegram-bot, with errors that say whether a call may have been carried out."""

from __future__ import annotations

import logging
from typing import Any

import httpx
import msgspec
from telegram import Bot
from telegram.error import NetworkError
from telegram.request import HTTPXRequest

from app.settings import Settings

# With these errors the request cannot have reached the server.
UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
# Seconds to wait after a 429 that does not say how long.
DEFAULT_RETRY_AFTER = 2.0


class NotCarriedOut(NetworkError):
    """Telegram did not carry out the call. Trying again can help, after `retry_after` seconds if Telegram names them."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class PerhapsCarriedOut(NetworkError):
    """The connection broke, or a gateway gave up, after the call was sent. Trying again may do it twice."""


def open_client(settings: Settings) -> Bot:
    """A client that has sent no request yet, not even for its own name."""
    silence_libraries()
    request = ClassifyingRequest(connection_pool_size=128, read_timeout=15.0, connect_timeout=5.0, pool_timeout=5.0)
    address = settings.telegram_api_url.rstrip("/")
    return Bot(settings.telegram_token, f"{address}/bot", request=request, get_updates_request=request)


def silence_libraries() -> None:
    """Their log lines hold URLs, which contain the token, and what people write."""
    for name in ("telegram", "httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


class ClassifyingRequest(HTTPXRequest):
    """The library's transport. It sees the status and the cause of an error, which the library's own exceptions blur."""

    async def do_request(self, *arguments: Any, **options: Any) -> tuple[int, bytes]:
        """Raises NotCarriedOut, PerhapsCarriedOut."""
        try:
            status, payload = await super().do_request(*arguments, **options)
        except NetworkError as error:
            unsent = isinstance(error.__cause__, UNSENT)
            raise (NotCarriedOut if unsent else PerhapsCarriedOut)(error.message) from error
        if status == httpx.codes.TOO_MANY_REQUESTS:
            wait = retry_after(payload)
            raise NotCarriedOut(f"Too Many Requests: retry after {wait:g} s", wait)
        if status == httpx.codes.GATEWAY_TIMEOUT:
            raise PerhapsCarriedOut("Gateway Timeout")
        if status >= 500:
            raise NotCarriedOut(f"HTTP status {status}")
        return status, payload


def retry_after(payload: bytes) -> float:
    """The seconds that Telegram asks to wait, from the body of a 429."""
    try:
        return float(msgspec.json.decode(payload)["parameters"]["retry_after"])
    except (msgspec.DecodeError, KeyError, TypeError, ValueError):
        return DEFAULT_RETRY_AFTER
