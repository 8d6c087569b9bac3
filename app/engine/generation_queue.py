"""Generations off the event loop: a bounded queue, each generation with a deadline.

At most `concurrency` generations write at a time and `queue_limit` more wait; further ones are refused. They begin in the order
of their arrival, but for those whose model is being loaded. One that is asked for `only_if_idle` begins if there is no other, and
gives way to the next.

A generation that has written for longer than a turn counts no more: the next one begins beside it, if there is memory for both.
So a dear one delays each other one by a turn, not by all the time that it may take.

One thread writes all texts, pass after pass, another one loads models, and the event loop reads. When the reader stops (the
client left), its texts leave at the next pass. When the deadline passes, the texts end as they are; a generation without a single
token by then is refused. The reader does not wait for a thread that is late, such as one that is loading a large model.

The event loop alone changes what is in here. The threads report to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

from app.engine.base import Engine
from app.engine.deadline import DeadlinePassed
from app.engine.generation import GenerationOptions, TextDelta
from app.engine.generation_stats import GenerationStats, GenerationTimer
from app.engine.heap import loading_weights
from app.engine.memory import MemoryClaim, ModelMemory
from app.engine.passes import Passes, work_bytes
from app.engine.queued_generation import QueuedGeneration
from app.errors import (
    FatalError,
    GenerationTimeout,
    ModelNotLoaded,
    NotIdle,
    QueueFull,
    QueueTimeout,
    ShuttingDown,
)

# Seconds after the deadline until the reader gives a thread up. A step of a large model may take longer.
LATE = 0.3
# The longest turn in seconds, and as a share of the time that a generation may take: so many dear ones one can wait for.
TURN = 10.0
TURN_SHARE = 1 / 10


class GenerationQueue:
    """Writes `concurrency` generations at a time and lets `queue_limit` wait; `timeout` seconds each, waiting included."""

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
        self._turn_seconds = min(TURN, timeout * TURN_SHARE)
        self._concurrency = concurrency
        self._capacity = concurrency + queue_limit
        self._passes = Passes(self._memory.prefixes)
        self._loader = ThreadPoolExecutor(1, thread_name_prefix="load")
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
        only_if_idle: bool = False,
    ) -> AsyncGenerator[TextDelta]:
        """Generate and yield deltas as they come, of several texts in alternation.

        The time is counted from `since`, in seconds of time.monotonic(), or from now. With `only_if_idle` the texts end as they
        are when another request comes.
        Raises QueueFull, NotIdle, QueueTimeout, GenerationTimeout, ModelNotLoaded or ShuttingDown at the first delta.
        """
        loop = asyncio.get_running_loop()
        generation = QueuedGeneration(engine, prompts, options, timer, loop, self._finish, only_if_idle)
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
        """Take nothing new, drop what waits and stop what runs after its pass, without waiting for that."""
        self.draining = True
        for generation in [*self._waiting, *self._running]:
            self._end(generation, DeadlinePassed())
        self._passes.close()
        self._loader.shutdown(wait=False, cancel_futures=True)

    def _admit(self, generation: QueuedGeneration, since: float) -> None:
        if self.draining:
            raise ShuttingDown
        if generation.only_if_idle and not self._idle(generation.engine):
            raise NotIdle(self._retry_after())
        for other in self._running:
            if other.only_if_idle and not other.ended:
                self._end(other, DeadlinePassed())
        pending = self.waiting + sum(not other.only_if_idle for other in self._running)
        if pending >= self._capacity:
            raise QueueFull(pending, self._retry_after())
        self._waiting.append(generation)
        self._bring_forward(generation, since + self._timeout)
        self._begin_waiting()

    def _idle(self, engine: Engine) -> bool:
        """Whether nobody is answered or waits, and nothing has to be loaded. What has ended may still be at its last pass."""
        answered = self.waiting or any(not each.ended for each in self._running)
        return not answered and engine.name in self._memory.loaded

    def _begin_waiting(self) -> None:
        """Begin what waits, in its order, as far as concurrency and memory allow.

        Who waits for a model that is being loaded lets others pass. Who waits for memory does not, or would wait for ever.
        """
        for generation in [*self._waiting]:
            if sum(not each.dear for each in self._running) >= self._concurrency:
                return
            if generation.deadline.passed:
                self._end(generation, DeadlinePassed())
            elif claim := self._claim(generation):
                self._begin(generation, claim)
            elif not self._memory.loading:
                return

    def _claim(self, generation: QueuedGeneration) -> MemoryClaim | None:
        work = work_bytes(generation.engine, generation.prompts, generation.options)
        return self._memory.claim(generation.engine, work)

    def _begin(self, generation: QueuedGeneration, claim: MemoryClaim) -> None:
        self._waiting.remove(generation)
        self._running.add(generation)
        generation.timer.leave_queue()
        generation.claim, generation.began = claim, time.monotonic()
        generation.turn = generation.loop.call_later(self._turn_seconds, self._end_turn, generation)
        if claim.loads:
            self._loader.submit(self._load, generation, claim)
        else:
            self._passes.begin(generation)

    def _end_turn(self, generation: QueuedGeneration) -> None:
        generation.dear = True
        self._begin_waiting()

    def _load(self, generation: QueuedGeneration, claim: MemoryClaim) -> None:
        """Free the models that have to go, then load the wanted one. On the thread that loads."""
        error: Exception | None = None
        try:
            self._passes.make_room(claim.freed).result()
            with loading_weights():
                claim.engine.load()
        except Exception as raised:
            error = raised
        generation.on_loop(self._loaded, generation, claim, error)

    def _loaded(self, generation: QueuedGeneration, claim: MemoryClaim, error: Exception | None) -> None:
        """The claim's model is in memory, so that this generation and others that wait for it may begin, or could not be."""
        self._memory.settle(claim, loaded=error is None)
        if isinstance(error, FatalError):
            # This answers all who wait for it; the next request tries again.
            error = ModelNotLoaded(claim.engine.name, error)
            for other in [other for other in self._waiting if other.engine is claim.engine]:
                self._end(other, error)
        if error is None:
            self._passes.begin(generation)
            self._begin_waiting()
        else:
            self._finish(generation, error)

    def _finish(self, generation: QueuedGeneration, error: Exception | None) -> None:
        """The thread is done with it."""
        self._running.discard(generation)
        if generation.turn:
            generation.turn.cancel()
        if generation.claim:
            self._memory.release(generation.claim)
        if not generation.ended:
            seconds = time.monotonic() - generation.began
            self._mean_seconds += 0.2 * (seconds - self._mean_seconds)
            self._end(generation, error)
        self._begin_waiting()

    def _end(self, generation: QueuedGeneration, error: Exception | None) -> None:
        """Tell the reader of the end, and the thread that writes that nobody reads on."""
        generation.fetch()
        if isinstance(error, DeadlinePassed):
            error = self._nothing_in_time(generation)
        generation.ended = True
        generation.deadline.at = -math.inf
        if generation.alarm:
            generation.alarm.cancel()
        with contextlib.suppress(ValueError):
            self._waiting.remove(generation)
        reason: Literal["timeout", "abort"] = "abort" if generation.only_if_idle else "timeout"
        for index in generation.timer.end_rest(reason) if error is None else ():
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
        if generation.only_if_idle:
            return NotIdle(self._retry_after())
        kind = QueueTimeout if generation in self._waiting else GenerationTimeout
        return kind(self._retry_after())

    def _retry_after(self) -> int:
        """Seconds until there should be room, from a moving average of how long generations take."""
        return max(1, math.ceil(self._mean_seconds * (self.pending - self._capacity + 1) / self._concurrency))
