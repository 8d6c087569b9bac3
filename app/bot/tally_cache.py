"""The counts of votes for /stats: asked for once for all who wait, and shown again for a while if each query is billed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import NamedTuple

from app.feedback.store import Store, Tally


class Standings(NamedTuple):
    """The counts, and how many seconds ago they were asked for."""

    tallies: list[Tally]
    age: float


class TallyCache:
    """Keeps the counts for the store's `tally_seconds`. A failure is not kept."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._asked: asyncio.Task[list[Tally]] | None = None
        self._at = 0.0

    async def standings(self) -> Standings:
        """Raises StoreError."""
        if self._asked is None or (self._asked.done() and self._is_over(self._asked)):
            self._asked, self._at = asyncio.create_task(self._store.tally()), self._clock()
        # Shielded, because others may wait for the same counts.
        tallies = await asyncio.shield(self._asked)
        return Standings(tallies, self._clock() - self._at)

    def _is_over(self, asked: asyncio.Task[list[Tally]]) -> bool:
        failed = asked.cancelled() or asked.exception() is not None
        return failed or self._clock() - self._at >= self._store.tally_seconds
