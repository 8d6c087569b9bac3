"""Every error is an error object with its own status, and the server stays up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import NoReturn

import httpx
import pytest

from app.engine.fake import FakeEngine
from tests.api.breaking_engine import BreakingEngine
from tests.api.error_checks import assert_error
from tests.conftest import events, serving


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(FakeEngine()) as address:
        yield address


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "BREW"])
def test_a_wrong_method(url: str, method: str) -> None:
    reply = httpx.request(method, url)
    assert_error(reply, 405, None)
    assert "GET" in reply.headers["allow"]


def test_an_unknown_path_and_an_unknown_model(url: str) -> None:
    assert_error(httpx.get(f"{url}/nothing"), 404, None, "not_found_error")
    assert_error(httpx.get(f"{url}/?model=gpt-5"), 404, "model", "not_found_error")


def test_an_unexpected_exception_is_an_error_object_too() -> None:
    class Broken(FakeEngine):
        def slots(self, count: int, positions: int) -> NoReturn:
            raise ZeroDivisionError

    with serving(Broken()) as url:
        for ask in ({}, {"stream": True}):
            assert_error(httpx.post(url, json=ask), 500, None, "server_error")
        assert httpx.get(f"{url}/health").status_code == 200


def test_only_named_origins_may_read_an_unexpected_error() -> None:
    """Seen: `*`, whatever CORS_ORIGINS said, because this reply is sent from outside of what adds the header."""

    class Broken(FakeEngine):
        def slots(self, count: int, positions: int) -> NoReturn:
            raise ZeroDivisionError

    with serving(Broken(), cors_origins="https://a.example") as url:
        for origin, allowed in (
            ("https://a.example", "https://a.example"),
            ("https://b.example", None),
            ("\xff", None),
        ):
            reply = httpx.post(url, json={}, headers={b"Origin": origin.encode("latin-1")})
            assert (reply.status_code, reply.headers.get("access-control-allow-origin")) == (500, allowed)


@pytest.mark.parametrize("origins", ["*", "https://a.example"])
def test_a_preflight_with_any_bytes_is_allowed_without_a_text_or_refused_in_an_error_object(origins: str) -> None:
    """Seen: text/plain, which is no answer of this API."""
    with serving(FakeEngine(), cors_origins=origins) as url:
        for origin, method, header in (
            (b"\xff", b"GET", b"a"),
            (b"https://a.example", b"\xff", b"a"),
            (b"https://a.example", b"GET", b"\xff, \xfe"),
            (b"", b"", b""),
        ):
            asked = {
                b"Origin": origin,
                b"Access-Control-Request-Method": method,
                b"Access-Control-Request-Headers": header,
            }
            reply = httpx.options(f"{url}/version/%ff", headers=asked)
            if reply.status_code == 204:
                assert (reply.content, "content-type" in reply.headers) == (b"", False)
            else:
                assert (reply.status_code, reply.json()["error"]["code"]) == (403, "origin_not_allowed")
            assert len(reply.headers["x-request-id"]) == 32


def test_an_exception_in_the_middle_of_a_stream_is_its_last_event() -> None:
    """Many clients would take a stream that just breaks off for a complete one."""
    with serving(BreakingEngine()) as url:
        last = json.loads(events(httpx.get(f"{url}/?stream=true").text)[-1])
        assert last["error"]["type"] == "server_error"
        assert httpx.get(f"{url}/?length=1").status_code == 200
