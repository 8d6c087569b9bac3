"""Generations over HTTP: one at a time, a bounded queue, a deadline."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Sequence
from typing import Any

import httpx
import pytest

from app.engine.base import Chunk, Logits, RowStep
from app.engine.fake import FakeEngine, FakeSlots
from tests.conftest import events, serving


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
    """Each has a turn of a tenth of the time, however dear it is, so that behind ten of them nothing is left."""
    with serving(FakeEngine(seconds_per_token=0.3), request_timeout=1) as url:
        replies = together(url, 30, length=1000)
    assert {reply.status_code for reply in replies} == {200, 503}


class CountingEngine(FakeEngine):
    """Counts the passes that it has begun, of a twentieth of a second each."""

    def __init__(self) -> None:
        super().__init__(seconds_per_token=0.05)
        self.steps = 0

    def slots(self, count: int, positions: int) -> FakeSlots:
        return CountingSlots(self, count, positions)


class CountingSlots(FakeSlots):
    def run(self, steps: Sequence[RowStep], chunk: Chunk | None) -> Logits:
        assert isinstance(self._engine, CountingEngine)
        self._engine.steps += bool(steps) or bool(chunk and chunk.every)
        return super().run(steps, chunk)


# Requests that would take half a minute or more.
DEAREST: dict[str, tuple[str, dict[str, Any]]] = {
    "a long text": ("/generate", {"length": 4000}),
    "many texts": ("/generate", {"length": 60, "nsamples": 100, "prefix": "x"}),
    "a scored prompt": ("/v1/completions", {"prompt": "x" * 800, "max_tokens": 1, "echo": True, "logprobs": 5}),
    "scored prompts": ("/v1/completions", {"prompt": ["x" * 40] * 40, "max_tokens": 1, "echo": True, "logprobs": 1}),
    "many prompts": ("/v1/completions", {"prompt": ["x"] * 120, "max_tokens": 9}),
    "best of twenty": ("/v1/completions", {"prompt": "x", "max_tokens": 400, "best_of": 20}),
    "a chat with log probabilities": (
        "/v1/chat/completions",
        {"messages": [{"role": "user", "content": "x"}], "max_tokens": 1000, "logprobs": True, "top_logprobs": 20},
    ),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", DEAREST)
def test_the_dearest_requests_end_in_time(name: str, stream: bool) -> None:
    """With 0.2 seconds, forty prompts took 2.1, since each was still read, and scored ones as long as they liked.

    The texts that there are by then are the answer, on every route, and the engine is free at once.
    """
    path, body = DEAREST[name]
    if stream and "best_of" in body:
        body = body | {"n": 20}
    engine = CountingEngine()
    with serving(engine, request_timeout=0.6) as url:
        reply = httpx.post(url + path, json=body | {"stream": stream}, timeout=20)
        steps = engine.steps
        assert httpx.post(f"{url}/generate", json={"length": 1}).status_code == 200
    assert reply.status_code == 200
    assert engine.steps <= steps + 1
    assert 1 <= steps <= 60
    if stream:
        *found, done = events(reply.text)
        assert done == "[DONE]"
        bodies = [json.loads(event) for event in found]
    else:
        bodies = [reply.json()]
    reasons = [reason for body in bodies for reason in finish_reasons(body)]
    samples = body.get("nsamples", body.get("best_of") if stream else 1) or 1
    prompts = body["prompt"] if isinstance(body.get("prompt"), list) else [0]
    assert reasons[-1] == ("timeout" if path == "/generate" else "length")
    assert len(reasons) == samples * len(prompts)


def finish_reasons(body: dict[str, Any]) -> list[str]:
    choices = body.get("choices") or [{"finish_reason": reason} for reason in body.get("finish_reasons", [])] or [body]
    return [choice["finish_reason"] for choice in choices if choice.get("finish_reason")]


@pytest.mark.parametrize("path", ["/generate", "/v1/completions", "/v1/chat/completions"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_prompt_that_cannot_be_read_in_time_is_refused(path: str, stream: bool) -> None:
    """There is no text that could be the answer, so it is the same as for one whose turn does not come."""

    class Reading(FakeSlots):
        def run(self, steps: Sequence[RowStep], chunk: Chunk | None) -> Logits:
            time.sleep(0.1)
            return super().run(steps, chunk)

    class Slow(FakeEngine):
        def slots(self, count: int, positions: int) -> FakeSlots:
            return Reading(self, count, positions)

    text = "x" * 900
    body: dict[str, Any] = {"prompt" if "v1" in path else "prefix": text}
    if "chat" in path:
        body = {"messages": [{"role": "user", "content": text}]}
    with serving(Slow(), request_timeout=0.3) as url:
        reply = httpx.post(url + path, json=body | {"stream": stream}, timeout=15)
    assert reply.status_code == 503
    assert reply.json()["error"]["message"] == (
        "the request's time was up before its first token: shorten the prompt, or try again later."
    )
    assert int(reply.headers["retry-after"]) >= 1


def test_the_time_is_counted_from_the_arrival() -> None:
    """A long conversation is tokenized before it is queued, and that took as long as it liked."""

    class Tokenizing(FakeEngine):
        def __init__(self) -> None:
            super().__init__()
            encode = self.tokenizer.encode

            def slowly(text: str) -> list[int]:
                time.sleep(0.5)
                return encode(text)

            self.tokenizer.encode = slowly  # type: ignore[method-assign]

    with serving(Tokenizing(), request_timeout=0.3) as url:
        assert httpx.post(f"{url}/generate", json={"prefix": "x"}).status_code == 503


@pytest.mark.slow
def test_a_client_that_leaves_frees_the_engine_in_every_loop() -> None:
    """The engine went on with the prompts of somebody who was gone, and the others waited."""
    engine = CountingEngine()
    with serving(engine) as url:
        for path, body in DEAREST.values():
            before = engine.steps
            with pytest.raises(httpx.ReadTimeout):
                httpx.post(url + path, json=body, timeout=0.4)
            assert httpx.post(f"{url}/generate", json={"length": 1}, timeout=10).status_code == 200
            assert engine.steps - before <= 40
