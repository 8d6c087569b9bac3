"""What a model writes for the bot: a joke, or the next turn of a conversation."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from contextlib import aclosing

from app.ask import Generation, read_turns, turn_options
from app.blind.jokes import Joke, begin_joke, split_joke
from app.bot.chat_state import ChatSampling, ChatState
from app.bot.letters import has_letters
from app.bot.message_limits import LIMIT, units
from app.engine.base import Engine
from app.engine.generation import GenerationOptions
from app.engine.generation_queue import GenerationQueue
from app.engine.prompts import Turn
from app.errors import QueueTimeout
from app.models import Models


class ModelWriter:
    """`show` of each method is called with the text so far, whenever it grows."""

    def __init__(self, models: Models, queue: GenerationQueue, max_length: int) -> None:
        self._models = models
        self._queue = queue
        self._max_length = max_length

    def settings(self, model: str, chat: ChatState) -> ChatSampling:
        """The temperature and the length with which this model writes for the chat. Raises UnknownModel."""
        return chat.settings(self._models.get(model).profile.sampling)

    def has_letters(self, model: str, text: str) -> bool:
        """Whether the model can read the letters of a text. Raises UnknownModel."""
        return has_letters(self._models.get(model).tokenizer, text)

    async def joke(self, model: str, topic: str, chat: ChatState, until: float, show: Callable[[str], None]) -> Joke:
        """A joke that the model begins itself, or goes on with after `topic`.

        Raises UnknownModel, ModelNotLoaded, PromptTooLong, QueueUnavailable.
        """
        engine = self._models.get(model)
        prompt, options, answer = await begin_joke(engine, self._options(engine, chat), topic)

        def joke(text: str) -> Joke:
            return split_joke(topic + text, answer) if text.strip() else Joke("", "")

        return joke(await self._write(engine, prompt, options, until, lambda text: show(joke(text).shown)))

    async def answer(
        self,
        model: str,
        turns: Sequence[Turn],
        chat: ChatState,
        until: float,
        show: Callable[[str], None],
        *,
        as_question: bool = False,
    ) -> str:
        """The model's turn after `turns`, which are put in the template of its conversations, or of its questions.

        Raises UnknownModel, ModelNotLoaded, PromptTooLong, QueueUnavailable.
        """
        engine = self._models.get(model)
        options = turn_options(engine, self._options(engine, chat))
        template = engine.profile.question_template if as_question else None
        prompt = await read_turns(engine, turns, options.length, template)
        return (await self._write(engine, prompt, options, until, show)).strip()

    async def _write(
        self,
        engine: Engine,
        prompt: Sequence[int],
        options: GenerationOptions,
        until: float,
        show: Callable[[str], None],
    ) -> str:
        """Write until the text ends, a message is full, or it is `until` on the event loop's clock.

        Raises QueueUnavailable if nothing was written by then.
        """
        text = ""
        try:
            async with (
                asyncio.timeout_at(until),
                aclosing(Generation(self._queue, engine, [prompt], options)) as deltas,
            ):
                async for delta in deltas:
                    text += delta.text
                    show(text)
                    if units(text) > LIMIT:
                        break
        except TimeoutError:
            if not text:
                raise QueueTimeout(retry_after=2) from None
        return text

    def _options(self, engine: Engine, chat: ChatState) -> GenerationOptions:
        defaults = engine.profile.sampling
        return GenerationOptions(
            length=min(chat.settings(defaults).length, self._max_length),
            seed=secrets.randbelow(2**32),
            sampling=defaults.sampling({"temperature": chat.temperature}),
            reuse=chat.talking,
        )
