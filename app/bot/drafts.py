"""What a chat sees while a text is being written: the text so far where Telegram can show it, else that somebody is typing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from telegram import Message
from telegram.constants import ChatAction, ChatType
from telegram.error import TelegramError

from app.bot.message_limits import cut
from app.bot.updates import handling

# Seconds until the first sign, which a quick reply does without; between two drafts; between two signs of typing, which last 5.
FIRST = 0.3
DRAFTS = 1.0
TYPING = 4.0
PATIENCE = 3.0


class Progress:
    """The text so far."""

    def __init__(self) -> None:
        self.text = ""

    def grow(self, text: str) -> None:
        self.text = text


@contextlib.asynccontextmanager
async def progress(message: Message, drafts: bool) -> AsyncIterator[Progress]:
    """Show what is written inside of this, as an answer to `message`. Afterwards nothing more is shown."""
    state, done = Progress(), asyncio.Event()
    drafts = drafts and message.chat.type == ChatType.PRIVATE
    showing = asyncio.create_task(show(message, drafts, state, done))
    try:
        yield state
    finally:
        done.set()
        # Not cancelled: a draft on its way would arrive after the text itself.
        await showing


async def show(message: Message, drafts: bool, state: Progress, done: asyncio.Event) -> None:
    pause = FIRST
    # That it cannot be shown matters less than the text itself.
    with contextlib.suppress(TelegramError):
        while not await passed(done, pause):
            if drafts:
                # Without a text it says that somebody is thinking.
                draft = cut(state.text).strip() or None
                await message.reply_text_draft(handling.get().update_id or 1, draft, read_timeout=PATIENCE)
            else:
                await message.reply_chat_action(ChatAction.TYPING, read_timeout=PATIENCE)
            pause = DRAFTS if drafts else TYPING


async def passed(done: asyncio.Event, seconds: float) -> bool:
    """Whether it is done before so many seconds have passed."""
    try:
        async with asyncio.timeout(seconds):
            return await done.wait()
    except TimeoutError:
        return False
