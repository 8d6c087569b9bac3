"""A generation in the queue: what was asked, what its reader gets, and its timers."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from app.engine.base import Engine
from app.engine.deadline import Deadline
from app.engine.generation import GenerationOptions, TextDelta
from app.engine.generation_stats import GenerationTimer
from app.engine.memory import MemoryClaim


@dataclass(eq=False)
class QueuedGeneration:
    """A generation that waits or runs. Its reader gets `events`: deltas, then an error or None. `alarm` goes off when late.

    `claim` is its memory, and `done` tells the queue that the thread is done with it. `turn` goes off when its turn is over:
    from then on it is `dear`.
    """

    engine: Engine
    prompts: Sequence[Sequence[int]]
    options: GenerationOptions
    timer: GenerationTimer
    loop: asyncio.AbstractEventLoop
    done: Callable[[QueuedGeneration, Exception | None], None]
    only_if_idle: bool = False
    deadline: Deadline = field(default_factory=Deadline)
    alarm: asyncio.TimerHandle | None = None
    turn: asyncio.TimerHandle | None = None
    events: asyncio.Queue[TextDelta | Exception | None] = field(default_factory=asyncio.Queue)
    claim: MemoryClaim | None = None
    began: float = 0.0
    dear: bool = False
    ended: bool = False
    # What the thread has written and the event loop has not fetched, and whether it has been told to.
    _written: deque[TextDelta] = field(default_factory=deque)
    _told: bool = False

    def report(self, deltas: Sequence[TextDelta]) -> None:
        """Hand deltas over to the reader. On the thread that writes."""
        for delta in deltas:
            self.timer.see(delta)
        self._written.extend(deltas)
        # Once is enough: a loop that is busy meanwhile fetches several at a time.
        if not self._told:
            self._told = True
            self.on_loop(self.fetch)

    def finish(self, error: Exception | None) -> None:
        """Tell the queue that all is written. On the thread that writes."""
        self.on_loop(self.done, self, error)

    def on_loop(self, function: Callable[..., object], *arguments: object) -> None:
        """Call a function on the event loop. It is closed if the process ends without waiting for the thread."""
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(function, *arguments)

    def fetch(self) -> None:
        """Let the reader have what has been written. On the event loop."""
        self._told = False
        while self._written:
            self.events.put_nowait(self._written.popleft())
