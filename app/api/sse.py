"""Server-sent events: how a stream is framed, with OpenAI's last event `[DONE]`.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

MEDIA_TYPE = "text/event-stream"
# nginx would otherwise collect the events before it sends them on.
HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
DONE = b"data: [DONE]\n\n"


def event(data: object) -> bytes:
    """One event with `data` as JSON, which has no line breaks of its own."""
    return b"data: " + msgspec.json.encode(data) + b"\n\n"


def events(data: Iterable[object]) -> bytes:
    return b"".join(map(event, data))
