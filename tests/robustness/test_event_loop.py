"""The event loop never stops: while a large request is read, refused or answered, /health answers all others."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager

import httpx

from tests.robustness.dear_requests import LARGE, REPLIES, Asked
from tests.robustness.service import Service

# Seconds between two questions, and the most milliseconds that an answer may take.
PERIOD = 0.005
STOP = 50


class Watch:
    """Asks /health over and over on one connection. `longest` is the longest answer in milliseconds."""

    def __init__(self, port: int) -> None:
        self.longest = 0.0
        self.answers = 0
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def ask(self) -> None:
        began = time.perf_counter()
        self._connection.request("GET", "/health")
        reply = self._connection.getresponse()
        reply.read()
        assert reply.status == 200
        self.longest = max(self.longest, 1000 * (time.perf_counter() - began))
        self.answers += 1

    def close(self) -> None:
        self._connection.close()

    def ask_until(self, stopped: threading.Event) -> None:
        while not stopped.is_set():
            self.ask()
            stopped.wait(PERIOD)


@contextmanager
def watched(service: Service) -> Iterator[Watch]:
    watch, stopped = Watch(service.port), threading.Event()
    watch.ask()
    watch.longest = 0.0
    with ThreadPoolExecutor(1) as thread:
        asking = thread.submit(watch.ask_until, stopped)
        try:
            yield watch
        finally:
            stopped.set()
            asking.result()
            watch.close()


def answered(service: Service, request: Asked) -> None:
    reply = httpx.post(
        service.url + request.path,
        content=request.body,
        headers={"Content-Type": "application/json"},
        timeout=60,
    )
    assert reply.status_code == request.status, reply.text[:200]


def test_the_event_loop_goes_on(
    serving: Callable[..., AbstractContextManager[Service]], record: Callable[..., None], torture: bool
) -> None:
    """Seen: 250 kB to /tokenize, or as a prefix that is refused anyway, stopped /health for 0.4 s."""
    everything = {**LARGE, **REPLIES} if torture else dict([*LARGE.items()][::6])
    with serving(FEEDBACK="", REQUEST_TIMEOUT="10" if torture else "60", QUEUE_LIMIT="100") as service:
        # What is imported with the first request of each kind has been.
        for request in everything.values() if torture else ():
            answered(service, request)
        for name, request in everything.items():
            with watched(service) as watch:
                answered(service, request)
            assert watch.answers
            record(f"/health beside {name}, longest, ms", watch.longest, STOP)
        many = [*LARGE.values()] * 4 if torture else [*LARGE.values()][1::9]
        with watched(service) as watch, ThreadPoolExecutor(16) as clients:
            for done in [clients.submit(answered, service, request) for request in many]:
                done.result()
        record("/health beside 16 large requests at a time, longest, ms", watch.longest, STOP)
