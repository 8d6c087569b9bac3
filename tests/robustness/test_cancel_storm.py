"""Streams that are dropped at random moments, and streams that nobody reads: the next client has its turn, and nothing stays."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import httpx

from tests.robustness.crowd import Client
from tests.robustness.http_abuse import UNREAD_STREAM, Abuse
from tests.robustness.service import Service

STREAMS = {
    "/v1/completions": {"prompt": "Why", "max_tokens": 2000, "min_tokens": 2000, "stream": True},
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "Why?"}], "max_tokens": 900, "stream": True},
    "/generate": {"prefix": "Why", "length": 2000, "min_tokens": 2000, "stream": True},
    "/api/generate": {"model": "starter", "prompt": "Why", "options": {"num_predict": 2000}},
}


async def drop(port: int, chance: random.Random) -> None:
    """Ask for a stream and leave: before it begins, while it is written, or after a while in the queue."""
    client = Client(port)
    path = chance.choice([*STREAMS])
    try:
        async with asyncio.timeout(chance.expovariate(10)):
            reader, *_ = await client.begin("POST", path, STREAMS[path])
            await reader.read()
    except (TimeoutError, OSError, EOFError):
        pass
    client.close()


async def storm(port: int, streams: int) -> None:
    chance = random.Random(7)
    for _ in range(0, streams, 20):
        await asyncio.gather(*(drop(port, chance) for _ in range(20)))


def next_answer(service: Service) -> float:
    """Seconds until a short text is there, refusals included: each is asked again as it says, but for no more than 0.1 s."""
    began = time.monotonic()
    while True:
        reply = httpx.post(
            f"{service.url}/v1/completions", json={"prompt": "Why", "max_tokens": 4, "seed": 1}, timeout=300
        )
        if reply.status_code == 200:
            return time.monotonic() - began
        assert reply.status_code == 503
        time.sleep(min(0.1, float(reply.headers["retry-after"])))


def files_back(service: Service, before: int) -> int:
    """How many more files are open than before, once there are no more, or after five seconds."""
    for _ in range(100):
        if service.open_files() <= before:
            break
        time.sleep(0.05)
    return service.open_files() - before


def test_streams_that_are_dropped(
    serving: Callable[..., AbstractContextManager[Service]],
    record: Callable[..., None],
    rounds: Callable[[int, int], int],
) -> None:
    with serving(CONCURRENCY="4") as service:
        next_answer(service)
        before = service.open_files()
        asyncio.run(storm(service.port, rounds(20, 3000)))
        record("next answer after 3,000 dropped streams, s", round(next_answer(service), 3), 1)
        left = files_back(service, before)
        assert left <= 0
        record("files that stay open", left, 0)


def test_streams_that_nobody_reads(
    serving: Callable[..., AbstractContextManager[Service]],
    record: Callable[..., None],
    rounds: Callable[[int, int], int],
) -> None:
    """Five hundred, more than the queue takes. Seen: 343 MB, and a client was refused for as long as they were written."""
    with serving(CONCURRENCY=str(rounds(4, 1))) as service:
        next_answer(service)
        files, memory = service.open_files(), service.resident()
        connections = [Abuse(UNREAD_STREAM, service.port) for _ in range(rounds(3, 500))]
        turn = next_answer(service)
        record("a client's turn beside 500 streams that nobody reads, s", round(turn, 1), 240)
        record("memory beside them, MB more", round(service.resident() - memory, 1), 60)
        for each in connections:
            each.connection.close()
        assert files_back(service, files) <= 0
