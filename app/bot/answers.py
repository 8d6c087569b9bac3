"""Jokes and answers: they are stored for votes and sent, and written anew when the message that they answer is edited."""

from __future__ import annotations

import logging
from typing import NamedTuple

from telegram import Message

from app.bot.address import AddressedText
from app.bot.chat_state import AnsweredMessage, ChatState, ChatStates
from app.bot.composer import Composer, Composition
from app.bot.drafts import showing_progress
from app.bot.keyboard import text_buttons
from app.bot.outbox import Outbox
from app.bot.strings import NEW_CONVERSATION, NOTHING_WRITTEN, STRANGE_LETTERS
from app.bot.vote_buttons import ReplacedTexts
from app.errors import StoreError
from app.feedback.store import Store

log = logging.getLogger(__name__)
# Seconds kept at the end of an update's time for sending what was written.
SENDING = 10.0
# Seconds of silence after which a conversation is over.
SILENCE = 30 * 60


class EditedQuestion(NamedTuple):
    """An edited message that was answered: what it asks for now, the chat, and its latest answer."""

    asked: AddressedText
    chat: ChatState
    answered: AnsweredMessage


class Answers:
    """Writes jokes and answers, stores them if there is a store, and sends them. `aloud`: they can be heard, too.

    Methods raise TelegramError, UnknownModel, PromptTooLong, QueueUnavailable, StoreError.
    """

    def __init__(
        self, composer: Composer, chats: ChatStates, store: Store | None, replaced: ReplacedTexts, *, aloud: bool
    ) -> None:
        self._composer = composer
        self._chats = chats
        self._store = store
        self._replaced = replaced
        self._aloud = aloud

    async def write(self, message: Message, asked: AddressedText, outbox: Outbox, *, again: bool = False) -> None:
        """Send what `message` asks for. `again` replaces the last answer of a conversation."""
        chat = await self._chats.get(message.chat.id)
        notes = []
        if again and chat.turns[-2:-1] == [asked.text]:
            del chat.turns[-2:]
        elif not again and chat.is_silent(message.date.timestamp(), SILENCE):
            chat.begin_conversation(talking=True)
            notes.append(NEW_CONVERSATION)
        if not chat.told_of_letters and not self._composer.can_read(asked, chat):
            chat.told_of_letters = True
            notes.append(STRANGE_LETTERS)
        drafts = not self._composer.comparison
        composed = await self._compose(message, asked, chat.turns, chat, outbox, drafts=drafts)
        await self._send(message, asked, composed, chat, " ".join(notes), outbox)

    async def find_edited(self, message: Message, asked: AddressedText) -> EditedQuestion | None:
        """None unless the message was answered before, lately enough to be remembered, and now asks for something else."""
        chat = await self._chats.get(message.chat.id)
        answered = chat.answer_to(message.message_id)
        return EditedQuestion(asked, chat, answered) if answered and answered.digest != asked.digest else None

    async def rewrite(self, message: Message, edited: EditedQuestion, outbox: Outbox) -> None:
        """Edit the answer to an edited message. Votes on the old answer stay with its text, since the new one has another id."""
        asked, chat, answered = edited
        place = chat.turn_of(answered)
        turns = chat.turns if place is None else chat.turns[:place]
        # A draft would look like an answer that is still to come.
        text, shown = composed = await self._compose(message, asked, turns, chat, outbox, drafts=False)
        await self._store_text(composed)
        buttons = (
            text_buttons(text.id if self._store else None, answered.another, aloud=self._aloud) if text.text else None
        )
        self._replaced.add(answered.text)
        await outbox.edit(message.chat.id, answered.message, shown if text.text else NOTHING_WRITTEN, buttons)
        if place is not None:
            answered.talking = not asked.wants_joke and bool(text.text)
            chat.turns[place : place + 2] = [asked.text, text.text] if answered.talking else []
        answered.text, answered.digest = text.id, asked.digest
        await self._keep(message, chat)

    async def _compose(
        self,
        message: Message,
        asked: AddressedText,
        turns: list[str],
        chat: ChatState,
        outbox: Outbox,
        *,
        drafts: bool,
    ) -> Composition:
        until = outbox.context.deadline - SENDING
        async with showing_progress(message, outbox, drafts=drafts) as draft:
            return await self._composer.compose(asked, turns if chat.talking else [], chat, until, draft.replace)

    async def _send(
        self, message: Message, asked: AddressedText, composed: Composition, chat: ChatState, note: str, outbox: Outbox
    ) -> None:
        text, shown = composed
        if not text.text:
            await outbox.send(message, NOTHING_WRITTEN, note=note)
            if note:
                await self._keep(message, chat)
            return
        await self._store_text(composed)
        # What is about nothing needs no quote, and another one can be told when the message is gone.
        quoted = bool(asked.text.strip()) and asked.command != "begin"
        answered = AnsweredMessage(
            text=text.id,
            question=message.message_id,
            digest=asked.digest,
            another="again" if quoted else "joke",
            talking=chat.talking and not asked.wants_joke,
        )
        buttons = text_buttons(text.id if self._store else None, answered.another, aloud=self._aloud)
        answered.message = await outbox.send(message, shown, buttons, quote=quoted, note=note)
        if answered.talking:
            chat.turns = [*chat.turns, asked.text, text.text]
            chat.heard = max(chat.heard, int(message.date.timestamp()))
        chat.remember(answered)
        await self._keep(message, chat)

    async def _store_text(self, composed: Composition) -> None:
        """Store the text before it is sent: somebody may vote on it at once."""
        if self._store and composed.text.text:
            await self._store.add_text(composed.text)

    async def _keep(self, message: Message, chat: ChatState) -> None:
        try:
            await self._chats.keep(message.chat.id, chat)
        except StoreError:
            # The answer has been sent. Of a conversation people are told, since it cannot go on.
            if chat.talking:
                raise
            log.warning("could not remember an answer: an edit of its question will not change it")
