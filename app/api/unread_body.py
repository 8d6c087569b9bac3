"""Unread bodies: a reply that comes before the end of the request is followed by a while of reading, so that it arrives.

A client that is still sending when the connection is closed sees a reset instead of the reply: many send everything first and
read afterwards. nginx calls this a lingering close.
"""

from __future__ import annotations

import asyncio
import contextlib

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.body import MAX_BODY
from app.api.malformed_requests import refused

# How long, how much, and how much has to arrive in how many seconds.
READ_ON_SECONDS = 30.0
READ_ON_BYTES = 2**29
LEAST_BYTES = 4096
PAUSE_SECONDS = 2.0


class UnreadBodyMiddleware:
    """Ends a reply only when the request has ended, or when it takes too long."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = RequestBody(scope, receive)

        async def send_and_read_on(message: Message) -> None:
            if body.unread and message["type"] == "http.response.start" and body.may_be_long:
                MutableHeaders(scope=message)["Connection"] = "close"
            if body.unread and message["type"] == "http.response.body" and not message.get("more_body", False):
                await send({**message, "more_body": True})
                await body.discard()
                message = {"type": "http.response.body"}
            await send(message)

        await self._app(scope, body.receive, send_and_read_on)


class RequestBody:
    """The body of a request as it arrives. `unread`: there may be more of it."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        headers = Headers(scope=scope)
        self._scope = scope
        self._receive = receive
        length = headers.get("content-length")
        self.unread = "malformed" in scope or "transfer-encoding" in headers or (length or "0") != "0"
        # A client that waits to be told to go on may send nothing, or the next request.
        self.may_be_long = "malformed" in scope or length is None or int(length) > MAX_BODY or "expect" in headers

    async def receive(self) -> Message:
        """The next message of ASGI. Raises InvalidRequest if the body is malformed from here on."""
        message = await self._receive()
        if error := self._scope.get("malformed"):
            self.may_be_long = True
            raise refused(error)
        self.unread = message.get("more_body", False)
        return message

    async def discard(self) -> None:
        """Read to the end, or to one of the limits."""
        size = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(READ_ON_SECONDS):
                while self.unread and size < READ_ON_BYTES:
                    async with asyncio.timeout(PAUSE_SECONDS):
                        size += await self._discard_some()

    async def _discard_some(self) -> int:
        """Read LEAST_BYTES or to the end. Returns how many were read."""
        size = 0
        while self.unread and size < LEAST_BYTES:
            message = await self._receive()
            size += len(message.get("body", b""))
            self.unread = message.get("more_body", False)
        return size
