"""A refusal arrives at a client that is still sending, which sees a reset if the connection is closed too early."""

from __future__ import annotations

import contextlib
import http.client
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import requests

from app.engine.fake import FakeEngine
from tests.conftest import serving

BODY = b" " * 10_000_000


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(FakeEngine(), api_keys="k", rate_limit=1000) as address:
        yield address


def chunks() -> Iterator[bytes]:
    return (BODY[start : start + 65536] for start in range(0, len(BODY), 65536))


def by_urllib(url: str, key: str) -> int:
    """It sends everything before it reads, and asks for the connection to be closed."""
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(urllib.request.Request(url, BODY, {"X-Api-Key": key}), timeout=20)
    assert b'"error"' in refused.value.read()
    return refused.value.code


def by_requests(url: str, key: str) -> int:
    return requests.post(url, data=BODY, headers={"X-Api-Key": key, "Connection": "close"}, timeout=20).status_code


def by_requests_in_chunks(url: str, key: str) -> int:
    return requests.post(url, data=chunks(), headers={"X-Api-Key": key, "Connection": "close"}, timeout=20).status_code


def by_httpx(url: str, key: str) -> int:
    return httpx.post(url, content=BODY, headers={"X-Api-Key": key, "Connection": "close"}).status_code


def by_httpx_in_chunks(url: str, key: str) -> int:
    return httpx.post(url, content=chunks(), headers={"X-Api-Key": key}).status_code


def by_http_client(url: str, key: str) -> int:
    address = urlsplit(url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=20)
    connection.request("POST", address.path or "/", BODY, {"X-Api-Key": key, "Connection": "close"})
    with contextlib.closing(connection):
        return connection.getresponse().status


CLIENTS = [by_urllib, by_requests, by_requests_in_chunks, by_httpx, by_httpx_in_chunks, by_http_client]


@pytest.mark.parametrize("ask", CLIENTS)
@pytest.mark.parametrize(
    ("path", "key", "status"),
    [("/", "k", 413), ("/v1/completions", "wrong", 401), ("/nothing", "k", 404), ("/health", "k", 405)],
)
def test_a_refusal_arrives(url: str, path: str, key: str, status: int, ask: Callable[[str, str], int]) -> None:
    """Seen with urllib: `Connection reset by peer` instead of the 413."""
    assert ask(url + path, key) == status


def test_a_client_over_its_rate_is_told_so() -> None:
    with serving(FakeEngine(), rate_limit=1) as url:
        assert [by_urllib(url, "") for _ in range(2)] == [413, 429]


@pytest.mark.parametrize("option", ["Expect: 100-continue", "Expect:", "Transfer-Encoding: chunked"])
def test_curl_sees_the_refusal(url: str, option: str, tmp_path: Path) -> None:
    file = tmp_path / "body"
    file.write_bytes(BODY)
    command = ["curl", "-sS", "-H", option, "-H", "X-Api-Key: k", "--data-binary", f"@{file}", url]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert '"code":"body_too_large"' in ended.stdout, ended.stderr


def open_connection(url: str) -> socket.socket:
    address = urlsplit(url)
    return socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=10)


def test_a_body_that_is_not_wanted_is_not_asked_for(url: str) -> None:
    """A client that waits for `100 Continue` gets the refusal instead, and its connection is not used again."""
    head = b"POST / HTTP/1.1\r\nHost: a\r\nX-Api-Key: k\r\nExpect: 100-continue\r\nContent-Length: "
    with open_connection(url) as connection:
        connection.sendall(head + b"10000000\r\n\r\n")
        reply = connection.recv(5000)
    assert reply.startswith(b"HTTP/1.1 413")
    assert b"connection: close" in reply.lower()
    with open_connection(url) as connection:
        connection.sendall(head + b"2\r\n\r\n")
        assert connection.recv(5000).startswith(b"HTTP/1.1 100")
        connection.sendall(b"{}")
        assert connection.recv(5000).startswith(b"HTTP/1.1 200")


def test_a_connection_is_kept_after_a_refusal_with_a_small_body(url: str) -> None:
    """Only what may be long costs a connection."""
    address = urlsplit(url)
    with contextlib.closing(http.client.HTTPConnection(str(address.hostname), address.port, timeout=20)) as connection:
        for _ in range(3):
            connection.request("POST", "/v1/completions", b'{"prompt": "Why"}')
            reply = connection.getresponse()
            assert (reply.status, reply.getheader("Connection")) == (401, None)
            reply.read()
            assert connection.sock is not None


def test_an_endless_body_is_cut_off(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.api.unread_body.READ_ON_BYTES", 1_000_000)
    with open_connection(url) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nX-Api-Key: k\r\nContent-Length: 99999999999\r\n\r\n")
        with pytest.raises(OSError, match=r"reset|[Bb]roken pipe"):
            connection.sendall(b" " * 100_000_000)


@pytest.mark.parametrize("limit", ["READ_ON_SECONDS", "PAUSE_SECONDS"])
def test_a_client_that_stops_sending_is_let_go(url: str, limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"app.api.unread_body.{limit}", 0.3)
    with open_connection(url) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nX-Api-Key: k\r\nContent-Length: 99999999999\r\n\r\n")
        began = time.monotonic()
        received = b""
        while piece := connection.recv(5000):
            received += piece
    assert b"body_too_large" in received
    assert time.monotonic() - began < 5
