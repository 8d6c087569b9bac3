"""More clients than there is room for: each is answered, with a text that is right to the letter or with when to ask again."""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager

from tests.robustness.crowd import Answer, Client, text_of
from tests.robustness.service import Service

PROMPTS = ["Why did the cat cross the road?", "Hello", "[USER] Tell me a joke.\n[BOT]", "The moon is " * 40]
# Seconds between two questions for /health.
PULSE = 0.05


def request_of(seed: int) -> dict[str, object]:
    """Depends on nothing but the seed, except for the length of the answer: it is the same however it is sent."""
    chance = random.Random(seed)
    return {"prompt": chance.choice(PROMPTS), "max_tokens": chance.choice([8, 32, 64]), "seed": seed}


class Crowd:
    """What a hundred clients saw: `statuses` of all answers, `unanswered` requests, texts by seed, ms of /health."""

    def __init__(self, port: int, seconds: float, seeds: int) -> None:
        self.port = port
        self.statuses: Counter[int] = Counter()
        self.unanswered = 0
        self.texts: dict[int, set[str]] = {}
        self.health: list[float] = []
        self._seeds = seeds
        self._until = time.monotonic() + seconds

    @property
    def p99(self) -> float:
        return statistics.quantiles(self.health, n=100)[-1]

    async def run(self, clients: int) -> None:
        await asyncio.gather(self._watch_health(), *(self._ask(number) for number in range(clients)))

    async def _ask(self, number: int) -> None:
        client, chance = Client(self.port), random.Random(number)
        while time.monotonic() < self._until:
            seed = chance.randrange(self._seeds)
            try:
                fields = request_of(seed) | {"stream": chance.random() < 0.5}
                self._note(seed, await client.ask("POST", "/v1/completions", fields))
            except (OSError, EOFError):
                self.unanswered += 1
                client.close()
        client.close()

    def _note(self, seed: int, answer: Answer) -> None:
        self.statuses[answer.status] += 1
        assert answer.status == 200 or answer.refused
        if answer.status == 200:
            self.texts.setdefault(seed, set()).add(text_of(answer))

    async def _watch_health(self) -> None:
        client = Client(self.port)
        while time.monotonic() < self._until:
            began = time.perf_counter()
            assert (await client.ask("GET", "/health")).status == 200
            self.health.append(1000 * (time.perf_counter() - began))
            await asyncio.sleep(PULSE)
        client.close()


async def texts_alone(port: int, seeds: list[int]) -> dict[int, set[str]]:
    """The same texts, asked for one after the other by one client."""
    client = Client(port)
    texts = {seed: {text_of(await client.ask("POST", "/v1/completions", request_of(seed)))} for seed in seeds}
    client.close()
    return texts


def test_overload(
    serving: Callable[..., AbstractContextManager[Service]],
    record: Callable[..., None],
    rounds: Callable[..., float],
) -> None:
    """A hundred clients who ask again at once for ten minutes. Seen: /health took 0.4 s, and half as many texts were written."""
    with serving(QUEUE_LIMIT=str(int(rounds(2, 32)))) as service:
        crowd = Crowd(service.port, rounds(0.5, 600), int(rounds(3, 100)))
        asyncio.run(crowd.run(int(rounds(10, 100))))
        assert crowd.unanswered == 0
        assert set(crowd.statuses) == {200, 503}
        assert crowd.texts == asyncio.run(texts_alone(service.port, [*crowd.texts]))
        record("answers of 200", crowd.statuses[200])
        record("answers of 503", crowd.statuses[503])
        record("requests without an answer", crowd.unanswered, 0)
        record("seeds compared", len(crowd.texts))
        record("/health p50, ms", round(statistics.median(crowd.health), 1))
        record("/health p99, ms", round(crowd.p99, 1), 50)
        record("resident at the end, MB", round(service.resident()))
