"""The rate limiter of the API and of the bot, on a clock that the tests turn."""

from __future__ import annotations

import pytest

from app.rate_limit import MINUTE, RateLimiter


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def take(limiter: RateLimiter, client: object) -> int:
    """Count a request if it is allowed. Returns the seconds to wait, 0 if it was counted."""
    wait = limiter.seconds_until_allowed(client)
    if not wait:
        limiter.count(client)
    return wait


def test_all_requests_of_a_minute_may_come_at_once() -> None:
    clock = Clock()
    limiter = RateLimiter(3, clock)
    assert [take(limiter, "a") for _ in range(4)] == [0, 0, 0, 20]
    assert take(limiter, "b") == 0
    clock.now = 20.0
    assert [take(limiter, "a") for _ in range(2)] == [0, 20]
    clock.now = 1000.0
    assert [take(limiter, "a") for _ in range(4)] == [0, 0, 0, 20]


def test_what_is_taken_back_may_come_again() -> None:
    limiter = RateLimiter(2, Clock())
    limiter.take_back("a")
    assert [take(limiter, "a") for _ in range(3)] == [0, 0, 30]
    limiter.take_back("a")
    assert [take(limiter, "a") for _ in range(2)] == [0, 30]
    RateLimiter(0).take_back("a")


def test_a_share_of_the_allowance_is_used_up_before_the_whole() -> None:
    limiter = RateLimiter(4, Clock())
    for expected in (0, 0, 15, 30):
        assert limiter.seconds_until_allowed("a", share=0.5) == expected
        limiter.count("a")


@pytest.mark.parametrize("per_minute", [1, 2, 7, 20])
def test_the_average_is_never_above_the_limit(per_minute: int) -> None:
    """A client that asks four times a second for ten minutes gets its first minute at once, and then the limit a minute."""
    clock = Clock()
    limiter = RateLimiter(per_minute, clock)
    counted = 0
    for quarter in range(10 * 60 * 4):
        clock.now = quarter / 4
        counted += not take(limiter, "a")
        assert counted <= per_minute * (1 + clock.now / MINUTE) + 1e-6
    assert counted >= per_minute * 10


def test_refused_requests_are_not_counted() -> None:
    clock = Clock()
    limiter = RateLimiter(1, clock)
    assert [take(limiter, "a") for _ in range(100)] == [0] + [60] * 99
    clock.now = 60.0
    assert take(limiter, "a") == 0


def test_what_ran_side_by_side_is_counted_in_full() -> None:
    """The bot counts a text when it is written, so several may be under way when the limit is reached."""
    limiter = RateLimiter(2, Clock())
    for _ in range(4):
        limiter.count("a")
    assert limiter.seconds_until_allowed("a") == 90


def test_without_a_limit_nothing_is_counted() -> None:
    limiter = RateLimiter(0, Clock())
    assert [take(limiter, "a") for _ in range(100)] == [0] * 100


def test_only_the_latest_clients_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ever new addresses would otherwise fill the memory."""
    monkeypatch.setattr("app.rate_limit.MAX_CLIENTS", 3)
    limiter = RateLimiter(1, Clock())
    for client in (1, 2, 3, 1, 4):
        limiter.count(client)
    assert [limiter.seconds_until_allowed(client) > 0 for client in (1, 2, 3, 4)] == [True, False, True, True]
    assert len(limiter._arrivals) == 3
