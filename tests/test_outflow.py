"""What nobody reads is dropped, and who reads slowly gets everything."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

import httpx
import pytest

from app import outflow
from app.engine.fake import FakeEngine
from tests.conftest import serving

# Tokens. In a stream, each takes hundreds of bytes with what is around it.
LONG = 15_000
STREAMS: dict[str, dict[str, object]] = {
    "/v1/completions": {"prompt": "x", "max_tokens": LONG, "stream": True},
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "x"}], "max_tokens": LONG, "stream": True},
    "/v1/responses": {"input": "x", "max_output_tokens": LONG, "stream": True},
    "/api/generate": {"model": "fake", "prompt": "x", "options": {"num_predict": LONG}},
    "/completion": {"prompt": "x", "n_predict": LONG, "stream": True},
    "/generate_stream": {"inputs": "x", "parameters": {"max_new_tokens": LONG}},
}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(FakeEngine(), max_length=LONG) as address:
        yield address


@contextlib.contextmanager
def asked(url: str, path: str, fields: Mapping[str, object], times: int = 1) -> Iterator[socket.socket]:
    """A connection that has sent a request `times` times, and whose system takes as little as it may."""
    address, body = urlsplit(url), json.dumps(fields).encode()
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(20)
        connection.connect((address.hostname, address.port))
        head = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        connection.sendall((head + body) * times)
        yield connection


def wait_until_cut(connection: socket.socket) -> None:
    """Without reading anything."""
    deadline = time.monotonic() + 20
    while not connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
        assert time.monotonic() < deadline, "the connection stays"
        time.sleep(0.01)


@pytest.mark.parametrize("path", STREAMS)
def test_a_stream_that_nobody_reads_frees_the_engine(url: str, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen: such a stream was written to its end, and all of it was kept for ever."""
    monkeypatch.setattr(outflow, "STREAM_SECONDS", 0.1)
    with asked(url, path, STREAMS[path]) as connection:
        wait_until_cut(connection)
    assert httpx.get(f"{url}/?length=2", timeout=20).status_code == 200


def test_who_reads_slowly_gets_everything(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outflow, "UNREAD_SECONDS", 0.3)
    monkeypatch.setattr(outflow, "STREAM_SECONDS", 0.3)
    with asked(url, "/v1/completions", STREAMS["/v1/completions"] | {"max_tokens": 800}) as connection:
        received = b""
        while b"data: [DONE]" not in received:
            time.sleep(0.01)
            received += connection.recv(8192)
    assert received.count(b'"text":') > 700


def test_all_together_keep_no_more_than_so_much(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that keeps the most is cut long before its time."""
    monkeypatch.setattr(outflow, "UNREAD_BYTES", 2**18)
    monkeypatch.setattr(outflow, "UNREAD_SECONDS", 60)
    monkeypatch.setattr(outflow, "STREAM_SECONDS", 60)
    with asked(url, "/v1/completions", STREAMS["/v1/completions"]) as connection:
        wait_until_cut(connection)


@pytest.mark.parametrize(
    ("path", "fields", "times"),
    [
        ("/tokenize", {"prompt": "x" * 200_000, "return_token_strs": True}, 1),
        ("/tokenize", {"prompt": "x" * 2000}, 100),
    ],
    ids=["one", "pipelined"],
)
def test_whole_replies_that_nobody_reads(
    url: str, path: str, fields: dict[str, object], times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen: megabytes were kept until the client closed its connection."""
    monkeypatch.setattr(outflow, "UNREAD_SECONDS", 0.1)
    with asked(url, path, fields, times) as connection:
        wait_until_cut(connection)


def test_a_page_that_is_not_read_is_dropped(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files come in pieces, each of which waits until the one before has gone."""
    monkeypatch.setattr(outflow, "UNREAD_SECONDS", 0.1)
    address = urlsplit(url)
    with asked(url, "/tokenize", {"prompt": "x"}) as connection:
        connection.sendall(f"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode())
        wait_until_cut(connection)
