"""The query string and the JSON body: what is ambiguous, too large or too slow is refused."""

from __future__ import annotations

import gzip
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from app.engine.fake import FakeEngine
from tests.api.error_checks import assert_error
from tests.conftest import serving


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(FakeEngine()) as address:
        yield address


def test_nan_and_infinity_are_not_json(url: str) -> None:
    for word in ("NaN", "Infinity", "-Infinity"):
        assert_error(httpx.post(url, content=f'{{"temperature": {word}}}'), 400, None)


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'"text"', b"5", b"null", b"length=5", b"[" * 100_000, b"\xff\xfe", b'{"prefix": "\xff"}']
)
def test_a_body_that_is_no_json_object(url: str, body: bytes) -> None:
    assert_error(httpx.post(url, content=body), 400, None)


def test_a_byte_order_mark_is_no_part_of_the_body(url: str) -> None:
    assert httpx.post(url, content=b'\xef\xbb\xbf{"length": 3}').json()["usage"]["completion_tokens"] == 3
    assert httpx.post(url, content=b"\xef\xbb\xbf").status_code == 200


def test_a_compressed_body_is_refused(url: str) -> None:
    """Seen: "the body is not UTF-8", which the sender cannot see."""
    reply = httpx.post(url, content=gzip.compress(b"{}"), headers={"Content-Encoding": "gzip"})
    assert "the body is compressed (gzip)" in str(assert_error(reply, 400, None)["message"])
    for none in ("identity", "Identity", ""):
        assert httpx.post(url, content=b"{}", headers={"Content-Encoding": none}).status_code == 200


def test_a_field_given_twice(url: str) -> None:
    assert_error(httpx.get(f"{url}/?length=5&length=6"), 400, "length")
    assert_error(httpx.post(url, content=b'{"length": 5, "length": 6}'), 400, "length")


def test_a_post_with_a_query(url: str) -> None:
    assert_error(httpx.post(f"{url}/?length=5", json={"length": 5}), 400, "length")


def test_broken_utf_8_and_half_characters(url: str) -> None:
    assert_error(httpx.get(f"{url}/?prefix=%ff%fe"), 400, None)
    assert_error(httpx.post(url, content=b'{"prefix": "\\ud83d"}'), 400, "prefix")
    assert_error(httpx.post(url, content=b'{"stop": ["\\ud83d"]}'), 400, "stop")


@pytest.mark.parametrize(
    ("path", "status"), [("/", 400), ("/generate_stream", 422), ("/v1/chat/completions", 400), ("/api/chat", 400)]
)
def test_what_json_can_express_and_nothing_can_hold(url: str, path: str, status: int) -> None:
    """Seen on /generate_stream: 500, since its fields were read in a way that calls itself for each level of a list."""
    deep = '{"stop": ' + "[" * 900 + "]" * 900 + "}"
    for body in (deep, '{"stop": "\\ud800"}', '{"\\ud800": null}', '{"a": {"\\udc00": 1}}', '{"stop": 1e400}'):
        reply = httpx.post(url + path, content=body)
        assert reply.status_code == status, body
    said = httpx.post(url, content='{"length": ' + "9" * 5000 + "}").json()["error"]["message"]
    assert said.startswith("the body is not JSON (a number has thousands of digits)")


def test_a_body_over_the_limit(url: str) -> None:
    assert_error(httpx.post(url, content=b" " * 300_000), 413, None)
    assert_error(httpx.post(url, content=(b" " * 1000 for _ in range(300))), 413, None)


def test_a_slow_sender_of_a_body_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.api.body.RECEIVE_SECONDS", 0.3)
    with serving(FakeEngine()) as url:
        address = urlsplit(url)
        with socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=10) as connection:
            connection.sendall(b'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{"length"')
            assert b"408" in connection.recv(1000).split(b"\r\n")[0]
