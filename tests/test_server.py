"""The server: limits on request headers, and an orderly end after SIGTERM."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from app.engine.fake import FakeEngine
from tests.conftest import events, process, serving


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(FakeEngine()) as address:
        yield address


def test_a_slow_sender_of_headers_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Uvicorn alone would wait forever."""
    monkeypatch.setattr("app.http_protocol.HEADER_SECONDS", 0.5)
    with serving(FakeEngine()) as url:
        address = urlsplit(url)
        with socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=10) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost:")
            assert connection.recv(1000) == b""


def test_endless_headers_are_refused(url: str) -> None:
    """With httptools instead of h11, uvicorn accepted 20 MB of headers."""
    address = urlsplit(url)
    with socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=10) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nX: " + b"x" * 40_000)
        assert b"431" in connection.recv(1000).split(b"\r\n")[0]
    assert httpx.get(f"{url}/health").status_code == 200


def test_after_sigterm_running_requests_finish() -> None:
    with process(ENGINE="fake") as (child, url):
        with httpx.stream("GET", f"{url}/?length=4000&stream=true") as reply:
            lines = reply.iter_lines()
            next(lines)
            child.send_signal(signal.SIGTERM)
            rest = "\n".join(lines)
        assert events(rest)[-1] == "[DONE]"
        assert child.wait(timeout=10) == 0
