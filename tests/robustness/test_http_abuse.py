"""Slow, silent, half-open, pipelined, smuggled, oversized connections are answered, closed in time, and harm nobody else."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from urllib.parse import urlsplit

import httpx
import pytest

from app.engine.fake import FakeEngine
from tests import conftest
from tests.robustness.http_abuse import KINDS, Kind, abuse
from tests.robustness.service import Service

CONNECTIONS = 500
CLOSED_WITHIN = 15.0
# Seconds in which they come.
ARRIVE = 5.0
# In `make test`, all that takes seconds takes a part of it.
HURRY = {
    "app.http_protocol.HEADER_SECONDS": 0.4,
    "app.http_protocol.IDLE_SECONDS": 0.3,
    "app.api.body.RECEIVE_SECONDS": 0.4,
    "app.api.unread_body.PAUSE_SECONDS": 0.2,
    "app.outflow.UNREAD_SECONDS": 0.3,
}


class HonestClient:
    """Asks for a short text, again and again, while it is entered. `times` are in ms, `statuses` of all answers."""

    def __init__(self, url: str) -> None:
        self.times: list[float] = []
        self.statuses: list[int] = []
        self._url = url
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self) -> HonestClient:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def p95(self) -> float:
        return statistics.quantiles(self.times, n=20)[-1]

    def _ask(self) -> None:
        request = {"prompt": "Why", "max_tokens": 8, "seed": 1}
        with httpx.Client(timeout=60) as client:
            while not self._ended.is_set():
                began = time.perf_counter()
                self.statuses.append(client.post(f"{self._url}/v1/completions", json=request).status_code)
                self.times.append(1000 * (time.perf_counter() - began))
                time.sleep(0.02)


@pytest.fixture(scope="module")
def hurried() -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch, conftest.serving(FakeEngine(), queue_limit=64) as url:
        for name, seconds in HURRY.items():
            patch.setattr(name, seconds)
        yield url


def test_each_kind_is_answered_and_closed(hurried: str) -> None:
    """All of them at once; an honest client among them gets its texts."""
    with HonestClient(hurried) as honest:
        connections = abuse(KINDS, int(urlsplit(hurried).port or 0), 20)
    assert set(honest.statuses) == {200}
    assert {each.kind.name for each in connections if each.seconds is None} == set()
    wrong = {
        each.kind.name: each.status for each in connections if each.kind.reads and each.status not in each.kind.statuses
    }
    assert not wrong
    assert httpx.get(f"{hurried}/health").status_code == 200


@pytest.mark.torture
def test_hundreds_of_each_kind(
    serving: Callable[..., AbstractContextManager[Service]], record: Callable[..., None]
) -> None:
    """One kind after the other: a hundred connections come each second."""
    for kind in KINDS:
        with serving() as service:
            measure(kind, service, record)


def measure(kind: Kind, service: Service, record: Callable[..., None]) -> None:
    with HonestClient(service.url) as before:
        time.sleep(ARRIVE)
    files = service.open_files()
    with HonestClient(service.url) as beside:
        connections = abuse([kind] * CONNECTIONS, service.port, CLOSED_WITHIN + 5, ARRIVE / CONNECTIONS)
    lasted = [CLOSED_WITHIN + 5 if each.seconds is None else each.seconds for each in connections]
    record(f"{kind.name}: the last is closed after, s", round(max(lasted), 1), CLOSED_WITHIN)
    record(f"{kind.name}: an honest client's p95 beside them, times", round(beside.p95 / before.p95, 2), 1.5)
    assert set(beside.statuses) == {200}
    assert {each.status for each in connections if kind.reads} <= {*kind.statuses}, kind.name
    assert service.get().status_code == 200
    record(f"{kind.name}: files that stay open", service.open_files() - files, 2)
