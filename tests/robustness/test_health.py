"""Asked again and again by one client, /health answers at once."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from tests.robustness.service import Service


def test_health(
    serving: Callable[..., AbstractContextManager[Service]],
    record: Callable[..., None],
    rounds: Callable[[int, int], int],
) -> None:
    with serving() as service:
        times = []
        for _ in range(rounds(3, 300)):
            began = time.perf_counter()
            assert service.get().status_code == 200
            times.append(1000 * (time.perf_counter() - began))
        record("longest answer of /health with no load, ms", max(times), 50)
