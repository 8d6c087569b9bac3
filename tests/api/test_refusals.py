"""Many refusals at once are spaced, so that clients who ask again at once do not take the processor from those who write."""

from __future__ import annotations

import time

import httpx
import pytest

from app.api import refusals
from app.api.refusals import RefusalPace
from app.engine.fake import FakeEngine
from tests.conftest import serving


def test_a_few_are_told_at_once_and_many_one_after_the_other() -> None:
    """Seen: a hundred clients of one core, /health took 0.2 s and more, and half as many texts were written."""
    now = 100.0
    pace = RefusalPace(lambda: now)
    assert max(pace.seconds() for _ in range(20)) < 1e-9
    assert [round(pace.seconds(), 2) for _ in range(3)] == [0.01, 0.02, 0.03]
    now += 0.1
    assert pace.seconds() < 1e-9


def test_nobody_waits_longer_than_two_seconds() -> None:
    pace = RefusalPace(lambda: 0.0)
    assert max(pace.seconds() for _ in range(1000)) == pytest.approx(2)
    assert pace.seconds() == pytest.approx(2)


@pytest.mark.parametrize(("settings", "status"), [({"rate_limit": 1}, 429), ({"queue_limit": 0}, 503)])
def test_a_refusal_waits_for_its_turn(settings: dict[str, int], status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "BURST", 0.0)
    monkeypatch.setattr(refusals, "PER_SECOND", 5.0)
    with serving(FakeEngine(seconds_per_token=0.05), **settings) as url:
        with httpx.stream("POST", url, json={"length": 100, "stream": True}) as running:
            next(running.iter_raw())
            began = time.monotonic()
            reply = httpx.post(url, json={"length": 1})
        assert reply.status_code == status
        assert int(reply.headers["retry-after"]) >= 1
    assert time.monotonic() - began >= 0.2
