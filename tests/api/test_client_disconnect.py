"""A client that leaves stops its generation."""

from __future__ import annotations

import json
import socket
import time
from urllib.parse import urlsplit

import httpx
import pytest

from app.engine.fake import FakeEngine
from tests.conftest import serving


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/", {"length": 2000, "stream": False}),
        ("/", {"length": 2000, "stream": True}),
        ("/api/generate", {"model": "fake", "prompt": "x", "options": {"num_predict": 2000}}),
    ],
)
def test_a_client_that_leaves_frees_the_engine(path: str, fields: dict[str, object]) -> None:
    """Otherwise the next client would wait a hundred seconds."""
    with serving(FakeEngine(seconds_per_token=0.05)) as url:
        address = urlsplit(url)
        with socket.create_connection((str(address.hostname), int(address.port or 0))) as connection:
            body = json.dumps(fields)
            head = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n"
            connection.sendall((head + body).encode())
            time.sleep(0.3)
        reply = httpx.get(f"{url}/?length=2", timeout=20)
    assert reply.status_code == 200


def test_many_clients_that_leave_at_once_free_the_queue() -> None:
    """Two hundred streams of half a minute each are dropped after half a second. Their places in the queue are free again."""
    with serving(FakeEngine(seconds_per_token=0.02), queue_limit=200) as url:
        address = urlsplit(url)
        storm = [socket.create_connection((str(address.hostname), int(address.port or 0))) for _ in range(200)]
        for connection in storm:
            connection.sendall(b"GET /?length=2000&stream=true HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(0.5)
        for connection in storm:
            connection.close()
        assert httpx.get(f"{url}/?length=2", timeout=20).status_code == 200
