"""Telegram's updates: each is handled once, in order within a chat, and different chats at the same time.

The body of a request is parsed as JSON once. UpdateEnvelope then checks what the bot reads of it; the library builds its objects
only for an update whose turn has come, because importing it takes half a second.

A repeated update is recognised in two places. Memory knows the updates that are being handled and the last 4096 that were
finished. The update log, if the store has one, knows those of the last 24 hours, also after a restart.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol
from weakref import WeakValueDictionary

import msgspec

from app.bot.update_envelope import UpdateEnvelope
from app.errors import FatalError, QueueUnavailable, StoreError, Undelivered
from app.feedback.store import UpdateLog

log = logging.getLogger(__name__)
# Seconds for one update. Telegram waits 60 seconds for the answer to its request.
SECONDS = 50.0
# Telegram repeats an update within minutes, if at all.
REMEMBERED = 4096
# Seconds after a failure before the bot is opened again.
OPEN_PAUSE = 10.0


@dataclass
class UpdateContext:
    """An update while it is handled: its `deadline` on the event loop's clock, and whether an answer may have been sent."""

    update_id: int
    deadline: float
    answered: bool = False

    def allows(self, seconds: float) -> bool:
        """Whether there is time left after waiting this long."""
        return asyncio.get_running_loop().time() + seconds < self.deadline


class UpdateHandler(Protocol):
    """What answers updates."""

    async def handle(self, update: dict[str, Any], context: UpdateContext) -> None:
        """Answer the update. Raises Undelivered or QueueUnavailable if nothing was sent and trying again later can help."""

    async def close(self) -> None: ...


class Updates:
    """Takes updates from the webhook or from polling. `open_handler` makes what answers them, with the first update."""

    def __init__(self, open_handler: Callable[[], UpdateHandler], update_log: UpdateLog | None) -> None:
        self._open_handler = open_handler
        self._update_log = update_log
        self._handler: asyncio.Future[UpdateHandler] | None = None
        # When the handler may be opened again after a failure, on the event loop's clock.
        self._open_again = 0.0
        self._running: dict[int, asyncio.Task[None]] = {}
        self._finished: dict[int, None] = {}
        # A lock exists for as long as somebody holds it or waits for it.
        self._locks: WeakValueDictionary[int | str, asyncio.Lock] = WeakValueDictionary()

    async def take(self, update: dict[str, Any]) -> None:
        """Handle the update, or wait for it if it is being handled already. Raises Undelivered, QueueUnavailable."""
        try:
            # What cannot be written as JSON again, such as half a character, cannot be answered or stored either.
            msgspec.json.encode(update)
            envelope = msgspec.convert(update, UpdateEnvelope)
        except (msgspec.ValidationError, UnicodeEncodeError, RecursionError):
            log.warning("ignored a malformed update")
            return
        task = self._running.get(envelope.update_id)
        if task is None:
            task = asyncio.create_task(self._handle(envelope, update))
            self._running[envelope.update_id] = task
            task.add_done_callback(lambda _: self._running.pop(envelope.update_id))
        # The work goes on when its request ends: if Telegram delivers the update again, the new request waits for the same work.
        await asyncio.shield(task)

    async def close(self) -> None:
        if self._handler is not None and self._handler.done() and not has_failed(self._handler):
            await self._handler.result().close()

    async def _handle(self, envelope: UpdateEnvelope, update: dict[str, Any]) -> None:
        context = UpdateContext(envelope.update_id, asyncio.get_running_loop().time() + SECONDS)
        try:
            async with asyncio.timeout_at(context.deadline), self._lock(envelope.place):
                if not await self._is_finished(context.update_id):
                    await (await self._opened()).handle(update, context)
        except TimeoutError:
            if not context.answered:
                raise Undelivered("the update could not be handled in time: send it again.") from None
            log.warning("ran out of time for an update after a part of the answer was sent")
        except (Undelivered, QueueUnavailable):
            raise
        except Exception as error:
            # It would fail again each time that Telegram sends it again, for a day.
            log.error("an update could not be handled", exc_info=error)
        await self._finish(context.update_id)

    def _lock(self, place: int | str | None) -> asyncio.Lock:
        return asyncio.Lock() if place is None else self._locks.setdefault(place, asyncio.Lock())

    async def _opened(self) -> UpdateHandler:
        """The handler. The first caller opens it on a thread, because that imports the library. Raises Undelivered.

        After a failure, the first caller after OPEN_PAUSE seconds tries again.
        """
        handler = self._handler
        if handler is None or (has_failed(handler) and asyncio.get_running_loop().time() >= self._open_again):
            handler = self._handler = asyncio.ensure_future(asyncio.to_thread(self._open_handler))
            handler.add_done_callback(self._note_failure)
        try:
            return await asyncio.shield(handler)
        except Exception:
            raise Undelivered("the bot cannot be opened right now: send the update again.", int(OPEN_PAUSE)) from None

    def _note_failure(self, handler: asyncio.Future[UpdateHandler]) -> None:
        if not has_failed(handler):
            return
        self._open_again = asyncio.get_running_loop().time() + OPEN_PAUSE
        error = handler.exception()
        known = isinstance(error, FatalError)
        log.error("the bot cannot be opened%s", f": {error}" if known else "", exc_info=None if known else error)

    async def _is_finished(self, update_id: int) -> bool:
        if update_id in self._finished or self._update_log is None:
            return update_id in self._finished
        try:
            return await self._update_log.finished(update_id)
        except StoreError:
            # If the answer needs the store too, the person is told then.
            return False

    async def _finish(self, update_id: int) -> None:
        self._finished[update_id] = None
        if len(self._finished) > REMEMBERED:
            del self._finished[next(iter(self._finished))]
        if self._update_log is not None:
            try:
                await self._update_log.finish(update_id)
            except StoreError:
                log.warning("could not record a finished update: after a restart it may be answered again")


def has_failed(handler: asyncio.Future[UpdateHandler]) -> bool:
    return handler.done() and (handler.cancelled() or handler.exception() is not None)
