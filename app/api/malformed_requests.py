"""Malformed requests: what is not HTTP gets an error object, too, with advice where there is any.

app.http_protocol notes h11's error as `scope["malformed"]`.
"""

from __future__ import annotations

import h11
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.error_responses import error_response
from app.errors import HeadersTooLarge, InvalidRequest, RequestError

# The beginning of h11's or app.http_protocol's message, and what it means for a person.
ADVICE = {
    "TLS": "this port speaks HTTP and was asked in HTTPS: write http:// in the address.",
    "HTTP/2": "this port speaks HTTP/1.1 and was asked in HTTP/2: use HTTP/1.1.",
    "illegal request line": "the first line is not METHOD ADDRESS HTTP/1.1: percent-encode spaces and the like in the address.",
    "no request line": "the first line is empty: begin with METHOD ADDRESS HTTP/1.1.",
    "illegal header line": "a header is malformed: write NAME: VALUE, without a space before the colon.",
    "continuation line": "the first header begins with a space: write NAME: VALUE.",
    "Missing mandatory Host": "the Host header is missing: send one, such as Host: localhost.",
    "Found multiple Host": "the Host header is there more than once: send one.",
    "conflicting Content-Length": "the Content-Length headers contradict each other: send one.",
    "bad Content-Length": "Content-Length is not a number of bytes: send the length of the body.",
    "Content-Length and Transfer-Encoding": "Content-Length and Transfer-Encoding are both there: send one of them.",
    "multiple Transfer-Encoding": "Transfer-Encoding is there more than once: send one, `chunked`.",
    "Only Transfer-Encoding": "Transfer-Encoding may only be `chunked`: send the body in chunks, or with Content-Length.",
    "illegal chunk header": "a chunk of the body does not begin with its size: send the body with Content-Length.",
    "malformed chunk footer": "a chunk of the body is not as long as it says: send the body with Content-Length.",
}


class MalformedMiddleware:
    """Answers requests that could not be parsed."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        error = scope.get("malformed")
        await (error_response(refused(error)) if error else self._app)(scope, receive, send)


def refused(error: h11.RemoteProtocolError) -> RequestError:
    """The reply to what h11 refuses. It quotes nothing, since that may be what people write."""
    if error.error_status_hint == 431:
        advice = "the address and the headers are too long: send long texts in the body of a POST, and fewer headers."
        return HeadersTooLarge(advice, code="headers_too_large")
    advice = next((said for start, said in ADVICE.items() if str(error).startswith(start)), "this is not HTTP/1.1.")
    return InvalidRequest(advice, code="malformed_request")
