"""Any JSON as an update, and any bytes, each perhaps twice: 200, at most one answer, and the bot answers the next person."""

from __future__ import annotations

import itertools
import json
import logging
from collections.abc import Callable

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.bot.conftest import SECRET_HEADER
from tests.bot.test_any_update import ODD, telegram, updates
from tests.fakes.telegram import Telegram

__all__ = ["telegram"]
NUMBERS = itertools.count(10**8)
ANYTHING = st.recursive(
    ODD | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8) | st.just("update_id"), inner, max_size=4)
    ),
    max_leaves=20,
)
BODIES = st.one_of(
    updates().map(json.dumps).map(str.encode),
    updates().map(json.dumps).map(str.encode),
    ANYTHING.map(json.dumps).map(str.encode),
    st.binary(max_size=200),
    st.integers(1, 10**5).map(lambda depth: b"[" * depth),
    st.builds(lambda body, cut: json.dumps(body).encode()[:cut], updates(), st.integers(0, 300)),
)


def test_any_body(
    telegram: Telegram,  # pytest's way to use another module's fixture.
    rounds: Callable[[int, int], int],
    record: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    sent = itertools.count()

    @settings(max_examples=rounds(20, 5000), deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(body=BODIES, times=st.integers(1, 2))
    def attack(body: bytes, times: int) -> None:
        before = len(telegram.messages)
        for _ in range(times):
            next(sent)
            reply = httpx.post(telegram.webhook["url"], content=body, headers=SECRET_HEADER, timeout=60)
            assert (reply.status_code, reply.content) == (200, b"")
        assert len(telegram.messages) - before <= 1

    attack()
    assert [line.getMessage() for line in caplog.records if line.levelno >= logging.ERROR] == []
    before = len(telegram.said(7))
    telegram.write(7, "/help")
    telegram.settle()
    assert len(telegram.said(7)) == before + 1
    record("updates of any kind", next(sent))
