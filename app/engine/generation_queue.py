"""Generations on threads, off the event loop: a bounded queue, each generation with a deadline.

At most `concurrency` generations run at a time and `queue_limit` more wait; further ones are refused. A thread generates, the
event loop reads. When the reader stops (the client left), the thread stops at the next token. A generation that reaches its
deadline ends with the text it has; one that has not begun by then is refused.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from app.engine.base import Engine
from app.engine.generation import Deadline, GenerationOptions, TextDelta, generate
from app.engine.generation_stats import GenerationStats, GenerationTimer
from app.errors import QueueFull, QueueTimeout, ShuttingDown

# Seconds for running generations to finish after SIGTERM. Cloud Run kills the process after ten.
GRACE = 7.0


@dataclass(eq=False)
class QueuedGeneration:
    """A generation that waits or runs: what to generate, until when, and where the deltas go."""

    engine: Engine
    prompts: Sequence[Sequence[int]]
    options: GenerationOptions
    timer: GenerationTimer
    deadline: Deadline
    loop: asyncio.AbstractEventLoop
    deltas: asyncio.Queue[TextDelta | None] = field(default_factory=asyncio.Queue)
    reader_left: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Generate until the end, or until the reader leaves. Called on a thread."""
        self.timer.begin()
        for delta in self._generate():
            self.timer.see(delta)
            self.put(delta)
            if self.reader_left.is_set():
                self.timer.abandon()
                return

    def put(self, delta: TextDelta | None) -> None:
        """Hand a delta over to the event loop. None is the end."""
        self.loop.call_soon_threadsafe(self.deltas.put_nowait, delta)

    def _generate(self) -> Iterator[TextDelta]:
        """The texts of the first prompt, then those of the next. Indices count on from prompt to prompt."""
        for number, tokens in enumerate(self.prompts):
            first = number * self.options.samples
            for delta in generate(self.engine, tokens, self.options, self.deadline):
                yield replace(delta, index=first + delta.index) if first else delta


class GenerationQueue:
    """Runs `concurrency` generations at a time and lets `queue_limit` wait; `timeout` seconds each, waiting included."""

    def __init__(self, concurrency: int = 1, queue_limit: int = 32, timeout: float = 240.0) -> None:
        self.draining = False
        self.stats = GenerationStats()
        self._timeout = timeout
        self._concurrency = concurrency
        self._capacity = concurrency + queue_limit
        self._threads = ThreadPoolExecutor(concurrency, thread_name_prefix="generate")
        self._admitted: set[QueuedGeneration] = set()
        self._begun: set[QueuedGeneration] = set()
        self._mean_seconds = 1.0

    @property
    def pending(self) -> int:
        """Generations that run or wait."""
        return len(self._admitted)

    @property
    def running(self) -> int:
        return len(self._begun)

    @property
    def waiting(self) -> int:
        return len(self._admitted - self._begun)

    async def deltas(
        self, engine: Engine, prompts: Sequence[Sequence[int]], options: GenerationOptions, timer: GenerationTimer
    ) -> AsyncGenerator[TextDelta]:
        """Generate on a thread and yield deltas as they come: the texts of the first prompt, then those of the next.

        Raises QueueFull, QueueTimeout or ShuttingDown at the first delta.
        """
        generation = self._admit(engine, prompts, options, timer)
        done = self._threads.submit(self._run, generation)
        # One that is cancelled before it begins never reaches _run.
        done.add_done_callback(lambda _: self._forget(generation))
        try:
            while (delta := await generation.deltas.get()) is not None:
                yield delta
            await asyncio.wrap_future(done)
        finally:
            generation.reader_left.set()
            done.cancel()

    def drain(self) -> None:
        """Take nothing new. What runs or waits may finish, but for no longer than `GRACE`."""
        self.draining = True
        for generation in list(self._admitted):
            generation.deadline.at = min(generation.deadline.at, time.monotonic() + GRACE)

    def close(self) -> None:
        """Take nothing new, wait for what runs and drop what waits."""
        self.draining = True
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _admit(
        self, engine: Engine, prompts: Sequence[Sequence[int]], options: GenerationOptions, timer: GenerationTimer
    ) -> QueuedGeneration:
        if self.draining:
            raise ShuttingDown
        if self.pending >= self._capacity:
            raise QueueFull(self.pending, self._retry_after())
        deadline = Deadline(time.monotonic() + self._timeout)
        generation = QueuedGeneration(engine, prompts, options, timer, deadline, asyncio.get_running_loop())
        self._admitted.add(generation)
        return generation

    def _run(self, generation: QueuedGeneration) -> None:
        self._begun.add(generation)
        try:
            if not generation.reader_left.is_set():
                self._run_timed(generation)
        finally:
            # Before the reader learns of the end, since it may ask for more at once.
            self._forget(generation)
            generation.put(None)

    def _run_timed(self, generation: QueuedGeneration) -> None:
        if generation.deadline.passed:
            raise QueueTimeout(self._retry_after())
        began = time.monotonic()
        generation.run()
        if not generation.reader_left.is_set():
            self._mean_seconds += 0.2 * (time.monotonic() - began - self._mean_seconds)

    def _forget(self, generation: QueuedGeneration) -> None:
        self._admitted.discard(generation)
        self._begun.discard(generation)

    def _retry_after(self) -> int:
        """Seconds until there should be room, from a moving average of how long generations take."""
        return max(1, math.ceil(self._mean_seconds * (self.pending - self._capacity + 1) / self._concurrency))
