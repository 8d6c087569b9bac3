"""One generation at a time, a bounded queue, a deadline, clients that leave, and a server that is told to stop."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import threading
import time
from urllib.parse import urlsplit

import httpx
import pytest

from app.engine.fake import FakeEngine
from tests.conftest import events, process, serving


def together(url: str, count: int, **ask: object) -> list[httpx.Response]:
    async def all_of_them() -> list[httpx.Response]:
        async with httpx.AsyncClient(timeout=60, limits=httpx.Limits(max_connections=None)) as client:
            return await asyncio.gather(*(client.post(url, json=ask) for _ in range(count)))

    return asyncio.run(all_of_them())


def test_a_hundred_clients_are_all_answered() -> None:
    with serving(FakeEngine(), queue_limit=100) as url:
        assert {reply.status_code for reply in together(url, 100, length=20)} == {200}


def test_a_full_queue_is_503_with_retry_after() -> None:
    with serving(FakeEngine(seconds_per_token=0.02), queue_limit=2) as url:
        replies = together(url, 10, length=10)
    statuses = sorted(reply.status_code for reply in replies)
    assert statuses == [200] * 3 + [503] * 7
    refused = next(reply for reply in replies if reply.status_code == 503)
    assert int(refused.headers["retry-after"]) >= 1
    assert refused.json()["error"]["type"] == "unavailable_error"
    assert refused.headers["access-control-allow-origin"] == "*"


def test_other_routes_answer_while_a_generation_runs() -> None:
    with serving(FakeEngine(seconds_per_token=0.05)) as url:
        thread = threading.Thread(target=httpx.get, args=(f"{url}/?length=40",))
        thread.start()
        time.sleep(0.2)
        assert httpx.get(f"{url}/health").status_code == 200
        assert thread.is_alive()
        thread.join()


def test_the_deadline_ends_a_generation_with_what_it_has() -> None:
    with serving(FakeEngine(seconds_per_token=0.05), request_timeout=0.3) as url:
        reply = httpx.get(f"{url}/?length=1000").json()
    assert reply["finish_reason"] == "timeout"
    assert 1 <= reply["usage"]["completion_tokens"] < 30


def test_what_waits_longer_than_its_deadline_is_refused() -> None:
    with serving(FakeEngine(seconds_per_token=0.05), request_timeout=0.5) as url:
        replies = together(url, 3, length=1000)
    assert sorted(reply.status_code for reply in replies) == [200, 503, 503]


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_frees_the_engine(stream: bool) -> None:
    """Or else the next one would wait a hundred seconds."""
    with serving(FakeEngine(seconds_per_token=0.05)) as url:
        address = urlsplit(url)
        with socket.create_connection((str(address.hostname), int(address.port or 0))) as connection:
            body = json.dumps({"length": 2000, "stream": stream}).encode()
            connection.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            time.sleep(0.3)
        reply = httpx.get(f"{url}/?length=2", timeout=20)
    assert reply.status_code == 200


def test_a_storm_of_clients_that_leave_is_over_when_they_have_left() -> None:
    """Two hundred streams of half a minute each, dropped after half a second: their places in the queue are free again."""
    with serving(FakeEngine(seconds_per_token=0.02), queue_limit=200) as url:
        address = urlsplit(url)
        storm = [socket.create_connection((str(address.hostname), int(address.port or 0))) for _ in range(200)]
        for connection in storm:
            connection.sendall(b"GET /?length=2000&stream=true HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(0.5)
        for connection in storm:
            connection.close()
        assert httpx.get(f"{url}/?length=2", timeout=20).status_code == 200


def test_a_sender_that_trickles_its_headers_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Uvicorn itself waits for ever."""
    monkeypatch.setattr("app.server.HEADER_SECONDS", 0.5)
    with serving(FakeEngine()) as url:
        address = urlsplit(url)
        with socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=10) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost:")
            assert connection.recv(1000) == b""


def test_a_sender_that_holds_back_its_body_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.api.body.RECEIVE_SECONDS", 0.3)
    with serving(FakeEngine()) as url:
        address = urlsplit(url)
        with socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=10) as connection:
            connection.sendall(b'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{"length"')
            assert b"408" in connection.recv(1000).split(b"\r\n")[0]


def test_sigterm_lets_what_runs_finish_and_takes_nothing_new() -> None:
    with process(ENGINE="fake") as (child, url):
        with httpx.stream("GET", f"{url}/?length=4000&stream=true") as reply:
            lines = reply.iter_lines()
            next(lines)
            child.send_signal(signal.SIGTERM)
            rest = "\n".join(lines)
        assert events(rest)[-1] == "[DONE]"
        assert child.wait(timeout=10) == 0
