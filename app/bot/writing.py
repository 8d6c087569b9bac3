"""What a model writes for the bot: a joke, or its turn after others'."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from contextlib import aclosing

from app.ask import Generation
from app.bot.chat_state import ChatState
from app.bot.message_limits import LIMIT, Joke, units
from app.bot.updates import handling
from app.engine.base import Engine, start_tokens
from app.engine.generation import GenerationOptions
from app.engine.generation_queue import GenerationQueue
from app.engine.prompts import TAGS, turn_stops, turn_tokens
from app.engine.sampling import Sampling
from app.errors import QueueTimeout
from app.models import Models

# Kept of an update's time for sending what was written.
SENDING = 10.0


class Writer:
    """`grow` of each method is called with the text so far."""

    def __init__(self, models: Models, queue: GenerationQueue, max_length: int) -> None:
        self._models = models
        self._queue = queue
        self._max_length = max_length

    async def joke(self, model: str, chat: ChatState, grow: Callable[[str], None]) -> Joke:
        """What the model tells, made of nothing. Raises UnknownModel, QueueUnavailable."""
        engine = await asyncio.to_thread(self._models.get, model)
        question, answer = (tag.strip() for tag in TAGS[engine.template])
        tokens = start_tokens(engine, question)
        text = await self._write(engine, tokens, chat, lambda text: grow(told(text, answer).shown))
        return told(text, answer)

    async def answer(self, model: str, turns: Sequence[str], chat: ChatState, grow: Callable[[str], None]) -> str:
        """The model's turn after these. Raises UnknownModel, PromptTooLong, QueueUnavailable."""
        engine = await asyncio.to_thread(self._models.get, model)
        tokens = await asyncio.to_thread(turn_tokens, engine, turns, chat.length)
        return await self._write(engine, tokens, chat, grow)

    async def _write(self, engine: Engine, tokens: Sequence[int], chat: ChatState, grow: Callable[[str], None]) -> str:
        """Write until the end, or until the update's time is nearly up. Raises QueueUnavailable if not even begun by then."""
        options = GenerationOptions(
            length=min(chat.length, self._max_length),
            seed=secrets.randbelow(2**32),
            sampling=Sampling(temperature=chat.temperature),
            stops=turn_stops(engine.template),
            reuse=chat.talking,
        )
        text = ""
        try:
            async with (
                asyncio.timeout_at(handling.get().deadline - SENDING),
                aclosing(Generation(self._queue, engine, [tokens], options)) as pieces,
            ):
                async for piece in pieces:
                    text += piece.text
                    grow(text)
                    if units(text) > LIMIT:
                        break
        except TimeoutError:
            if not text:
                raise QueueTimeout(retry_after=2) from None
        return text.strip()


def told(text: str, tag: str) -> Joke:
    """A joke as the model wrote it, with `tag` between question and answer; without a tag it is all one text."""
    question, _, answer = text.partition(tag) if tag else ("", "", text)
    return Joke(question.strip(), answer.strip()) if answer.strip() else Joke("", question.strip())
