"""How the tests check an error reply."""

from __future__ import annotations

import httpx


def assert_error(
    reply: httpx.Response, status: int, param: str | None, kind: str = "invalid_request_error"
) -> dict[str, object]:
    """Check the error object, which pages of other origins may read. Returns it."""
    error: dict[str, object] = reply.json()["error"]
    assert (reply.status_code, error["param"], error["type"]) == (status, param, kind), reply.text
    assert {"message", "type", "param", "code"} <= set(error)
    assert str(error["message"]).endswith(".")
    assert reply.headers["access-control-allow-origin"] == "*"
    return error
