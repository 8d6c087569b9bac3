"""What every reply has to be, whatever was asked."""

from __future__ import annotations

import json
import re
from typing import NoReturn

from tests.robustness.raw_request import RawReply, RawRequest

# What a request that is carried out may be answered with.
KINDS = {
    "application/json", "text/event-stream", "application/x-ndjson", "text/html", "text/css", "text/javascript",
    "application/javascript", "image/png", "image/svg+xml", "application/manifest+json", "text/plain",
    "application/openmetrics-text",
}  # fmt: skip
WITHOUT_CONTENT = (204, 304)


def problem_of(request: RawRequest, reply: RawReply) -> str:
    """The kind of what is wrong with a reply, or nothing."""
    headers = reply.headers
    if reply.status >= 500 and not (reply.status == 503 and "retry-after" in headers):
        return f"an answer of {reply.status}"
    if headers.get("access-control-allow-origin") != "*":
        return "no CORS header"
    if not re.fullmatch(r"[\w.:-]{1,128}", headers.get("x-request-id", "")):
        return "no request id"
    if request.method == b"HEAD" or reply.status in WITHOUT_CONTENT:
        return "a reply with content that may have none" if reply.content else ""
    return wrong_content(request, reply)


def wrong_content(request: RawRequest, reply: RawReply) -> str:
    kind = reply.headers.get("content-type", "").partition(";")[0]
    if reply.status == 200 and not reply.content and "content-type" not in reply.headers:
        return ""  # An update of Telegram's that is acknowledged.
    if kind not in KINDS:
        return f"the content type {kind!r}"
    if reply.status >= 400 and kind != "application/json":
        # For a browser. /plain is a page for everybody.
        wanted = "text/html" in request.header(b"accept").lower() or "/plain" in request.path
        return "" if kind == "text/html" and wanted else f"a refusal as {kind}"
    try:
        texts = pieces(kind, reply.content)
        objects = [json.loads(text, parse_constant=no_constant) for text in texts]
    except ValueError:
        return f"{kind} that is none"
    if reply.status >= 400:
        return "" if is_error(objects[0]) else "a refusal that is no error object"
    return "an error within an answer" if any("went wrong here" in text for text in texts) else ""


def pieces(kind: str, content: bytes) -> list[str]:
    """The JSON texts of a reply. Raises ValueError if it is not UTF-8, or its events are none."""
    if kind == "application/json":
        return [content.decode()]
    if kind == "application/x-ndjson":
        return content.decode().splitlines()
    if kind == "text/event-stream":
        events = re.findall(r"(?:event: [\w.]+\n)?data: (.*)\n\n", content.decode())
        if not events:
            raise ValueError(content)
        return [event for event in events if event != "[DONE]"]
    return []


def no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def is_error(value: object) -> bool:
    """Whether this is an error in words: an object with a message, or with a sentence, as each protocol has it."""
    error = value.get("error") if isinstance(value, dict) else None
    said = error.get("message") if isinstance(error, dict) else error
    return isinstance(said, str) and said.endswith(".")
