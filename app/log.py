"""The log: one JSON object a line, as Cloud Logging reads it, or plain lines for people.

Prompts and answers never appear in it. An exception is therefore logged by its type and its stack, without its message, which
may quote a request. Lines that are written while a request is answered carry the request's trace.
"""

from __future__ import annotations

import io
import logging
import re
import sys
import traceback
from collections.abc import Iterable
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

# TRACE/SPAN;o=OPTIONS, with the span in decimal, and all but the trace optional: https://cloud.google.com/trace/docs/trace-context
CLOUD_TRACE = re.compile(rb"(?P<id>[0-9a-f]{32})(?:/(?P<span>\d{0,20}))?(?:;o=(?P<options>\d{0,3}))?", re.IGNORECASE)
TRACEPARENT = re.compile(rb"[0-9a-f]{2}-(?P<id>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-(?P<options>[0-9a-f]{2})(?:-.*)?")


class Trace(NamedTuple):
    """The trace that a request belongs to, in Cloud Trace's terms. `span` is sixteen hexadecimal digits, or empty."""

    id: str
    span: str
    sampled: bool


current_trace: ContextVar[Trace | None] = ContextVar("current_trace", default=None)


def read_trace(headers: Iterable[tuple[bytes, bytes]]) -> Trace | None:
    """The trace in X-Cloud-Trace-Context, which Google's front end sets, or else in the W3C's traceparent header."""
    found = {name: value for name, value in headers if name in (b"x-cloud-trace-context", b"traceparent")}
    if cloud := CLOUD_TRACE.fullmatch(found.get(b"x-cloud-trace-context", b"")):
        span = int(cloud["span"] or 0)
        digits = f"{span:016x}" if 0 < span < 2**64 else ""
        return Trace(cloud["id"].decode().lower(), digits, bool(int(cloud["options"] or 0) & 1))
    if parent := TRACEPARENT.fullmatch(found.get(b"traceparent", b"")):
        return Trace(parent["id"].decode(), parent["span"].decode(), bool(int(parent["options"], 16) & 1))
    return None


class PlainFormatter(logging.Formatter):
    """Lines such as: 12:34:56 INFO GET / 200 in 0.123 s."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S")

    def formatException(self, ei: Any) -> str:  # noqa: N802  # logging's name.
        return stack(ei[1])


class JsonFormatter(logging.Formatter):
    """Cloud Logging's entries: https://cloud.google.com/logging/docs/structured-logging#structured_logging_special_fields."""

    def __init__(self, project: str = "") -> None:
        super().__init__()
        self._traces = f"projects/{project}/traces/" if project else ""

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage().strip()
        if record.exc_info and record.exc_info[1]:
            # Error Reporting looks for the stack in the message.
            message = f"{message}\n{stack(record.exc_info[1])}"
        time = datetime.fromtimestamp(record.created, UTC)
        entry: dict[str, Any] = {"severity": record.levelname, "message": message, "time": time}
        if trace := current_trace.get():
            entry["logging.googleapis.com/trace"] = self._traces + trace.id
            if trace.span:
                entry["logging.googleapis.com/spanId"] = trace.span
            entry["logging.googleapis.com/trace_sampled"] = trace.sampled
        if request := getattr(record, "http_request", None):
            entry["httpRequest"] = request
            entry["logging.googleapis.com/labels"] = {"request_id": record.__dict__["request_id"]}
        return msgspec.json.encode(entry).decode()


def stack(error: BaseException) -> str:
    """An exception's traceback as Python prints it, without the messages."""
    earlier = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    parts = [stack(earlier), "\nDuring its handling, or because of it:\n\n"] if earlier else []
    parts += [
        "Traceback (most recent call last):\n",
        *traceback.format_tb(error.__traceback__),
        type(error).__qualname__,
    ]
    return "".join(parts)


def configure_logging(level: str, as_json: bool, project: str = "") -> None:
    """Send the log to standard output at `level`. Other libraries log warnings and worse only.

    Below warnings they log addresses and request bodies.
    """
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter(project) if as_json else PlainFormatter())
    logging.basicConfig(handlers=[handler], level=max(logging.WARNING, getattr(logging, level.upper())), force=True)
    for name in ("app", "uvicorn"):
        logging.getLogger(name).setLevel(level.upper())


def write_utf_8() -> None:
    """Encode what is printed as UTF-8, whatever the locale says: a log line that cannot be encoded would be lost."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def fatal_line(error: Exception, as_json: bool) -> str:
    """The one line that a process prints when it cannot start."""
    if not as_json:
        return f"error: {error}"
    return msgspec.json.encode({"severity": "CRITICAL", "message": str(error), "time": datetime.now(UTC)}).decode()
