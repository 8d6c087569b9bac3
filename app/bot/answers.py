"""Jokes and answers: who writes them, how they are shown, and how they are stored for votes."""

from __future__ import annotations

import asyncio
import random
import time
from datetime import UTC, datetime

from telegram import Message

from app.blind.comparison import BlindComparison, Contender
from app.blind.jokes import Joke
from app.bot.chat_state import ChatSampling, ChatState, ChatStates
from app.bot.drafts import showing_progress
from app.bot.keyboard import AnotherAction, text_buttons
from app.bot.message_limits import cut
from app.bot.model_writer import ModelWriter
from app.bot.outbox import Outbox
from app.bot.strings import NOTHING_WRITTEN
from app.feedback.store import ShownText, Store, new_id

# The most seconds that a joke by people is held back, so that its speed does not give it away in a blind comparison.
MAX_PACE = 10.0


class Answers:
    """Writes jokes and answers, stores them if there is a store, and sends them."""

    def __init__(
        self,
        writer: ModelWriter,
        default_model: str,
        chats: ChatStates,
        store: Store | None,
        comparison: BlindComparison,
    ) -> None:
        self._writer = writer
        self._default_model = default_model
        self._chats = chats
        self._store = store
        self._comparison = comparison
        # Seconds that the last joke by a model took.
        self._pace = 0.0

    async def write(
        self, message: Message, text: str, outbox: Outbox, *, again: bool = False, as_question: bool = False
    ) -> None:
        """Answer `text`, or tell a joke if it is empty. `again` replaces the last answer of a conversation.

        Outside of a conversation, a text is put to the model `as_question`, which is a template of its own in some models.

        Raises TelegramError, UnknownModel, PromptTooLong, QueueUnavailable, StoreError.
        """
        chat = await self._chats.get(message.chat.id)
        if again and chat.turns[-2:-1] == [text]:
            del chat.turns[-2:]
        if text.strip():
            await self._answer(message, text, chat, outbox, as_question and not chat.talking)
        else:
            await self._tell_joke(message, chat, outbox)

    async def _tell_joke(self, message: Message, chat: ChatState, outbox: Outbox) -> None:
        author = self._comparison.pick() if self._comparison else Contender(chat.model or self._default_model)
        began = time.monotonic()
        async with showing_progress(message, outbox, drafts=not self._comparison) as draft:
            if author.jokes:
                await asyncio.sleep(self._pace)
                joke = random.choice(author.jokes)
            else:
                joke = await self._writer.joke(author.name, chat, outbox.context, draft.replace)
                self._pace = min(time.monotonic() - began, MAX_PACE)
        settings = None if author.jokes else self._writer.settings(author.name, chat)
        text = shown_text(joke, author.name, settings)
        await self._show(message, text, cut(joke.shown), "joke", outbox)

    async def _answer(
        self, message: Message, question: str, chat: ChatState, outbox: Outbox, as_question: bool
    ) -> None:
        turns = [*chat.turns, question] if chat.talking else [question]
        model = (self._comparison.pick_model() if self._comparison else chat.model) or self._default_model
        async with showing_progress(message, outbox, drafts=not self._comparison) as draft:
            answer = await self._writer.answer(
                model, turns, chat, outbox.context, draft.replace, as_question=as_question
            )
        text = shown_text(Joke(question, answer), model, self._writer.settings(model, chat))
        await self._show(message, text, cut(answer), "again", outbox)
        if chat.talking and answer:
            chat.turns = [*turns, answer]
            await self._chats.keep(message.chat.id, chat)

    async def _show(
        self, message: Message, text: ShownText, shown: str, another: AnotherAction, outbox: Outbox
    ) -> None:
        """Store the text, then send it: somebody may vote on it at once."""
        if not text.text:
            await outbox.send(message, NOTHING_WRITTEN)
            return
        if self._store:
            await self._store.add_text(text)
        buttons = text_buttons(text.id if self._store else None, another)
        await outbox.send(message, shown, buttons, quote=another == "again")


def shown_text(joke: Joke, author: str, settings: ChatSampling | None) -> ShownText:
    """The text as it is stored. `settings` are those that a model wrote with; people's texts have none."""
    return ShownText(
        id=new_id(),
        text=joke.answer,
        prompt=joke.question,
        generated_by=author,
        source="model" if settings else "human",
        channel="telegram",
        created=datetime.now(UTC),
        settings=settings._asdict() if settings else {},
    )
