"""The dearest requests within all limits: they end in time, others have their turn meanwhile, and a signal to stop is heard."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

import httpx
import pytest

from tests.robustness.dear_requests import DEAR, STREAMS, Asked
from tests.robustness.service import Service

# What asks beside a dear request, and the most seconds that it may take where a request may take ten.
LITTLE = Asked("/v1/completions", b'{"prompt": "Why", "max_tokens": 4}')
LITTLE_SECONDS = 5
# For one that may take ten, and from the signal to stop until the process has ended.
SECONDS = 11
STOP_SECONDS = 10


def post(service: Service, request: Asked) -> tuple[httpx.Response, float]:
    """The reply, and the seconds that it took."""
    began = time.perf_counter()
    headers = {"Content-Type": "application/json"}
    reply = httpx.post(service.url + request.path, content=request.body, headers=headers, timeout=120)
    return reply, time.perf_counter() - began


def test_a_dear_request_ends_in_time_and_others_have_their_turn(
    serving: Callable[..., AbstractContextManager[Service]], record: Callable[..., None], torture: bool
) -> None:
    """Seen: 26 s where 10 were allowed, and 503 after 11 s for all others."""
    names = [*DEAR] if torture else ["128 prompts x 4,096 tokens"]
    with (
        serving(FEEDBACK="", REQUEST_TIMEOUT="10" if torture else "2") as service,
        ThreadPoolExecutor(1) as client,
    ):
        for name in names:
            dear = client.submit(post, service, DEAR[name])
            time.sleep(0.3)
            replies = [post(service, LITTLE) for _ in range(3 if torture else 1)]
            reply, seconds = dear.result()
            assert {reply.status_code for reply, _ in replies} == {200}
            assert reply.status_code == 200, reply.text[:200]
            record(f"{name}: until it is answered, s", seconds, SECONDS)
            record(f"{name}: until others are answered, s", max(s for _, s in replies), LITTLE_SECONDS)
            # The engine is free again.
            after, seconds = post(service, LITTLE)
            assert after.status_code == 200
            record(f"{name}: the next request, s", seconds, 1)


@pytest.mark.torture
def test_many_dear_requests_delay_a_little_one_by_their_turns_alone(
    serving: Callable[..., AbstractContextManager[Service]], record: Callable[..., None]
) -> None:
    with serving(FEEDBACK="", REQUEST_TIMEOUT="10") as service, ThreadPoolExecutor(5) as clients:
        dear = [clients.submit(post, service, DEAR["128 prompts x 4,096 tokens"]) for _ in range(5)]
        time.sleep(0.3)
        reply, seconds = post(service, LITTLE)
        assert reply.status_code == 200
        record("a little request behind five dear ones, s", seconds, 10)
        assert {each.result()[0].status_code for each in dear} <= {200, 503}
        record("the last of five dear ones, s", max(each.result()[1] for each in dear), SECONDS)


def stream(service: Service, request: Asked) -> tuple[int, str]:
    """The status and all of the body, which raises if the connection ends before the body does."""
    headers = {"Content-Type": "application/json"}
    with httpx.stream("POST", service.url + request.path, content=request.body, headers=headers, timeout=60) as reply:
        return reply.status_code, reply.read().decode()


@pytest.mark.slow
def test_a_signal_to_stop_ends_every_stream_as_its_protocol_does(
    serving: Callable[..., AbstractContextManager[Service]], record: Callable[..., None], torture: bool
) -> None:
    with (
        serving(FEEDBACK="", CONCURRENCY="8", REQUEST_TIMEOUT="60" if torture else "2") as service,
        ThreadPoolExecutor(len(STREAMS)) as clients,
    ):
        asked = {name: clients.submit(stream, service, request) for name, (request, _) in STREAMS.items()}
        time.sleep(0.8)
        began = time.perf_counter()
        service.process.send_signal(signal.SIGTERM)
        for name, (_, end) in STREAMS.items():
            status, body = asked[name].result()
            assert status in (200, 503), body[:200]
            assert status == 503 or end in body.strip().splitlines()[-1], (name, body[-300:])
        assert service.process.wait(timeout=30) == 0
        record("from SIGTERM under six dear streams to the end, s", time.perf_counter() - began, STOP_SECONDS)


@pytest.mark.torture
def test_a_signal_to_stop_is_heard_under_the_dearest_requests(
    serving: Callable[..., AbstractContextManager[Service]], record: Callable[..., None]
) -> None:
    for name, request in DEAR.items():
        with (
            serving(FEEDBACK="", REQUEST_TIMEOUT="60") as service,
            ThreadPoolExecutor(1) as client,
        ):
            dear = client.submit(post, service, request)
            time.sleep(1)
            began = time.perf_counter()
            service.process.send_signal(signal.SIGTERM)
            reply, _ = dear.result()
            assert reply.status_code in (200, 503), reply.text[:200]
            assert service.process.wait(timeout=30) == 0
            record(f"{name}: from SIGTERM to the end, s", time.perf_counter() - began, STOP_SECONDS)
