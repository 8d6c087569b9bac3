"""The client of Telegram's Bot API: python-telegram-bot, with errors that say whether a call may have been carried out."""

from __future__ import annotations

import asyncio
import logging
import math
import re
from collections.abc import AsyncIterator, Awaitable
from typing import Any, TypeVar

import httpx
import msgspec
from telegram import Bot
from telegram.error import BadRequest, Conflict, InvalidToken, NetworkError, TelegramError
from telegram.request import HTTPXRequest, RequestData

from app.network import check_certificates, find_proxy
from app.settings import Settings

T = TypeVar("T")
# With these errors the request cannot have reached the server. A ProxyError means that the proxy did not connect to it.
UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
# Seconds to wait after a 429 that does not say how long.
DEFAULT_RETRY_AFTER = 2.0
# Seconds to wait for the answer to a call: less than what is kept for sending at the end of an update's time.
READ_SECONDS = 8.0
CONNECT_SECONDS = 3.0
UPLOAD_SECONDS = 20.0
CONNECTIONS = 128
# Bytes of an answer. The largest is a hundred updates.
MAX_ANSWER = 2**23
# Characters of an answer that an error message may quote.
MAX_QUOTED = 200


class NotCarriedOut(NetworkError):
    """Telegram did not carry out the call. Trying again can help, after `retry_after` seconds if Telegram names them."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class AnswerTooLarge(httpx.TransportError):
    """An answer has more bytes than any that is expected."""


class PerhapsCarriedOut(NetworkError):
    """The connection broke, or a gateway gave up, after the call was sent. Trying again may do it twice."""


def open_client(settings: Settings) -> Bot:
    """A client that has sent no request yet, not even for its own name. Raises SettingError."""
    silence_libraries()
    check_certificates()
    proxy = find_proxy(settings.telegram_api_url, "httpx")
    request = ClassifyingRequest(
        connection_pool_size=CONNECTIONS,
        read_timeout=READ_SECONDS,
        connect_timeout=CONNECT_SECONDS,
        pool_timeout=CONNECT_SECONDS,
        # The proxy has been found. httpx itself would also read the variables that concern other hosts.
        httpx_kwargs={"trust_env": False, "transport": BoundedTransport(proxy.address if proxy else None)},
    )
    address = settings.telegram_api_url.rstrip("/")
    return Bot(settings.telegram_token, f"{address}/bot", request=request, get_updates_request=request)


def silence_libraries() -> None:
    """Their log lines hold URLs, which contain the token, and what people write."""
    for name in ("telegram", "httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


class BoundedTransport(httpx.AsyncHTTPTransport):
    """Reads no more of an answer than MAX_ANSWER bytes, and decompresses none: they could become a thousand times as many."""

    def __init__(self, proxy: str | None) -> None:
        limits = httpx.Limits(max_connections=CONNECTIONS)
        super().__init__(verify=httpx.create_ssl_context(), proxy=proxy, limits=limits, trust_env=False)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.headers["Accept-Encoding"] = "identity"
        response = await super().handle_async_request(request)
        response.headers.pop("Content-Encoding", None)
        return httpx.Response(
            response.status_code,
            headers=response.headers,
            stream=BoundedStream(response.stream),
            extensions=response.extensions,
        )


class BoundedStream(httpx.AsyncByteStream):
    def __init__(self, stream: httpx.SyncByteStream | httpx.AsyncByteStream) -> None:
        assert isinstance(stream, httpx.AsyncByteStream)
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Raises AnswerTooLarge."""
        size = 0
        async for piece in self._stream:
            size += len(piece)
            if size > MAX_ANSWER:
                raise AnswerTooLarge(f"an answer of more than {MAX_ANSWER // 10**6} MB")
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()


class ClassifyingRequest(HTTPXRequest):
    """The library's transport. It sees the status and the cause of an error, which the library's own exceptions blur."""

    async def do_request(  # type: ignore[override]  # The others are passed on.
        self, url: str, method: str, request_data: RequestData | None = None, **options: Any
    ) -> tuple[int, bytes]:
        """Raises NotCarriedOut, PerhapsCarriedOut, which also say that the answer is not Telegram's."""
        # The library's timeouts are for each read. The whole answer is to come in the time of one.
        wanted = options.get("read_timeout")
        seconds = CONNECT_SECONDS + (wanted if isinstance(wanted, int | float) else READ_SECONDS)
        if request_data and request_data.contains_files:
            seconds += UPLOAD_SECONDS
        try:
            async with asyncio.timeout(seconds):
                status, payload = await super().do_request(url, method, request_data, **options)
        except TimeoutError as error:
            raise PerhapsCarriedOut(f"no whole answer within {seconds:g} s") from error
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
        if not is_of_telegram(payload) and status < 300:
            raise PerhapsCarriedOut("the answer is not one of Telegram's")
        return status, payload if is_of_telegram(payload) else b"{}"


NOTHING = msgspec.Raw()


class TelegramAnswer(msgspec.Struct):
    """What every answer of Telegram's has, and nothing else that a web server says."""

    ok: bool
    result: msgspec.Raw = NOTHING
    description: str = ""
    parameters: dict[str, int] | None = None


def is_of_telegram(payload: bytes) -> bool:
    try:
        answer = msgspec.json.decode(payload, type=TelegramAnswer)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return not answer.ok or answer.result != NOTHING


def retry_after(payload: bytes) -> float:
    """The seconds that Telegram asks to wait, from the body of a 429."""
    try:
        wait = float(msgspec.json.decode(payload)["parameters"]["retry_after"])
    except (msgspec.MsgspecError, LookupError, TypeError, ValueError, OverflowError, RecursionError):
        return DEFAULT_RETRY_AFTER
    return wait if 0 <= wait < math.inf else DEFAULT_RETRY_AFTER


async def understood(call: Awaitable[T]) -> T:
    """What a call of the library returns. Raises PerhapsCarriedOut for an answer that the library makes nothing of."""
    try:
        return await call
    except TelegramError:
        raise
    except Exception as error:  # The library checks nothing, so anything can be raised.
        raise PerhapsCarriedOut(f"the answer is not one of Telegram's ({type(error).__name__})") from error


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
