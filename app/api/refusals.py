"""Refusals: where many come at once, each waits a little, so that clients who ask again at once take less of the processor.

A refused request costs a millisecond. A hundred clients who ask again at once would keep the event loop busy with nothing else,
and /health would wait in their line.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

# Refusals a second, once so many seconds' worth of them came at once, and the longest wait, in seconds.
PER_SECOND = 100.0
BURST = 0.2
LONGEST = 2.0


class RefusalPace:
    """Spaces refusals evenly when there are many (GCRA). A waiting refusal costs its connection only."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # When the next one is due.
        self._due = 0.0

    async def wait(self) -> None:
        """Wait until it is this one's turn."""
        if seconds := self.seconds():
            await asyncio.sleep(seconds)

    def seconds(self) -> float:
        """How long the next refusal has to wait, which is counted."""
        now = self._clock()
        self._due = min(max(self._due, now) + 1 / PER_SECOND, now + BURST + LONGEST)
        return max(0.0, self._due - now - BURST)
