"""Updates: each handled once, those of a chat one after the other, those of different chats side by side."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Annotated, Any, Protocol
from weakref import WeakValueDictionary

import msgspec
from msgspec import Meta

from app.errors import StoreError, Undelivered
from app.feedback.store import Store

log = logging.getLogger(__name__)
# Telegram waits sixty.
SECONDS = 50.0
# What is remembered to have been handled, beside the store.
REMEMBERED = 4096
# What SQLite can hold.
Number = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]


class Chat(msgspec.Struct):
    id: Number


class Message(msgspec.Struct):
    chat: Chat


class Press(msgspec.Struct):
    message: Message | None = None


class Envelope(msgspec.Struct):
    """Of an update, what tells when it is its turn."""

    update_id: Number
    message: Message | None = None
    callback_query: Press | None = None

    @property
    def chat(self) -> int | None:
        message = self.message or (self.callback_query and self.callback_query.message)
        return message.chat.id if message else None


@dataclass
class Handling:
    """One update being handled: until when, on the event loop's clock, and whether anything may have been answered."""

    update_id: int
    deadline: float
    answered: bool = False


handling: ContextVar[Handling] = ContextVar("handling")


class Handler(Protocol):
    async def handle(self, update: dict[str, Any]) -> None:
        """Answer the update. Raises Undelivered or QueueUnavailable where nothing was answered and a later try may do better."""

    async def close(self) -> None: ...


class Updates:
    def __init__(self, open_bot: Callable[[], Handler], store: Store | None) -> None:
        self._open_bot = open_bot
        self._store = store
        self._bot: asyncio.Future[Handler] | None = None
        self._running: dict[int, asyncio.Task[None]] = {}
        self._done: dict[int, None] = {}
        # A lock is there for as long as somebody holds it or waits for it.
        self._chats: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    async def take(self, update: dict[str, Any]) -> None:
        """Handle the update, or wait for the handling that has begun already. Raises Undelivered, QueueUnavailable."""
        try:
            envelope = msgspec.convert(update, Envelope)
        except msgspec.ValidationError:
            log.warning("an update is malformed")
            return
        task = self._running.get(envelope.update_id)
        if task is None:
            task = asyncio.create_task(self._handle(envelope, update))
            self._running[envelope.update_id] = task
            task.add_done_callback(lambda _: self._running.pop(envelope.update_id))
        # Whoever stops waiting does not stop the work: the next delivery of this update finds it under way.
        await asyncio.shield(task)

    async def close(self) -> None:
        if self._bot is not None and self._bot.done() and not self._bot.exception():
            await self._bot.result().close()

    async def _handle(self, envelope: Envelope, update: dict[str, Any]) -> None:
        now = asyncio.get_running_loop().time()
        current = Handling(envelope.update_id, now + SECONDS)
        handling.set(current)
        lock = asyncio.Lock() if envelope.chat is None else self._chats.setdefault(envelope.chat, asyncio.Lock())
        try:
            async with asyncio.timeout_at(current.deadline), lock:
                if not await self._finished(envelope.update_id):
                    await (await self._opened()).handle(update)
        except TimeoutError:
            if not current.answered:
                raise Undelivered("the update could not be handled in time: try again.") from None
            log.warning("an update was answered in part, and then its time was up")
        await self._finish(envelope.update_id)

    async def _opened(self) -> Handler:
        """The bot, opened on a thread by the first who needs it, since that imports the library."""
        if self._bot is None:
            self._bot = asyncio.ensure_future(asyncio.to_thread(self._open_bot))
        return await asyncio.shield(self._bot)

    async def _finished(self, update_id: int) -> bool:
        if update_id in self._done or self._store is None:
            return update_id in self._done
        try:
            return await self._store.finished(update_id)
        except StoreError:
            # What needs the store will say so in the chat.
            return False

    async def _finish(self, update_id: int) -> None:
        self._done[update_id] = None
        if len(self._done) > REMEMBERED:
            del self._done[next(iter(self._done))]
        if self._store is not None:
            try:
                await self._store.finish(update_id)
            except StoreError:
                log.warning("that an update is done could not be kept: after a restart it may be answered again")
