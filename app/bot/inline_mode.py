"""Inline mode: `@NAME why did the duck` in any chat offers a text that goes on with it.

Telegram sends a query for every pause in typing, and shows the answer to the latest one only. So a query waits a moment before a
model is asked, and ends when the same person's next one comes.
"""

from __future__ import annotations

import asyncio
import logging

from telegram import (
    ChosenInlineResult,
    InlineQuery,
    InlineQueryResultArticle,
    InlineQueryResultsButton,
    InputTextMessageContent,
)

from app.blind.jokes import Joke
from app.bot.address import AddressedText
from app.bot.allowance import Allowance
from app.bot.chat_state import ChatState
from app.bot.composer import Composer, Composition
from app.bot.duet import ignore
from app.bot.keyboard import text_buttons
from app.bot.message_limits import cut
from app.bot.offered_texts import OfferedTexts
from app.bot.outbox import NO_PREVIEW, Outbox
from app.bot.strings import INLINE_BEGIN, INLINE_SEND, wait_please
from app.errors import GenerationError, StoreError

log = logging.getLogger(__name__)
# Seconds before a model is asked, and seconds that it may write. Telegram does not wait long.
PAUSE, SECONDS = 0.4, 6.0
# Tokens of a text.
LENGTH = 64
# Seconds for which Telegram may show the same text to whoever writes the same.
CACHE_SECONDS = 300
# Units of a text that are shown before it is sent.
PREVIEW = 200


class InlineMode:
    """`votes`: whether votes are stored. `personal`: whether an answer is for nobody but whoever asked."""

    def __init__(
        self, composer: Composer, offered: OfferedTexts, allowance: Allowance, *, votes: bool, personal: bool
    ) -> None:
        self._composer = composer
        self._offered = offered
        self._allowance = allowance
        self._votes = votes
        self._personal = personal
        # What is being written for each person, and the number of the update that asked for it.
        self._writing: dict[int, tuple[int, asyncio.Task[Composition | str]]] = {}

    async def answer(self, query: InlineQuery, number: int, outbox: Outbox) -> None:
        """Offer a text, or say what to do. Nothing is sent again later: by then the person has typed on.

        `number` is the update's: one that a newer update has overtaken is not answered.
        """
        person = query.from_user.id
        if earlier := self._writing.get(person):
            if earlier[0] > number:
                return
            earlier[1].cancel()
        if not self._allowance.may_ask(person, person):
            await outbox.offer(query, [], personal=True)
            return
        if not query.query.strip():
            await outbox.offer(query, [], button(INLINE_BEGIN), cache_seconds=CACHE_SECONDS)
            return
        writing = asyncio.create_task(self._write(query.query, person))
        mine = self._writing[person] = (number, writing)
        try:
            await asyncio.wait([writing])
        finally:
            writing.cancel()
            if self._writing.get(person) is mine:
                del self._writing[person]
        if writing.cancelled():
            return
        written = writing.result()
        if isinstance(written, str):
            await outbox.offer(query, [], button(written) if written else None, personal=True)
            return
        self._offered.add(written.text)
        await outbox.offer(query, [self._article(written)], cache_seconds=CACHE_SECONDS, personal=self._personal)

    async def keep_chosen(self, chosen: ChosenInlineResult) -> None:
        """Store the text that somebody sent. Telegram only tells of it if @BotFather was asked to, by /setinlinefeedback."""
        try:
            await self._offered.keep(chosen.result_id)
        except StoreError:
            log.warning("a text that was sent in inline mode could not be stored: the first vote on it tries again")

    async def _write(self, text: str, person: int) -> Composition | str:
        """A text that goes on with this one, or what to say in its place, perhaps nothing."""
        await asyncio.sleep(PAUSE)
        if seconds := self._allowance.seconds_until_allowed("text", person):
            return wait_please(seconds)
        asked = AddressedText("joke", text)
        until = asyncio.get_running_loop().time() + SECONDS
        with self._allowance.counting("text", person):
            try:
                composed = await self._composer.compose(asked, [], ChatState(length=LENGTH), until, ignore)
            except GenerationError:
                return ""
        if not composed.text.text:
            return ""
        # In another chat nobody sees what was asked.
        shown = composed.shown if asked.wants_joke else cut(Joke(asked.text.strip(), composed.shown).shown)
        return composed._replace(shown=shown)

    def _article(self, written: Composition) -> InlineQueryResultArticle:
        content = InputTextMessageContent(written.shown, link_preview_options=NO_PREVIEW)
        return InlineQueryResultArticle(
            id=written.text.id,
            title=INLINE_SEND,
            description=cut(" ".join(written.shown.split()), PREVIEW),
            input_message_content=content,
            reply_markup=text_buttons(written.text.id, None) if self._votes else None,
        )


def button(label: str) -> InlineQueryResultsButton:
    """What Telegram shows above the results. A press of it opens the chat with the bot."""
    return InlineQueryResultsButton(label, start_parameter="inline")
