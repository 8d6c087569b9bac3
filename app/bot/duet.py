"""/duet: two models talk to each other for a few turns, in one message that grows."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import NamedTuple

from telegram import Message

from app.blind.comparison import BlindComparison
from app.bot.chat_state import ChatState, ChatStates
from app.bot.keyboard import next_button
from app.bot.message_limits import cut
from app.bot.model_writer import ModelWriter
from app.bot.outbox import Outbox
from app.bot.strings import DUET_STOP, MODEL_HIDDEN, NEEDS_TWO_MODELS, NOTHING_WRITTEN
from app.engine.prompts import Turn
from app.engine.templates import layout_of
from app.errors import QueueUnavailable
from app.models import Models

TURNS = 6
# Tokens of a turn, and units of it that are shown: all turns fit into a message.
LENGTH, LONGEST = 60, 600
# Seconds for all turns. Meanwhile the chat's other messages wait.
PATIENCE = 30.0
HELLO = "Hello! How are you?"


def ignore(text: str) -> None:
    """What is written is shown turn by turn."""


class SpokenTurn(NamedTuple):
    """What a model said, by its name."""

    speaker: str
    text: str


class Duets:
    """A chat has one at a time, since its updates are handled in order; only the press of *Stop* comes between."""

    def __init__(self, writer: ModelWriter, models: Models, chats: ChatStates, comparison: BlindComparison) -> None:
        self._writer = writer
        self._models = models
        self._chats = chats
        self._comparison = comparison
        self._running: dict[int, asyncio.Event] = {}

    async def perform(self, message: Message, opening: str, outbox: Outbox) -> None:
        """Let two models talk about `opening`. Raises TelegramError, PromptTooLong, QueueUnavailable, StoreError."""
        talkers = [name for name in self._models.names if layout_of(self._models.get(name).profile.template).has_turns]
        if self._comparison or len(talkers) < 2:
            await outbox.send(message, MODEL_HIDDEN if self._comparison else NEEDS_TWO_MODELS)
            return
        chat = await self._chats.get(message.chat.id)
        first = chat.model if chat.model in talkers else talkers[0]
        second = random.choice([name for name in talkers if name != first])
        opening = opening.strip() or random.choice(self._models.get(first).profile.beginnings or [HELLO])
        stopped = self._running[message.chat.id] = asyncio.Event()
        try:
            await self._talk(
                message, [first, second], opening, ChatState(temperature=chat.temperature), stopped, outbox
            )
        finally:
            del self._running[message.chat.id]

    def stop(self, chat_id: int) -> bool:
        """Let the models of this chat finish the present turn only. Returns False if none are talking."""
        if running := self._running.get(chat_id):
            running.set()
        return running is not None

    async def _talk(
        self,
        message: Message,
        speakers: Sequence[str],
        opening: str,
        chat: ChatState,
        stopped: asyncio.Event,
        outbox: Outbox,
    ) -> None:
        chat.length = LENGTH
        until = min(asyncio.get_running_loop().time() + PATIENCE, outbox.context.deadline - PATIENCE / 2)
        said: list[SpokenTurn] = []
        sent = 0
        stop = next_button("stop", DUET_STOP)
        while len(said) < TURNS and not stopped.is_set():
            turn = await self._turn(speakers[len(said) % 2], said, opening, chat, until)
            if turn is None:
                break
            said.append(turn)
            if not sent:
                sent = await outbox.send(message, self._shown(said), stop)
            elif len(said) < TURNS:
                await outbox.edit(message.chat.id, sent, self._shown(said), stop)
        if sent:
            await outbox.edit(message.chat.id, sent, self._shown(said), None)
        else:
            await outbox.send(message, NOTHING_WRITTEN)

    async def _turn(
        self, speaker: str, said: Sequence[SpokenTurn], opening: str, chat: ChatState, until: float
    ) -> SpokenTurn | None:
        """What this model says next, or None if nothing. What it did not say itself is a person's to it."""
        heard = [Turn(turn.text, by_model=turn.speaker == speaker) for turn in said]
        if len(said) % 2 == 0:
            # The first one to speak has been asked something. The second one has only heard the first.
            heard.insert(0, Turn(opening))
        try:
            text = await self._writer.answer(speaker, heard, chat, until, ignore)
        except QueueUnavailable:
            if not said:
                raise
            return None
        return SpokenTurn(speaker, cut(text, LONGEST)) if text else None

    def _shown(self, said: Sequence[SpokenTurn]) -> str:
        return "\n\n".join(
            f"{self._models.get(turn.speaker).profile.title or turn.speaker}: {turn.text}" for turn in said
        )
