"""A hundred thousand requests of every kind: memory after the first few thousand is memory for ever."""

from __future__ import annotations

import asyncio
import random
import statistics
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from tests.robustness.crowd import Client
from tests.robustness.service import Service

LETTERS = "abcdefgh ,."
Request = tuple[str, str, object]


def words(chance: random.Random, most: int) -> str:
    return "".join(chance.choices(LETTERS, k=chance.randint(1, most)))


def completion(chance: random.Random, **fields: object) -> Request:
    return "POST", "/v1/completions", {"prompt": words(chance, 40), "max_tokens": chance.randint(1, 6)} | fields


def conversation(chance: random.Random) -> Request:
    fields = {"messages": [{"role": "user", "content": words(chance, 500)}], "max_tokens": 3}
    return "POST", "/v1/chat/completions", fields | {"stream": chance.random() < 0.5}


KINDS: dict[str, tuple[float, Callable[[random.Random], Request]]] = {
    "short": (3, completion),
    "stream": (3, lambda chance: completion(chance, stream=True)),
    "long": (0.5, lambda chance: completion(chance, prompt=words(chance, 1500), max_tokens=1)),
    "several": (0.5, lambda chance: completion(chance, n=4)),
    "scored": (0.5, lambda chance: completion(chance, logprobs=5, echo=True)),
    "chat": (1, conversation),
    "refused": (3, lambda chance: completion(chance, max_tokens=-1)),
    "refused and large": (0.5, lambda chance: completion(chance, prompt=words(chance, 200_000), nonsense=1)),
    "nothing there": (1, lambda chance: ("GET", f"/{chance.randrange(10**9)}", None)),
    "tokens": (1, lambda chance: ("POST", "/tokenize", {"prompt": words(chance, 4000), "return_token_strs": True})),
    "page": (1, lambda chance: ("GET", chance.choice(["/play", "/plain", "/docs", "/version", "/openapi.json"]), None)),
    "metrics": (0.3, lambda chance: ("GET", "/metrics", None)),
    "health": (1, lambda chance: ("GET", "/health", None)),
}
"""How often each comes, and how it is made."""
ANSWERS = {200, 400, 404, 405, 503}


class Soak:
    """`memory` is what the service has after each thousand requests, or other number `every`, in MB."""

    def __init__(self, service: Service, requests: int, every: int) -> None:
        self.memory = [service.resident()]
        self.statuses: set[int] = set()
        self._service = service
        self._left = requests
        self._every = every

    async def run(self, clients: int) -> None:
        await asyncio.gather(*(self._ask(random.Random(number)) for number in range(clients)))

    async def _ask(self, chance: random.Random) -> None:
        client = Client(self._service.port)
        while self._left > 0:
            self._left -= 1
            if self._left % self._every == 0:
                self.memory.append(self._service.resident())
            weights, makers = zip(*KINDS.values(), strict=True)
            method, path, fields = chance.choices(makers, weights)[0](chance)
            self.statuses.add((await client.ask(method, path, fields)).status)
            if chance.random() < 0.05:
                client.close()
        client.close()


@pytest.mark.parametrize("concurrency", ["1", pytest.param("8", marks=pytest.mark.torture)])
def test_soak(
    concurrency: str,
    torture: bool,
    serving: Callable[..., AbstractContextManager[Service]],
    record: Callable[..., None],
    rounds: Callable[[int, int], int],
) -> None:
    """Seen: 149 MB became 318, and nobody knew where it would end. The prefix cache fills first, up to 96 MB."""
    with serving(CONCURRENCY=concurrency) as service:
        soak = Soak(service, rounds(24, 105_000), rounds(3, 1000))
        asyncio.run(soak.run(8))
        assert soak.statuses <= ANSWERS
        begin, end = statistics.mean(soak.memory[5:10]), statistics.mean(soak.memory[-5:])
        for thousand in (1, 5, 10, 20, 40, 60, 80, 105) if torture else (1,):
            record(f"CONCURRENCY={concurrency}: resident after {thousand},000 requests, MB", soak.memory[thousand])
        record(f"CONCURRENCY={concurrency}: growth over 100,000 requests, MB", round(end - begin, 1), 5)
