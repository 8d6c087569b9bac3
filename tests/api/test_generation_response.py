"""Generations over HTTP: one at a time, a bounded queue, a deadline."""

from __future__ import annotations

import asyncio
import threading
import time

import httpx

from app.engine.fake import FakeEngine
from tests.conftest import serving


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


def test_the_deadline_ends_a_generation_with_the_text_so_far() -> None:
    with serving(FakeEngine(seconds_per_token=0.05), request_timeout=0.3) as url:
        reply = httpx.get(f"{url}/?length=1000").json()
    assert reply["finish_reason"] == "timeout"
    assert 1 <= reply["usage"]["completion_tokens"] < 30


def test_a_request_that_waits_past_its_deadline_is_refused() -> None:
    with serving(FakeEngine(seconds_per_token=0.05), request_timeout=0.5) as url:
        replies = together(url, 3, length=1000)
    assert sorted(reply.status_code for reply in replies) == [200, 503, 503]
