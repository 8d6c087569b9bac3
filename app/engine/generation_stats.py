"""What generations come to, in plain numbers: tokens, and how long until the first one, the next one, the end.

Names and meanings are vLLM's. Any thread may add; `/metrics` reads. Plain, since a library for it would be the slowest part of
the start.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence

from app.engine.generation import TextDelta

# Seconds: a small model answers in milliseconds, a long text on a slow core takes minutes.
REQUEST_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
TOKEN_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.5)
# `abort`: the client left.
REASONS = ("stop", "length", "timeout", "abort")


class Histogram:
    """How many values fell up to each bound and above the one before; the last count is of those above all bounds."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


class GenerationStats:
    """Since the start. Texts are counted by how they ended, so that a request for several counts as several."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.prompt_tokens = 0
        self.generation_tokens = 0
        self.texts: Counter[str] = Counter(dict.fromkeys(REASONS, 0))
        self.queue_seconds = Histogram(REQUEST_BOUNDS)
        self.first_token_seconds = Histogram(REQUEST_BOUNDS)
        self.next_token_seconds = Histogram(TOKEN_BOUNDS)
        self.request_seconds = Histogram(REQUEST_BOUNDS)


class GenerationTimer:
    """Follows one generation from its arrival on and adds it to the counts."""

    def __init__(self, counts: GenerationStats, prompt_tokens: int, samples: int) -> None:
        self._counts = counts
        self._prompt_tokens = prompt_tokens
        self.arrived = time.monotonic()
        # Seconds waited for its turn.
        self.queue_seconds = 0.0
        self._read = False
        self._latest: list[float | None] = [None] * samples
        self._unfinished = samples

    def begin(self) -> None:
        """Its turn has come."""
        self.queue_seconds = time.monotonic() - self.arrived
        with self._counts.lock:
            self._counts.queue_seconds.add(self.queue_seconds)

    def see(self, piece: TextDelta) -> None:
        """Another piece is there."""
        now, before, counts = time.monotonic(), self._latest[piece.index], self._counts
        with counts.lock:
            if not self._read:
                self._read = True
                counts.prompt_tokens += self._prompt_tokens
            if piece.tokens:
                if not any(self._latest):
                    counts.first_token_seconds.add(now - self.arrived)
                if before is not None:
                    counts.next_token_seconds.add(now - before)
                counts.generation_tokens += piece.tokens
                self._latest[piece.index] = now
            if piece.finish_reason:
                counts.texts[piece.finish_reason] += 1
                self._unfinished -= 1
                if not self._unfinished:
                    counts.request_seconds.add(now - self.arrived)

    def abandon(self) -> None:
        """Nobody waits for the rest."""
        with self._counts.lock:
            self._counts.texts["abort"] += self._unfinished
        self._unfinished = 0
