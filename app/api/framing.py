"""Framing: how the objects of a stream become bytes, as server-sent events or as lines of JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

# nginx would otherwise collect the events before it sends them on.
HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


class Framing(NamedTuple):
    """`frame` writes one object, which has no line breaks of its own as JSON. `done` ends a stream that is complete."""

    media_type: str
    frame: Callable[[Any], bytes]
    done: bytes = b""


def event(data: object) -> bytes:
    return b"data: " + msgspec.json.encode(data) + b"\n\n"


def typed_event(data: TypedEvent) -> bytes:
    return b"event: " + data.type.encode() + b"\n" + event(data)


def line(data: object) -> bytes:
    return msgspec.json.encode(data) + b"\n"


class TypedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event that says what it is: the first line of its frame repeats its type."""

    type: str


# https://html.spec.whatwg.org/multipage/server-sent-events.html
EVENTS = Framing("text/event-stream", event)
EVENTS_UNTIL_DONE = Framing("text/event-stream", event, b"data: [DONE]\n\n")
"""As in OpenAI's API."""
TYPED_EVENTS = Framing("text/event-stream", typed_event)
LINES = Framing("application/x-ndjson", line)
