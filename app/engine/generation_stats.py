"""Statistics of all generations: tokens, and seconds until the first token, the next token and the end.

Names and meanings are those of vLLM's metrics. Any thread may add to them; `/metrics` reads them. They are plain numbers here
because importing a metrics library would be the slowest part of the start.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from typing import Literal

from app.engine.generation import FinishReason, TextDelta

# Seconds. A small model answers in milliseconds; a long text on a slow core takes minutes.
REQUEST_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
TOKEN_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.5)
# `abort`: the client left.
REASONS = ("stop", "length", "timeout", "abort")


class Histogram:
    """How many values fell into each bucket: up to a bound and above the bound before. The last bucket has no bound."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


class GenerationStats:
    """Totals since the start; hold `lock` to read or add. `texts` counts by finish reason, so a request for 3 texts adds 3."""

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
    """Counts one generation's tokens, times it from its arrival on, and adds both to the statistics.

    The thread that generates calls `see`, so `generated_tokens` and `finish_reasons` may be ahead of what the event loop
    has read. There is one finish reason for each text, None until the text is finished.
    """

    def __init__(self, stats: GenerationStats, prompt_tokens: int, texts: int) -> None:
        self._stats = stats
        self.prompt_tokens = prompt_tokens
        self.generated_tokens = 0
        self.finish_reasons: list[FinishReason | None] = [None] * texts
        self.queue_seconds = 0.0
        self.first_token_seconds = 0.0
        self.end_seconds = 0.0
        self._arrived = time.monotonic()
        # Whether there is anything of a text yet, be it the score of a prompt's token.
        self.begun = False
        self._newest: list[float | None] = [None] * texts

    @property
    def seconds(self) -> float:
        """Seconds since the generation arrived."""
        return time.monotonic() - self._arrived

    def leave_queue(self) -> None:
        """The generation leaves the queue."""
        self.queue_seconds = self.seconds
        with self._stats.lock:
            self._stats.queue_seconds.add(self.queue_seconds)

    def see(self, delta: TextDelta) -> None:
        """Count a delta that has just been generated."""
        with self._stats.lock:
            if self.finish_reasons[delta.index]:
                return
            if not self.begun:
                self.begun = True
                self._stats.prompt_tokens += self.prompt_tokens
            if delta.tokens:
                self._see_tokens(delta)
            if delta.finish_reason:
                self._see_end(delta.index, delta.finish_reason)

    def end_rest(self, reason: Literal["timeout", "abort"]) -> list[int]:
        """The texts that have not ended end now: the time is up, or the reader has left. Returns their numbers."""
        with self._stats.lock:
            rest = [index for index, ended in enumerate(self.finish_reasons) if ended is None]
            for index in rest:
                self._stats.texts[reason] += 1
                self.finish_reasons[index] = "timeout"
            return rest

    def _see_tokens(self, delta: TextDelta) -> None:
        now, before = time.monotonic(), self._newest[delta.index]
        if not any(self._newest):
            self.first_token_seconds = now - self._arrived
            self._stats.first_token_seconds.add(self.first_token_seconds)
        if before is not None:
            self._stats.next_token_seconds.add(now - before)
        self._newest[delta.index] = now
        self._stats.generation_tokens += delta.tokens
        self.generated_tokens += delta.tokens

    def _see_end(self, index: int, reason: FinishReason) -> None:
        self._stats.texts[reason] += 1
        self.finish_reasons[index] = reason
        if None not in self.finish_reasons:
            self.end_seconds = self.seconds
            self._stats.request_seconds.add(self.end_seconds)
