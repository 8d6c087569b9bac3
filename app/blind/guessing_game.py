"""The game of telling models from people: a text whose author is hidden, and a guess that is kept as a blind judgement.

    text = await game.draw(new_id(), player, number, channel)     # {id, question, text}: nothing in it says who wrote it
    judgement = await game.judge(text.id, voter, "human", channel)  # {right, source, generated_by}: the guess is stored by then

A coin decides who wrote a text, so that half of all guesses are right by chance. Nothing else depends on the coin. A model writes
for every turn, also where a person's text is shown, so that neither the time nor a full queue tells; and no text comes sooner
than slow ones have come lately, since a model takes longer for a longer text. Each turn begins with a person's text: if that is
an answer to a question, the model answers the same question.
"""

from __future__ import annotations

import asyncio
import math
import random
import secrets
import time
from collections import deque
from contextlib import aclosing
from datetime import UTC, datetime
from typing import NamedTuple

from app.ask import Generation, read_turns, turn_options
from app.blind.comparison import BlindComparison, Contender
from app.blind.fair_form import LONGEST, fair, fair_answer
from app.blind.jokes import Joke, begin_joke, split_joke
from app.engine.base import Engine
from app.engine.generation import GenerationOptions
from app.engine.generation_queue import GenerationQueue
from app.engine.prompts import Turn
from app.errors import NothingWritten, UnknownText
from app.feedback.store import Channel, Guess, ShownText, Source, Store
from app.feedback.vote_clock import VOTE_CLOCK
from app.models import Models

ROUND = 10
"""Texts in a round."""
GAME_OFF = (
    "there is nothing to guess here: set COMPARE to at least one served model and one file of human texts, and FEEDBACK to the"
    " address of a store."
)
# A model that writes nothing is asked again.
ATTEMPTS = 3
# So many texts say how long a text may take, and the most seconds for which one is held back.
PACED_BY = 10
MAX_PACE = 10.0
# Texts kept in memory from when they are shown until they are guessed. The store has them all, but each look-up in BigQuery is
# billed and takes a second.
REMEMBERED = 1000


class HiddenText(NamedTuple):
    """A text to guess. `question` is empty if the text answers none."""

    id: str
    question: str
    text: str


class Judgement(NamedTuple):
    """Whether a guess is right, and who wrote the text: a model of this name, or a person in the file of this name."""

    right: bool
    source: Source
    generated_by: str


def open_game(
    models: Models, queue: GenerationQueue, store: Store | None, comparison: BlindComparison, max_length: int
) -> GuessingGame | None:
    """The game, or None where there is nothing to guess or nowhere to keep guesses: GAME_OFF says so."""
    if store is None or not comparison.models or not comparison.people:
        return None
    return GuessingGame(models, queue, store, comparison, max_length)


