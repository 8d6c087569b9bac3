"""The wall clock is set by hours while the app serves: votes keep their order, and nothing hangs or is refused."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import httpx

from tests.robustness.service import CODE, Service

# Python runs a module of this name first. The clock goes wrong by as many seconds as the file says.
JUMPING = """
import datetime, os, time
real, moment, there = time.time, datetime.datetime, os.environ["CLOCK"]
def now():
    with open(there) as file:
        return real() + float(file.read() or 0)
class Jumping(moment):
    @classmethod
    def now(cls, tz=None):
        return moment.fromtimestamp(now(), tz)
time.time, datetime.datetime = now, Jumping
import app.feedback.vote_clock
datetime.datetime = moment
"""
HOUR = 3600
JUMPS = (0, -5 * HOUR, 30 * HOUR, -40 * HOUR, 0, 0.5 * HOUR)


def test_a_clock_that_jumps(
    serving: Callable[..., AbstractContextManager[Service]], record: Callable[..., None], torture: bool, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(JUMPING)
    clock, file = tmp_path / "clock", tmp_path / "feedback.db"
    clock.write_text("0")
    settings = {
        "PYTHONPATH": f"{tmp_path}:{CODE}",
        "CLOCK": str(clock),
        "ENGINE": "fake",
        "FEEDBACK": f"sqlite:///{file}",
        "RATE_LIMIT": "600",
    }
    slowest = 0.0
    for jumps in (JUMPS, JUMPS[::-1]) if torture else (JUMPS[:3],):
        with serving(**settings) as service:
            for number, jump in enumerate(jumps):
                clock.write_text(str(jump))
                began = time.monotonic()
                value = ("up", "down")[number % 2]
                vote = {"vote": value, "text": "a text", "voter": "anna"}
                assert httpx.post(f"{service.url}/feedback", json=vote, timeout=20).status_code == 200
                assert (
                    httpx.post(f"{service.url}/generate", json={"prefix": "a", "length": 5}, timeout=20).status_code
                    == 200
                )
                assert service.get().status_code == 200
                slowest = max(slowest, time.monotonic() - began)
                with contextlib.closing(sqlite3.connect(file)) as store:
                    assert store.execute("SELECT value FROM votes").fetchall() == [(1 if value == "up" else -1,)]
            began = time.monotonic()
        slowest = max(slowest, time.monotonic() - began)
    record("slowest round after the clock was set, s", slowest, 5)
