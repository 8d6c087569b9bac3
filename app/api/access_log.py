"""The access log: one line for each request, its id, and the counts for `/metrics`.

The line is written with the last byte of the reply. Every reply carries X-Request-Id, which is the client's own if it sent one.
Paths are logged without their queries, since queries hold what people write.
"""

from __future__ import annotations

import logging
import re
import time
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from starlette.datastructures import MutableHeaders
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.ids import new_id
from app.log import current_trace, read_trace

log = logging.getLogger(__name__)
# Machines ask for these all the time.
QUIET_PATHS = ("/health", "/metrics")
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")
# The client left before the reply was finished: nginx's code for it.
CLIENT_LEFT = 499
SHOWN_CHARACTERS = 200


class RequestLabels(NamedTuple):
    """What requests are counted by. Each label has few values: `path` is that of a route, or "other"."""

    method: str
    path: str
    status: int


class AccessLog:
    """Outermost middleware, so that it sees every reply as it is sent."""

    def __init__(self, app: ASGIApp, counts: Counter[RequestLabels]) -> None:
        self._app = app
        self._counts = counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # Never reset: each request has a context of its own, and uvicorn's last lines about it belong to the trace, too.
        current_trace.set(read_trace(scope["headers"]))
        record = RequestRecord(scope, self._counts)

        async def recorded_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = record.id
                # No browser takes a reply for something else than it says, whatever is in it.
                headers["X-Content-Type-Options"] = "nosniff"
            record.see(message)
            await send(message)

        try:
            await self._app(scope, receive, recorded_send)
        except Exception:
            # Starlette raises an exception again after it has answered 500 and logged it. The others are for uvicorn to log.
            if not record.ended:
                record.end(500)
                raise
        finally:
            record.end(CLIENT_LEFT)


class RequestRecord:
    """What is known about one request, until its line is written."""

    def __init__(self, scope: Scope, counts: Counter[RequestLabels]) -> None:
        self.ended = False
        self.id = request_id(scope["headers"])
        self._scope = scope
        self._counts = counts
        self._began = time.monotonic()
        self._status = 0
        self._size = 0

    def see(self, message: Message) -> None:
        """Note a part of the reply. The line is written before the last part is sent.

        After the last part, Cloud Run takes the processor away.
        """
        if message["type"] == "http.response.start":
            self._status = message["status"]
        elif message["type"] == "http.response.body":
            if self._scope["method"] != "HEAD":
                self._size += len(message.get("body", b""))
            if not message.get("more_body", False):
                self.end(self._status)

    def end(self, status: int) -> None:
        """Count the request and write its line. Only the first call has an effect."""
        if self.ended:
            return
        self.ended = True
        labels = self._labels(status)
        self._counts[labels] += 1
        level = logging.DEBUG if labels.path in QUIET_PATHS else severity(status)
        if log.isEnabledFor(level):
            self._write(level, status)

    def _labels(self, status: int) -> RequestLabels:
        route, method = self._scope.get("route"), self._scope["method"]
        path = route.path if isinstance(route, Route) else "other"
        return RequestLabels(method if method in METHODS else "other", path, status)

    def _write(self, level: int, status: int) -> None:
        seconds = time.monotonic() - self._began
        scope, path = self._scope, self._scope["raw_path"].decode("latin-1")[:SHOWN_CHARACTERS]
        # https://cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry#HttpRequest
        method = scope["method"][:SHOWN_CHARACTERS]
        request = {
            "requestMethod": method,
            "requestUrl": path,
            "status": status,
            "responseSize": str(self._size),
            "latency": f"{seconds:.3f}s",
            "protocol": f"HTTP/{scope['http_version']}",
            "userAgent": header(scope["headers"], b"user-agent")[:SHOWN_CHARACTERS],
        }
        line = f"{method} {path} {status} in {seconds:.3f} s"
        log.log(level, "%s", line, extra={"http_request": request, "request_id": self.id})


def header(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> str:
    """The first header of this name, empty if there is none."""
    return next((value for key, value in headers if key == name), b"").decode("latin-1")


def request_id(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The client's id of the request if it is safe to log, else a new one."""
    sent = header(headers, b"x-request-id")
    return sent if re.fullmatch(r"[\w.:-]{1,128}", sent, re.ASCII) else new_id()


def severity(status: int) -> int:
    return logging.INFO if status < 400 else logging.WARNING if status < 500 else logging.ERROR
