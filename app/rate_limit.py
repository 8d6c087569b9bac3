"""The rate limiter (GCRA): caps each client's requests per minute.

The API counts requests by key or address; the Telegram bot counts texts and commands by author. Each container counts for itself.

No library does this here: `limits` and `pyrate-limiter` take about 0.1 s to import, a tenth of a cold start, for storage in Redis
and SQL databases that a single container does not use.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Hashable

MINUTE = 60.0
# Only the most recent clients are remembered, so that an attacker with many addresses cannot fill the memory.
MAX_CLIENTS = 10_000


class RateLimiter:
    """GCRA (generic cell rate algorithm): stores each client's theoretical arrival time.

    A client may send `per_minute` requests at once, and after that one every 60 / `per_minute` seconds. 0 means no limit.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_minute = per_minute
        self._interval = MINUTE / per_minute if per_minute else 0.0
        self._clock = clock
        self._arrivals: dict[Hashable, float] = {}

    def seconds_until_allowed(self, client: Hashable, share: float = 1.0) -> int:
        """Whole seconds until the client may send its next request, 0 for now, and has that share of its allowance to spend.

        Counts nothing.
        """
        if not self.per_minute:
            return 0
        ahead = max(0.0, self._arrivals.get(client, 0.0) - self._clock())
        # Rounded first, since the sum of many intervals may miss the minute by its last digit.
        return max(0, math.ceil(round(ahead + self._interval - share * MINUTE, 6)))

    def count(self, client: Hashable) -> None:
        """Charge the client for one request."""
        if not self.per_minute:
            return
        now = self._clock()
        # Removed and added again, so that the dictionary is in the order of the latest request.
        self._arrivals[client] = max(self._arrivals.pop(client, now), now) + self._interval
        if len(self._arrivals) > MAX_CLIENTS:
            del self._arrivals[next(iter(self._arrivals))]

    def take_back(self, client: Hashable) -> None:
        """Undo one `count`, for a request that will come again."""
        if client in self._arrivals:
            self._arrivals[client] -= self._interval