class GuessingGame:
    """Draws texts and judges guesses. `max_length` bounds what a model writes, in tokens."""

    def __init__(
        self, models: Models, queue: GenerationQueue, store: Store, comparison: BlindComparison, max_length: int
    ) -> None:
        self._models = models
        self._queue = queue
        self._store = store
        self._comparison = comparison
        self._max_length = min(LONGEST, max_length)
        self._seconds: deque[float] = deque(maxlen=PACED_BY)
        self._shown: dict[str, ShownText] = {}

    async def draw(self, text_id: str, player: str, number: int | None, channel: Channel) -> HiddenText:
        """A text to guess, which is stored under `text_id` (app.feedback.store.new_id makes one).

        `player` is a pseudonym, of a person or a chat, and `number` says how many texts it was shown before: a person's text
        comes to it only once until all have come. Without a number, it is drawn.

        Raises ModelNotLoaded, PromptTooLong, QueueUnavailable, NothingWritten, StoreError.
        """
        began = time.monotonic()
        people = random.choice(self._comparison.people)
        theirs = fair(people.jokes[walk(f"{player}\n{people.name}", number, len(people.jokes))])
        engine = self._models.get(random.choice(self._comparison.models))
        options = self._options(engine)
        answer = await self._answer(engine, theirs, options)
        await self._keep_pace(time.monotonic() - began)
        written = {"temperature": options.sampling.temperature, "length": options.length}
        text = (
            shown_text(text_id, Joke(theirs.question, answer), Contender(engine.name), channel, written)
            if secrets.randbelow(2)
            else shown_text(text_id, theirs, people, channel, {})
        )
        await self._store.add_text(text)
        self._remember(text)
        return HiddenText(text.id, text.prompt, text.text)

    async def judge(self, text_id: str, voter: str, guessed: Source, channel: Channel) -> Judgement:
        """Store a guess, then say who wrote the text. Only the first guess of a voter on a text counts.

        Raises UnknownText, StoreError; nothing has been said by then.
        """
        text = self._shown.get(text_id) or await self._store.text(text_id)
        if text is None:
            raise UnknownText("there is no such text to guess: ask for another one.")
        await self._store.guess(
            Guess(text_id=text_id, voter=voter, guessed=guessed, channel=channel, at=VOTE_CLOCK.now())
        )
        return Judgement(guessed == text.source, text.source, text.generated_by)

    def _options(self, engine: Engine) -> GenerationOptions:
        return GenerationOptions(
            length=self._max_length, seed=secrets.randbelow(2**32), sampling=engine.profile.sampling.sampling({})
        )

    async def _answer(self, engine: Engine, like: Joke, options: GenerationOptions) -> str:
        """What a model writes in place of a person's joke. Raises NothingWritten."""
        for _ in range(ATTEMPTS):
            if answer := await self._attempt(engine, like, options):
                return answer
        raise NothingWritten(engine.name)

    async def _attempt(self, engine: Engine, like: Joke, options: GenerationOptions) -> str:
        if like.question:
            options = turn_options(engine, options)
            prompt = await read_turns(engine, [Turn(like.question)], options.length, engine.profile.question_template)
            text, ended = await self._write(engine, prompt, options)
        else:
            prompt, options, tag = await begin_joke(engine, options)
            text, ended = await self._write(engine, prompt, options)
            text = split_joke(text, tag).shown
        return fair_answer(text, like, ended)

    async def _write(self, engine: Engine, prompt: list[int], options: GenerationOptions) -> tuple[str, bool]:
        """The model's text, no longer than is shown, and whether it has ended it by itself."""
        text = ""
        async with aclosing(Generation(self._queue, engine, [prompt], options)) as generation:
            async for delta in generation:
                text += delta.text
                if len(text) > LONGEST:
                    break
            return text, generation.finish_reasons[0] == "stop"

    async def _keep_pace(self, seconds: float) -> None:
        """Wait until this text has taken as long as the second slowest of the latest: the slowest may have loaded its model."""
        self._seconds.append(min(seconds, MAX_PACE))
        pace = sorted(self._seconds)[-2:][0]
        await asyncio.sleep(max(0, pace - seconds))

    def _remember(self, text: ShownText) -> None:
        self._shown[text.id] = text
        if len(self._shown) > REMEMBERED:
            del self._shown[next(iter(self._shown))]


def walk(player: str, number: int | None, count: int) -> int:
    """The place, below `count`, of the text number `number` on a player's way past all of them in an order of its own."""
    if number is None:
        return random.randrange(count)
    way = random.Random(player)
    start, step = way.randrange(count), way.randrange(1, count + 1)
    while math.gcd(step, count) > 1:
        step = way.randrange(1, count + 1)
    return (start + number * step) % count


def shown_text(text_id: str, joke: Joke, author: Contender, channel: Channel, settings: dict[str, float]) -> ShownText:
    """The text as it is stored. `settings` are what a model wrote with."""
    return ShownText(
        id=text_id,
        text=joke.answer,
        prompt=joke.question,
        generated_by=author.name,
        source="human" if author.jokes else "model",
        channel=channel,
        created=datetime.now(UTC),
        settings=settings,
    )
