"""Who writes a text, and what is stored of it: a joke by a model or by people, or a model's answer."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from app.blind.comparison import BlindComparison, Contender
from app.blind.jokes import Joke
from app.bot.address import AddressedText
from app.bot.chat_state import ChatState
from app.bot.message_limits import cut
from app.bot.model_writer import ModelWriter
from app.engine.prompts import alternating
from app.feedback.store import OWN_WORDS, ShownText, new_id

# The most seconds that a joke by people is held back, so that its speed does not give it away in a blind comparison.
MAX_PACE = 10.0


class Composition(NamedTuple):
    """A text as it is stored, and as it is shown."""

    text: ShownText
    shown: str


class Composer:
    """Writes what messages ask for, by the chat's model or, in a blind comparison, by somebody chosen at random.

    `until` is when a model has to stop, on the event loop's clock; `show` is called with the text so far whenever it grows.
    """

    def __init__(self, writer: ModelWriter, default_model: str, comparison: BlindComparison) -> None:
        self._writer = writer
        self._default_model = default_model
        self.comparison = comparison
        # Seconds that the last joke by a model took.
        self._pace = 0.0

    async def compose(
        self, asked: AddressedText, turns: Sequence[str], chat: ChatState, until: float, show: Callable[[str], None]
    ) -> Composition:
        """The joke or the answer that is asked for. `turns` come before an answer.

        Raises UnknownModel, PromptTooLong, QueueUnavailable.
        """
        if not asked.wants_joke:
            return await self._answer(asked, turns, chat, until, show)
        if asked.topic:
            return await self._joke(Contender(self._model(chat)), asked.topic, chat, until, show)
        author = self.comparison.pick() if self.comparison else Contender(self._model(chat))
        return await self._joke(author, "", chat, until, show)

    def can_read(self, asked: AddressedText, chat: ChatState) -> bool:
        """Whether the chat's model knows the letters of what is asked for. Whose letters they are would be a hint, when blind."""
        return bool(self.comparison) or self._writer.has_letters(self._model(chat), asked.text)

    async def _joke(
        self, author: Contender, topic: str, chat: ChatState, until: float, show: Callable[[str], None]
    ) -> Composition:
        began = time.monotonic()
        if author.jokes:
            await asyncio.sleep(self._pace)
            joke = random.choice(author.jokes)
            return Composition(shown_text(joke, author.name, {}), cut(joke.shown))
        joke = await self._writer.joke(author.name, topic, chat, until, show)
        self._pace = min(time.monotonic() - began, MAX_PACE)
        settings: dict[str, Any] = self._writer.settings(author.name, chat)._asdict()
        if not topic and not self.comparison:
            settings[OWN_WORDS] = True
        return Composition(shown_text(joke, author.name, settings), cut(joke.shown))

    async def _answer(
        self,
        asked: AddressedText,
        turns: Sequence[str],
        chat: ChatState,
        until: float,
        show: Callable[[str], None],
    ) -> Composition:
        model = self._model(chat)
        # A single question is put in a template of its own, which some models have learned.
        as_question = asked.command == "joke" and not chat.talking
        answer = await self._writer.answer(
            model, alternating([*turns, asked.text]), chat, until, show, as_question=as_question
        )
        text = shown_text(Joke(asked.text, answer), model, self._writer.settings(model, chat)._asdict())
        return Composition(text, cut(answer))

    def _model(self, chat: ChatState) -> str:
        """The model that answers, since people's texts cannot."""
        return (self.comparison.pick_model() if self.comparison else chat.model) or self._default_model


def shown_text(joke: Joke, author: str, settings: dict[str, Any]) -> ShownText:
    """The text as it is stored. `settings` are those that a model wrote with; people's texts have none."""
    return ShownText(
        id=new_id(),
        text=joke.answer,
        prompt=joke.question,
        generated_by=author,
        source="model" if settings else "human",
        channel="telegram",
        created=datetime.now(UTC),
        settings=settings,
    )
