"""Generations on threads, off the event loop: a bounded queue, each generation with a deadline.

At most `concurrency` generations run at a time and `queue_limit` more wait; further ones are refused. They begin in the order of
their arrival, but for those whose model is being loaded.

A thread generates, after loading the model if it is not in memory, and the event loop reads. When the reader stops (the client
left), the thread stops before its next step. When the deadline passes, the texts end as they are; a generation without a single
token by then is refused. The reader does not wait for a thread that is late, such as one that is loading a large model.

The event loop alone changes what is in here. Threads only generate, and report to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from app.engine.base import Engine
from app.engine.deadline import Deadline, DeadlinePassed
from app.engine.generation import GenerationOptions, TextDelta, generate, needed_positions
from app.engine.generation_stats import GenerationStats, GenerationTimer
from app.engine.memory import MemoryClaim, ModelMemory
from app.errors import FatalError, GenerationTimeout, ModelNotLoaded, QueueFull, QueueTimeout, ShuttingDown

# Seconds after the deadline until the reader gives a thread up. A step of a large model may take longer.
LATE = 0.3


@dataclass(eq=False)
class QueuedGeneration:
    """A generation that waits or runs. Its reader gets `events`: deltas, then an error or None. `alarm` goes off when late."""

    engine: Engine
    prompts: Sequence[Sequence[int]]
    options: GenerationOptions
    timer: GenerationTimer
    loop: asyncio.AbstractEventLoop
    deadline: Deadline = field(default_factory=Deadline)
    alarm: asyncio.TimerHandle | None = None
    events: asyncio.Queue[TextDelta | Exception | None] = field(default_factory=asyncio.Queue)
    ended: bool = False

    @property
    def work(self) -> int:
        """Bytes of memory for its largest KV cache."""
        positions = max(needed_positions(self.engine, tokens, self.options) for tokens in self.prompts)
        return self.engine.decoder_bytes(self.options.samples, positions, self.options.reuse)

    def run(self) -> None:
        """Generate the texts of the first prompt, then those of the next, until the deadline. Called on a thread."""
        for number, tokens in enumerate(self.prompts):
            first = number * self.options.samples
            for delta in generate(self.engine, tokens, self.options, self.deadline):
                if self.ended:
                    return
                self.report(replace(delta, index=first + delta.index) if first else delta)

    def report(self, delta: TextDelta) -> None:
        """Hand a delta over to the reader. From a thread."""
        self.timer.see(delta)
        self.loop.call_soon_threadsafe(self.events.put_nowait, delta)


class GenerationQueue:
    """Runs `concurrency` generations at a time and lets `queue_limit` wait; `timeout` seconds each, waiting included."""

    def __init__(
        self,
        concurrency: int = 1,
        queue_limit: int = 32,
        timeout: float = 240.0,
        memory: ModelMemory | None = None,
    ) -> None:
        self.draining = False
        self.stats = GenerationStats()
        self._memory = memory or ModelMemory()
        self._timeout = timeout
        self._concurrency = concurrency
        self._capacity = concurrency + queue_limit
        self._threads = ThreadPoolExecutor(concurrency, thread_name_prefix="generate")
        self._waiting: list[QueuedGeneration] = []
        self._running: set[QueuedGeneration] = set()
        self._mean_seconds = 1.0

    @property
    def pending(self) -> int:
        """Generations that run or wait."""
        return self.running + self.waiting

    @property
    def running(self) -> int:
        return len(self._running)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    async def deltas(
        self,
        engine: Engine,
        prompts: Sequence[Sequence[int]],
        options: GenerationOptions,
        timer: GenerationTimer,
        since: float | None = None,
    ) -> AsyncGenerator[TextDelta]:
        """Generate on a thread and yield deltas as they come: the texts of the first prompt, then those of the next.

        The time is counted from `since`, in seconds of time.monotonic(), or from now.
        Raises QueueFull, QueueTimeout, GenerationTimeout, ModelNotLoaded or ShuttingDown at the first delta.
        """
        generation = QueuedGeneration(engine, prompts, options, timer, asyncio.get_running_loop())
        self._admit(generation, time.monotonic() if since is None else since)
        try:
            while (event := await generation.events.get()) is not None:
                if isinstance(event, Exception):
                    raise event
                yield event
        finally:
            if not generation.ended:
                timer.end_rest("abort")
                self._end(generation, None)

    def drain(self, seconds: float) -> None:
        """Take nothing new. What runs or waits may finish, but for no longer than that. May be called by a signal handler."""
        self.draining = True
        at = time.monotonic() + seconds
        for generation in [*self._waiting, *self._running]:
            generation.loop.call_soon_threadsafe(self._bring_forward, generation, at)

    def close(self) -> None:
        """Take nothing new, drop what waits and stop what runs at its next step, without waiting for that."""
        self.draining = True
        for generation in [*self._waiting, *self._running]:
            self._end(generation, DeadlinePassed())
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _admit(self, generation: QueuedGeneration, since: float) -> None:
        if self.draining:
            raise ShuttingDown
        if self.pending >= self._capacity:
            raise QueueFull(self.pending, self._retry_after())
        self._waiting.append(generation)
        self._bring_forward(generation, since + self._timeout)
        self._begin_waiting()

    def _begin_waiting(self) -> None:
        """Begin what waits, in its order, as far as threads and memory allow.

        Who waits for a model that is being loaded lets others pass. Who waits for memory does not, or would wait for ever.
        """
        for generation in [*self._waiting]:
            if self.running == self._concurrency:
                return
            if generation.deadline.passed:
                self._end(generation, DeadlinePassed())
            elif claim := self._memory.claim(generation.engine, generation.work):
                self._begin(generation, claim)
            elif not self._memory.loading:
                return

    def _begin(self, generation: QueuedGeneration, claim: MemoryClaim) -> None:
        self._waiting.remove(generation)
        self._running.add(generation)
        generation.timer.leave_queue()
        self._threads.submit(self._run, generation, claim)

    def _run(self, generation: QueuedGeneration, claim: MemoryClaim) -> None:
        """Load the model if need be, and generate. Called on a thread."""
        began, error = time.monotonic(), None
        # The loop is closed if the process ends without waiting for this thread.
        with contextlib.suppress(RuntimeError):
            try:
                claim.prepare()
                generation.loop.call_soon_threadsafe(self._loaded, claim)
                generation.run()
            except Exception as raised:
                error = raised
            generation.loop.call_soon_threadsafe(self._finish, generation, claim, error, time.monotonic() - began)

    def _loaded(self, claim: MemoryClaim) -> None:
        """The claim's model is in memory, and others that wait for it may begin."""
        if claim.loads:
            self._memory.settle(claim, loaded=True)
            self._begin_waiting()

    def _finish(
        self, generation: QueuedGeneration, claim: MemoryClaim, error: Exception | None, seconds: float
    ) -> None:
        """The thread is done with it."""
        if claim.loads:
            error = self._not_loaded(claim, error)
        self._running.discard(generation)
        self._memory.release(claim)
        if not generation.ended:
            self._mean_seconds += 0.2 * (seconds - self._mean_seconds)
            self._end(generation, error)
        self._begin_waiting()

    def _not_loaded(self, claim: MemoryClaim, error: Exception | None) -> Exception | None:
        """The claim's model could not be loaded. This answers all who wait for it; the next request tries again."""
        self._memory.settle(claim, loaded=False)
        if isinstance(error, FatalError):
            error = ModelNotLoaded(claim.engine.name, error)
            for other in [other for other in self._waiting if other.engine is claim.engine]:
                self._end(other, error)
        return error

    def _end(self, generation: QueuedGeneration, error: Exception | None) -> None:
        """Tell the reader of the end, and the thread that nobody reads on."""
        if isinstance(error, DeadlinePassed):
            error = self._nothing_in_time(generation)
        generation.ended = True
        generation.deadline.at = -math.inf
        if generation.alarm:
            generation.alarm.cancel()
        with contextlib.suppress(ValueError):
            self._waiting.remove(generation)
        for index in generation.timer.end_rest("timeout") if error is None else ():
            generation.events.put_nowait(TextDelta(index, "", "timeout", tokens=0))
        generation.events.put_nowait(error)

    def _bring_forward(self, generation: QueuedGeneration, at: float) -> None:
        """Let the deadline be `at`, unless it is earlier."""
        if generation.ended or at >= generation.deadline.at:
            return
        generation.deadline.at = at
        if generation.alarm:
            generation.alarm.cancel()
        seconds = max(0.0, at - time.monotonic())
        generation.alarm = generation.loop.call_later(seconds + LATE, self._give_up, generation)

    def _give_up(self, generation: QueuedGeneration) -> None:
        """The deadline has passed, and the generation still waits or its thread is late."""
        self._end(generation, DeadlinePassed())

    def _nothing_in_time(self, generation: QueuedGeneration) -> Exception | None:
        """The error for a generation whose deadline has passed; None if it has begun a text."""
        if generation.timer.begun:
            return None
        kind = QueueTimeout if generation in self._waiting else GenerationTimeout
        return kind(self._retry_after())

    def _retry_after(self) -> int:
        """Seconds until there should be room, from a moving average of how long generations take."""
        return max(1, math.ceil(self._mean_seconds * (self.pending - self._capacity + 1) / self._concurrency))
