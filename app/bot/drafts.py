"""Signs of progress while a text is written: the text so far in private chats, "typing" in groups."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from telegram import Message
from telegram.constants import ChatType
from telegram.error import TelegramError

from app.bot.message_limits import cut
from app.bot.outbox import Outbox

# Seconds before the first sign. A quick answer needs none.
FIRST_PAUSE = 0.3
DRAFT_PAUSE = 1.0
# Telegram shows "typing" for five seconds.
TYPING_PAUSE = 4.0


class DraftText:
    """The text so far."""

    def __init__(self) -> None:
        self.text = ""

    def replace(self, text: str) -> None:
        self.text = text


@contextlib.asynccontextmanager
async def showing_progress(message: Message, outbox: Outbox, *, drafts: bool) -> AsyncIterator[DraftText]:
    """Show signs of progress for the duration of the block. After it no more are sent."""
    draft, done = DraftText(), asyncio.Event()
    show = show_drafts if drafts and message.chat.type == ChatType.PRIVATE else show_typing
    showing = asyncio.create_task(show(message, outbox, draft, done))
    try:
        yield draft
    finally:
        done.set()
        # Waited for, not cancelled: a draft that is on its way would arrive after the text itself.
        await showing


async def show_drafts(message: Message, outbox: Outbox, draft: DraftText, done: asyncio.Event) -> None:
    pause = FIRST_PAUSE
    with contextlib.suppress(TelegramError):
        while not await is_set_within(pause, done):
            await outbox.show_draft(message, cut(draft.text).strip() or None)
            pause = DRAFT_PAUSE


async def show_typing(message: Message, outbox: Outbox, draft: DraftText, done: asyncio.Event) -> None:
    pause = FIRST_PAUSE
    with contextlib.suppress(TelegramError):
        while not await is_set_within(pause, done):
            await outbox.show_typing(message)
            pause = TYPING_PAUSE


async def is_set_within(seconds: float, done: asyncio.Event) -> bool:
    """Wait for the event, but no longer than `seconds`. Returns whether it is set."""
    try:
        async with asyncio.timeout(seconds):
            return await done.wait()
    except TimeoutError:
        return False
