"""`only_if_idle`: suggestions, which cost nobody their turn."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import pytest

from app.engine.fake import SCRIPT, FakeEngine
from tests.api.error_checks import assert_error
from tests.conftest import events, serving

IDLE: dict[str, Any] = {"only_if_idle": True, "length": 5, "include_prefix": False}


def test_while_nobody_else_asks_it_is_a_request_like_any_other() -> None:
    with serving(FakeEngine()) as url:
        assert httpx.post(url, json=IDLE).json()["text"] == SCRIPT[:5]


@pytest.mark.parametrize("queue_limit", [0, 32])
def test_it_is_refused_while_somebody_is_answered(queue_limit: int) -> None:
    with serving(FakeEngine(seconds_per_token=0.02), queue_limit=queue_limit) as url:
        with httpx.stream("GET", f"{url}/?length=4000&stream=true") as another:
            parts = another.iter_bytes()
            next(parts)
            refused = httpx.post(url, json=IDLE)
            assert_error(refused, 429, None, "rate_limit_error")
            assert int(refused.headers["retry-after"]) >= 1
        while httpx.post(url, json=IDLE).status_code == 429:
            time.sleep(0.01)


def test_it_ends_when_another_request_comes_which_gets_its_turn_at_once() -> None:
    """Also where no request may wait: the place of a suggestion counts as free."""
    with serving(FakeEngine(seconds_per_token=0.05), queue_limit=0) as url:
        with httpx.stream("POST", url, json=IDLE | {"length": 4000, "stream": True}) as suggested:
            parts = suggested.iter_bytes()
            first = next(parts)
            reply = httpx.get(f"{url}/?length=2")
            rest = b"".join(parts)
        assert reply.json()["text"] == SCRIPT[:2]
        closing = json.loads(events((first + rest).decode())[-2])
        assert closing["finish_reason"] == "timeout"
        assert closing["usage"]["completion_tokens"] < 20


def test_it_does_not_load_a_model() -> None:
    """Loading one may free another, which somebody else uses."""
    with serving(FakeEngine(), FakeEngine(name="other")) as url:
        asked = IDLE | {"model": "other"}
        assert_error(httpx.post(url, json=asked), 429, None, "rate_limit_error")
        assert httpx.post(url, json={"model": "other", "length": 1}).status_code == 200
        assert httpx.post(url, json=asked).status_code == 200


def test_it_takes_half_of_a_clients_requests_at_most() -> None:
    """Otherwise an hour of thinking aloud would leave no request for the text itself."""
    with serving(FakeEngine(), rate_limit=4) as url:
        statuses = [httpx.post(url, json=IDLE).status_code for _ in range(4)]
        assert statuses == [200, 200, 429, 429]
        assert [httpx.get(f"{url}/?length=1").status_code for _ in range(3)] == [200, 200, 429]
