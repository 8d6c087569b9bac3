"""What the bot sends while it handles one update, with retries until the update's time is up.

A call that may have been carried out is never repeated, so no message is sent twice.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, NamedTuple, TypeVar

from telegram import (
    Bot,
    CallbackQuery,
    InlineKeyboardMarkup,
    InlineQuery,
    InlineQueryResultArticle,
    InlineQueryResultsButton,
    LinkPreviewOptions,
    Message,
    MessageEntity,
)
from telegram.constants import ChatAction, MessageEntityType
from telegram.error import BadRequest, TelegramError

from app.bot.client import NotCarriedOut, PerhapsCarriedOut, understood
from app.bot.message_limits import cut, units
from app.bot.updates import UpdateContext

T = TypeVar("T")
log = logging.getLogger(__name__)
# Seconds to wait before each retry, unless Telegram says how long.
PAUSES = (0.5, 1.0, 2.0)
# Seconds that a sign of progress may take. It is never retried, since it would come too late.
PROGRESS_TIMEOUT = 3.0
# The longest pause, in seconds, for what is not worth waiting for.
LONGEST_PAUSE = 2.0
NO_PREVIEW = LinkPreviewOptions(is_disabled=True)


class MessagePlace(NamedTuple):
    """Where a message of the bot is: in a chat, or wherever somebody sent it through inline mode."""

    chat_id: int | None = None
    message_id: int | None = None
    inline_id: str | None = None


class Outbox:
    """Every method raises TelegramError. `send` notes in the context that an answer was sent, or may have been."""

    def __init__(self, client: Bot, context: UpdateContext) -> None:
        self.context = context
        self._client = client

    async def send(
        self,
        message: Message,
        text: str,
        buttons: InlineKeyboardMarkup | None = None,
        *,
        quote: bool = False,
        note: str = "",
    ) -> int:
        """Send a text into the message's chat, as an answer that quotes it if `quote` is set. Returns the new message's id.

        There is no parse mode: what a model writes is shown as it is. A `note` stands above it in italics, in the same
        message, because only one can be sent without the risk that half of an answer is lost.
        """
        shown = cut(f"{note}\n\n{text}") if note else text
        slanted = [MessageEntity(MessageEntityType.ITALIC, 0, units(note))] if note else None
        sent = await self._with_retries(
            lambda: self._send_once(
                message.reply_text(
                    shown,
                    entities=slanted,
                    reply_markup=buttons,
                    do_quote=quote,
                    allow_sending_without_reply=True,
                    link_preview_options=NO_PREVIEW,
                )
            )
        )
        return sent.message_id

    async def send_voice(self, message: Message, sound: bytes) -> None:
        """Send a voice message that answers `message`. `sound` is Opus in an Ogg file."""
        await self._with_retries(
            lambda: self._send_once(message.reply_voice(sound, do_quote=True, allow_sending_without_reply=True))
        )

    async def _send_once(self, call: Coroutine[Any, Any, Message]) -> Message:
        """Make a call that sends a message, and note in the context whether the message may have been sent."""
        sending = asyncio.create_task(understood(call))
        try:
            return await asyncio.shield(sending)
        finally:
            # Also when the update's time is up: only once the call has ended is it known whether Telegram should send the
            # update again. It ends soon, since the client waits for an answer no longer than READ_SECONDS.
            await asyncio.wait([sending])
            failure = sending.exception()
            if failure is None or isinstance(failure, PerhapsCarriedOut):
                self.context.answered = True

    async def edit(self, chat_id: int, message_id: int, text: str, buttons: InlineKeyboardMarkup | None) -> None:
        """Replace a message's text and buttons, unless it says that already or is gone."""
        try:
            await self._with_retries(
                lambda: self._client.edit_message_text(
                    text, chat_id, message_id, reply_markup=buttons, link_preview_options=NO_PREVIEW
                )
            )
        except BadRequest:
            log.debug("a message was not edited")

    async def edit_buttons(self, place: MessagePlace, buttons: InlineKeyboardMarkup) -> None:
        """Replace a message's buttons, if Telegram allows it soon. They only show what is known already."""
        try:
            await self._with_retries(
                lambda: self._client.edit_message_reply_markup(
                    place.chat_id, place.message_id, place.inline_id, reply_markup=buttons
                ),
                longest=LONGEST_PAUSE,
            )
        except TelegramError as error:
            log.debug("the buttons of a message were not changed (%s)", type(error).__name__)

    async def acknowledge(self, query: CallbackQuery, text: str | None = None, *, alert: bool = False) -> None:
        """Tell Telegram that the press of a button was noticed, and show `text` to the person who pressed it."""
        try:
            await self._with_retries(lambda: query.answer(text, show_alert=alert))
        except BadRequest:
            log.info("a press of a button was answered too late")

    async def offer(
        self,
        query: InlineQuery,
        results: Sequence[InlineQueryResultArticle],
        button: InlineQueryResultsButton | None = None,
        *,
        cache_seconds: int = 0,
        personal: bool = False,
    ) -> None:
        """Answer an inline query, unless that is not possible soon: then it is too late."""
        try:
            await self._with_retries(
                lambda: query.answer(results, cache_seconds, personal, button=button), longest=LONGEST_PAUSE
            )
        except TelegramError as error:
            log.info("an inline query was not answered (%s)", type(error).__name__)

    async def show_draft(self, message: Message, text: str | None) -> None:
        """Show the beginning of an answer; without a text, Telegram shows that one is coming. Private chats only."""
        # All drafts of an answer share a number, which must not be zero.
        await understood(message.reply_text_draft(self.context.update_id or 1, text, read_timeout=PROGRESS_TIMEOUT))

    async def show_typing(self, message: Message) -> None:
        await understood(message.reply_chat_action(ChatAction.TYPING, read_timeout=PROGRESS_TIMEOUT))

    async def own_username(self) -> str:
        """The bot's username, without the @."""
        return (await self._with_retries(self._client.get_me)).username or ""

    async def _with_retries(self, call: Callable[[], Awaitable[T]], longest: float = math.inf) -> T:
        """`longest` is the longest pause, in seconds, that Telegram may ask for."""
        for pause in PAUSES:
            try:
                return await understood(call())
            except NotCarriedOut as error:
                wait = pause if error.retry_after is None else error.retry_after
                if wait > longest or not self.context.allows(wait):
                    raise
            await asyncio.sleep(wait)
        return await understood(call())
