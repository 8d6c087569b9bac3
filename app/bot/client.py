"""The client of Telegram's Bot API: python-telegram-bot, with errors that say whether a call may have been carried out."""

from __future__ import annotations

import logging
import re
from typing import Any

import httpx
import msgspec
from telegram import Bot
from telegram.error import BadRequest, Conflict, InvalidToken, NetworkError, TelegramError
from telegram.request import HTTPXRequest

from app.network import check_certificates, find_proxy
from app.settings import Settings

# With these errors the request cannot have reached the server. A ProxyError means that the proxy did not connect to it.
UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
# Seconds to wait after a 429 that does not say how long.
DEFAULT_RETRY_AFTER = 2.0
# Seconds to wait for the answer to a call: less than what is kept for sending at the end of an update's time.
READ_SECONDS = 8.0
# Characters of an answer that an error message may quote.
MAX_QUOTED = 200


class NotCarriedOut(NetworkError):
    """Telegram did not carry out the call. Trying again can help, after `retry_after` seconds if Telegram names them."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class PerhapsCarriedOut(NetworkError):
    """The connection broke, or a gateway gave up, after the call was sent. Trying again may do it twice."""


def open_client(settings: Settings) -> Bot:
    """A client that has sent no request yet, not even for its own name. Raises SettingError."""
    silence_libraries()
    check_certificates()
    proxy = find_proxy(settings.telegram_api_url, "httpx")
    request = ClassifyingRequest(
        connection_pool_size=128,
        read_timeout=READ_SECONDS,
        connect_timeout=3.0,
        pool_timeout=3.0,
        proxy=proxy.address if proxy else None,
        # The proxy has been found. httpx itself would also read the variables that concern other hosts.
        httpx_kwargs={"trust_env": False, "verify": httpx.create_ssl_context()},
    )
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
            raise (NotCarriedOut if unsent else PerhapsCarriedOut)(str(error.__cause__) or error.message) from error
        except Exception as error:  # Such as an OverflowError for a port: no request can be made of it.
            raise NotCarriedOut(type(error).__name__) from error
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
        wait = float(msgspec.json.decode(payload)["parameters"]["retry_after"])
        return wait if wait >= 0 else DEFAULT_RETRY_AFTER
    except (msgspec.DecodeError, KeyError, TypeError, ValueError):
        return DEFAULT_RETRY_AFTER


def explain_failure(error: TelegramError, settings: Settings) -> str:
    """What to do about an error of Telegram's, in one sentence without the token."""
    if isinstance(error, InvalidToken):
        return "Telegram does not know this TELEGRAM_TOKEN: copy it again from @BotFather, and check TELEGRAM_API_URL."
    if isinstance(error, Conflict):
        return "another process fetches this bot's updates: stop it first."
    # The library quotes answers that are not Telegram's, such as a page that repeats the path, which holds the token.
    said = str(error).replace(settings.telegram_token.partition(":")[2], "…")[:MAX_QUOTED].removesuffix(".")
    refused = isinstance(error, BadRequest) or (isinstance(error, NotCarriedOut) and error.retry_after is not None)
    if refused or not isinstance(error, NetworkError):
        return f"Telegram refused: {said}."
    proxy = find_proxy(settings.telegram_api_url, "httpx")
    way = f"the proxy in {proxy.variable}" if proxy else "your network"
    if "CERTIFICATE_VERIFY_FAILED" in said:
        # A proxy that reads what passes has certificates of its own.
        way += ", whose certificates may be missing in SSL_CERT_FILE,"
    # A server of one's own may ask for a password in its address.
    address = re.sub(r"//[^/]*@", "//", settings.telegram_api_url)
    return f"{address} cannot be reached ({said}): check {way} and TELEGRAM_API_URL."
