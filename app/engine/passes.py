"""The thread that writes: pass after pass over the models that have texts to write, in turn.

What it is asked to do comes between two passes: begin a request, stop one, free a model. It belongs to the queue, which decides
what may begin.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Protocol

from app.engine.base import Engine
from app.engine.batch import TextBatch
from app.engine.batched_prompt import BatchedPrompt
from app.engine.deadline import Deadline
from app.engine.generation import GenerationOptions, TextDelta, needed_positions
from app.engine.memory import MOST_ROWS
from app.engine.prefix_cache import PrefixCache

# The most texts of one request that are written side by side, unless one of its prompts has more: they share the passes with all
# other requests, and more are hardly faster.
ROWS_OF_A_REQUEST = 16
# The slots of a batch: room for others beside the largest request.
ROWS = MOST_ROWS + ROWS_OF_A_REQUEST


class PassRequest(Protocol):
    """What the thread writes: `options.samples` texts after each prompt, numbered on from prompt to prompt."""

    engine: Engine
    prompts: Sequence[Sequence[int]]
    options: GenerationOptions
    deadline: Deadline

    def report(self, deltas: Sequence[TextDelta]) -> None:
        """What a pass has added. On the thread."""
        ...

    def finish(self, error: Exception | None) -> None:
        """All texts have ended, or an error ended them. On the thread."""
        ...


def prompts_at_once(engine: Engine, prompts: Sequence[Sequence[int]], options: GenerationOptions) -> int:
    """How many prompts of a request have their texts written side by side."""
    if not engine.shares_passes:
        return 1
    positions = options.samples * largest_need(engine, prompts, options)
    return max(1, min(len(prompts), ROWS_OF_A_REQUEST // options.samples, engine.max_positions // positions))


def work_bytes(engine: Engine, prompts: Sequence[Sequence[int]], options: GenerationOptions) -> int:
    """The most memory that the slots of a request take."""
    rows = options.samples * prompts_at_once(engine, prompts, options)
    return rows * engine.slot_bytes(largest_need(engine, prompts, options))


def largest_need(engine: Engine, prompts: Sequence[Sequence[int]], options: GenerationOptions) -> int:
    return max(needed_positions(engine, tokens, options) for tokens in prompts)


class RunningRequest:
    """A request on the thread: the prompts in the batch, by their numbers, and which one comes next."""

    def __init__(self, request: PassRequest) -> None:
        self.request = request
        self.error: Exception | None = None
        self.prompts: dict[int, BatchedPrompt] = {}
        self._next = 0
        self._at_once = prompts_at_once(request.engine, request.prompts, request.options)

    @property
    def ended(self) -> bool:
        return self.error is not None or (not self.prompts and self._next == len(self.request.prompts))

    def add_to(self, batch: TextBatch) -> None:
        """Add the next prompt, if the one before has been read. So prompts of several requests are read in alternation."""
        request = self.request
        full = len(self.prompts) >= self._at_once or self._next == len(request.prompts)
        if full or any(prompt.unread for prompt in self.prompts.values()):
            return
        try:
            self.prompts[self._next] = batch.add(request.prompts[self._next], request.options, request.deadline)
            self._next += 1
        except Exception as error:
            self.error = error

    def report(self) -> None:
        """Report what a pass has added."""
        deltas: list[TextDelta] = []
        for number, prompt in [*self.prompts.items()]:
            first = number * self.request.options.samples
            deltas += (replace(delta, index=first + delta.index) if first else delta for delta in prompt.take())
            self.error = self.error or prompt.error
            if prompt.ended:
                del self.prompts[number]
        if deltas:
            self.request.report(deltas)


class Passes:
    """Runs passes on a thread of its own, while there is anything to write."""

    def __init__(self, prefixes: PrefixCache) -> None:
        self._prefixes = prefixes
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="passes")
        self._batches: dict[Engine, TextBatch] = {}
        self._running: dict[TextBatch, list[RunningRequest]] = {}
        self._turning = False

    def begin(self, request: PassRequest) -> None:
        """Write the request's texts. Its model is in memory."""
        # Where this has been closed, the reader knows.
        with contextlib.suppress(RuntimeError):
            self._thread.submit(self._begin, request)

    def make_room(self, freed: Iterable[Engine]) -> Future[None]:
        """Release what the prefix cache has dropped, and free models that have no request."""
        return self._thread.submit(self._make_room, [*freed])

    def close(self) -> None:
        """Stop after the pass that runs, without waiting for it."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _begin(self, request: PassRequest) -> None:
        engine = request.engine
        if engine not in self._batches:
            batch = self._batches[engine] = TextBatch(engine, ROWS, prefixes=self._prefixes)
            self._running[batch] = []
        self._running[self._batches[engine]].append(RunningRequest(request))
        self._go_on()

    def _make_room(self, freed: Sequence[Engine]) -> None:
        for engine in freed:
            self._close(engine)
            engine.free()
        for batch in self._running:
            batch.release_dropped()

    def _go_on(self) -> None:
        if not self._turning:
            self._turning = True
            # The process ends, or the queue has been closed.
            with contextlib.suppress(RuntimeError):
                self._thread.submit(self._turn)

    def _turn(self) -> None:
        """A pass over each model that has texts to write."""
        self._turning = False
        try:
            # Before anything is filled.
            for batch in self._running:
                batch.release_dropped()
            for batch, running in [*self._running.items()]:
                if running:
                    self._run(batch, running)
        finally:
            if any(self._running.values()):
                self._go_on()

    def _run(self, batch: TextBatch, running: list[RunningRequest]) -> None:
        try:
            for each in running:
                each.add_to(batch)
            batch.run()
        except Exception as error:
            # Nobody knows what the slots hold now.
            self._close(batch.engine)
            for each in running:
                each.request.finish(error)
            return
        for each in [*running]:
            try:
                each.report()
            except Exception as error:
                each.error = error
            if each.ended:
                running.remove(each)
                for prompt in each.prompts.values():
                    batch.remove(prompt)
                each.request.finish(each.error)

    def _close(self, engine: Engine) -> None:
        if batch := self._batches.pop(engine, None):
            del self._running[batch]
            batch.close()
