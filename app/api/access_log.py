"""A line in the log for each request, written with the last byte of its answer, and the count of them for `/metrics`.

Every answer carries the request's id, X-Request-Id: the client's own where it sent one.

Paths come without their queries: those hold what people write, and that belongs in no log.
"""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from starlette.datastructures import MutableHeaders
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.log import current_trace, read_trace

log = logging.getLogger(__name__)
# Asked for over and over by machines.
QUIET = ("/health", "/metrics")
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")
# The client left; nginx calls it so.
LEFT = 499
SHOWN_CHARACTERS = 200


class Answered(NamedTuple):
    """What requests are counted by: few values each, whatever is asked. `path` is a route's, or "other"."""

    method: str
    path: str
    status: int


class Access:
    """Around everything else, so that it sees every answer as it goes out."""

    def __init__(self, app: ASGIApp, answered: Counter[Answered]) -> None:
        self._app = app
        self._answered = answered

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # Never reset: a request has a context of its own, and uvicorn's last words on it belong to the trace too.
        current_trace.set(read_trace(scope["headers"]))
        entry = Entry(scope, self._answered)

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["X-Request-Id"] = entry.id
            entry.see(message)
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception:
            # Starlette raises again what is answered with 500 and in the log already; the rest is uvicorn's to tell.
            if not entry.ended:
                entry.end(500)
                raise
        finally:
            entry.end(LEFT)


class Entry:
    """One request on its way to its line."""

    def __init__(self, scope: Scope, answered: Counter[Answered]) -> None:
        self.ended = False
        self.id = request_id(scope["headers"])
        self._scope = scope
        self._answered = answered
        self._began = time.monotonic()
        self._status = 0
        self._size = 0

    def see(self, message: Message) -> None:
        """Take note of a part of the answer. The line is written before the last part goes out.

        After it, Cloud Run takes the processor away.
        """
        if message["type"] == "http.response.start":
            self._status = message["status"]
        elif message["type"] == "http.response.body":
            if self._scope["method"] != "HEAD":
                self._size += len(message.get("body", b""))
            if not message.get("more_body", False):
                self.end(self._status)

    def end(self, status: int) -> None:
        """Write the line and count the request, the first time."""
        if self.ended:
            return
        self.ended = True
        route, method = self._scope.get("route"), self._scope["method"]
        path = route.path if isinstance(route, Route) else "other"
        method = method if method in METHODS else "other"
        self._answered[Answered(method, path, status)] += 1
        level = logging.DEBUG if path in QUIET else severity(status)
        if log.isEnabledFor(level):
            self._write(level, status)

    def _write(self, level: int, status: int) -> None:
        seconds = time.monotonic() - self._began
        scope, path = self._scope, self._scope["raw_path"].decode("latin-1")[:SHOWN_CHARACTERS]
        agent = next((value for name, value in scope["headers"] if name == b"user-agent"), b"").decode("latin-1")
        request = {
            "requestMethod": scope["method"],
            "requestUrl": path,
            "status": status,
            "responseSize": str(self._size),
            "latency": f"{seconds:.3f}s",
            "protocol": f"HTTP/{scope['http_version']}",
            "userAgent": agent[:SHOWN_CHARACTERS],
        }
        line = f"{scope['method']} {path} {status} in {seconds:.3f} s"
        log.log(level, "%s", line, extra={"http_request": request, "request_id": self.id})


def request_id(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """What the client calls the request, if that can be written into a log; else a new one."""
    sent = next((value for name, value in headers if name == b"x-request-id"), b"").decode("latin-1")
    return sent if re.fullmatch(r"[\w.:-]{1,128}", sent, re.ASCII) else secrets.token_hex(16)


def severity(status: int) -> int:
    return logging.INFO if status < 400 else logging.WARNING if status < 500 else logging.ERROR
