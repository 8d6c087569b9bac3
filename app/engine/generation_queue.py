"""Generations off the event loop: so many at a time, so many waiting, each with an end.

A thread writes, the event loop reads. Whoever stops reading (the client left) stops the writing at the next token; a generation
that outlasts its deadline finishes with what it has; one that cannot even begin before its deadline is refused.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from app.engine.base import Engine
from app.engine.generation import Deadline, GenerationOptions, TextDelta, generate
from app.engine.generation_stats import GenerationStats, GenerationTimer
from app.errors import QueueFull, QueueTimeout, ShuttingDown

# Cloud Run kills what is still running ten seconds after SIGTERM.
GRACE = 7.0


class GenerationQueue:
    def __init__(self, concurrency: int = 1, queue_limit: int = 32, timeout: float = 240.0) -> None:
        self.draining = False
        self.stats = GenerationStats()
        self._timeout = timeout
        self._concurrency = concurrency
        self._room = concurrency + queue_limit
        self._threads = ThreadPoolExecutor(concurrency, thread_name_prefix="generate")
        self._deadlines: set[Deadline] = set()
        self._begun: set[Deadline] = set()
        self._mean_seconds = 1.0

    @property
    def pending(self) -> int:
        """Generations that run or wait."""
        return len(self._deadlines)

    @property
    def running(self) -> int:
        return len(self._begun)

    @property
    def waiting(self) -> int:
        return len(self._deadlines - self._begun)

    def pieces(self, engine: Engine, tokens: Sequence[int], options: GenerationOptions) -> AsyncGenerator[TextDelta]:
        """`all_pieces` of one prompt."""
        return self.all_pieces(engine, [tokens], options, self.watch([tokens], options))

    def watch(self, prompts: Sequence[Sequence[int]], options: GenerationOptions) -> GenerationTimer:
        return GenerationTimer(self.stats, sum(map(len, prompts)), len(prompts) * options.samples)

    async def all_pieces(
        self, engine: Engine, prompts: Sequence[Sequence[int]], options: GenerationOptions, watch: GenerationTimer
    ) -> AsyncGenerator[TextDelta]:
        """Generate on a thread, yielding pieces as they come; the texts of the first prompt, then those of the next.

        Raises QueueFull, QueueTimeout or ShuttingDown at the first delta.
        """
        deadline = self._admit()
        loop = asyncio.get_running_loop()
        arrived: asyncio.Queue[TextDelta | None] = asyncio.Queue()
        left = threading.Event()

        def put(piece: TextDelta | None) -> None:
            loop.call_soon_threadsafe(arrived.put_nowait, piece)

        def work() -> None:
            self._begun.add(deadline)
            try:
                if not left.is_set():
                    self._write(generate_all(engine, prompts, options, deadline), deadline, watch, left, put)
            finally:
                # Before the reader is told, who may ask for more at once.
                self._forget(deadline)
                put(None)

        written = self._threads.submit(work)
        written.add_done_callback(lambda _: self._forget(deadline))
        try:
            while (piece := await arrived.get()) is not None:
                yield piece
            await asyncio.wrap_future(written)
        finally:
            left.set()
            written.cancel()

    def drain(self) -> None:
        """Take nothing new and let what is there finish, but not for longer than the platform waits."""
        self.draining = True
        for deadline in list(self._deadlines):
            deadline.at = min(deadline.at, time.monotonic() + GRACE)

    def close(self) -> None:
        self.draining = True
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _admit(self) -> Deadline:
        if self.draining:
            raise ShuttingDown
        if self.pending >= self._room:
            raise QueueFull(self.pending, self._wait())
        deadline = Deadline(time.monotonic() + self._timeout)
        self._deadlines.add(deadline)
        return deadline

    def _forget(self, deadline: Deadline) -> None:
        self._deadlines.discard(deadline)
        self._begun.discard(deadline)

    def _wait(self) -> int:
        """Seconds until there should be room, from how long generations took of late."""
        return max(1, math.ceil(self._mean_seconds * (self.pending - self._room + 1) / self._concurrency))

    def _write(
        self,
        pieces: Iterator[TextDelta],
        deadline: Deadline,
        watch: GenerationTimer,
        left: threading.Event,
        put: Callable[[TextDelta], None],
    ) -> None:
        began = time.monotonic()
        if began >= deadline.at:
            raise QueueTimeout(self._wait())
        watch.begin()
        for piece in pieces:
            watch.see(piece)
            put(piece)
            if left.is_set():
                watch.abandon()
                return
        self._mean_seconds += 0.2 * (time.monotonic() - began - self._mean_seconds)


def generate_all(
    engine: Engine, prompts: Sequence[Sequence[int]], options: GenerationOptions, deadline: Deadline
) -> Iterator[TextDelta]:
    for number, tokens in enumerate(prompts):
        for piece in generate(engine, tokens, options, deadline):
            yield replace(piece, index=number * options.samples + piece.index) if number else piece
