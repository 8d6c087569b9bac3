"""Presses of buttons under the bot's messages: what each leads to."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence

from telegram import CallbackQuery, Message

from app.bot.address import AddressedText, AddressReader
from app.bot.allowance import Allowance, Kind
from app.bot.answers import Answers
from app.bot.chat_commands import ChatCommands
from app.bot.chat_settings import ChatSettings
from app.bot.duet import Duets
from app.bot.guessing import GUESSES, Guessing
from app.bot.outbox import Outbox
from app.bot.speech import Speech
from app.bot.strings import (
    DUET_STOPPED,
    EXPIRED_BUTTON,
    MESSAGE_GONE,
    NO_VOICE_NOW,
    ONE_MOMENT,
    not_allowed,
    wait_please,
)
from app.bot.vote_buttons import VALUES, VoteButtons

ANY_JOKE = AddressedText("joke", "")
# Buttons for which a model writes.
WRITING_ACTIONS = ("joke", "again", "begin", "play", "next", "aloud")


class ButtonPresses:
    """`beginnings` are texts with which a model's own may begin."""

    def __init__(
        self,
        reader: AddressReader,
        allowance: Allowance,
        votes: VoteButtons,
        guessing: Guessing,
        answers: Answers,
        duets: Duets,
        chat_settings: ChatSettings,
        commands: ChatCommands,
        beginnings: Sequence[str],
        speech: Speech | None,
    ) -> None:
        self._reader = reader
        self._allowance = allowance
        self._votes = votes
        self._guessing = guessing
        self._answers = answers
        self._duets = duets
        self._chat_settings = chat_settings
        self._beginnings = beginnings
        self._speech = speech
        # What needs no more than its chat.
        self._steps: dict[str, Callable[[Message, Outbox], Awaitable[None]]] = {
            "talk": commands.start_conversation,
            "help": commands.help,
            "play": guessing.begin,
            "next": guessing.show_next,
        }

    async def obey(self, query: CallbackQuery, message: Message | None, outbox: Outbox) -> None:
        """Do what a button says. `message` is the one with the button, or None if Telegram no longer shows it.

        Every press is acknowledged, because the button is shown as busy until then.
        """
        action, _, value = (query.data or "").partition(":")
        person = query.from_user.id
        kind: Kind = "text" if action in WRITING_ACTIONS else "command"
        if not self._allowance.may_ask(person, message.chat.id if message else person):
            await outbox.acknowledge(query, not_allowed(person))
        elif seconds := self._allowance.seconds_until_allowed(kind, person):
            await outbox.acknowledge(query, wait_please(seconds))
        else:
            with self._allowance.counting(kind, person):
                await self._obey(query, message, outbox, action, value)

    async def _obey(
        self, query: CallbackQuery, message: Message | None, outbox: Outbox, action: str, value: str
    ) -> None:
        if action in VALUES:
            await self._votes.press(query, message, outbox, action, value)
        elif action in GUESSES:
            await self._guessing.guess(query, message, outbox, action, value)
        elif message is None:
            await outbox.acknowledge(query, EXPIRED_BUTTON)
        elif step := self._steps.get(action):
            await outbox.acknowledge(query)
            await step(message, outbox)
        elif action == "stop":
            running = self._duets.stop(message.chat.id)
            await outbox.acknowledge(query, DUET_STOPPED if running else EXPIRED_BUTTON)
        elif action == "begin":
            await outbox.acknowledge(query)
            beginning = random.choice(self._beginnings or [""])
            await self._answers.write(message, AddressedText("begin", beginning), outbox, again=True)
        elif action == "aloud":
            await self._read_aloud(query, message, outbox)
        elif action in ("joke", "again"):
            await self._write_another(query, message, outbox, action)
        else:
            await self._chat_settings.choose(query, message, outbox, action, value)

    async def _read_aloud(self, query: CallbackQuery, message: Message, outbox: Outbox) -> None:
        """Send the message's text as a voice message."""
        if self._speech is None or not message.text:
            await outbox.acknowledge(query, EXPIRED_BUTTON)
            return
        await outbox.acknowledge(query, ONE_MOMENT)
        sound = await self._speech.say(message.text)
        if sound is None:
            await outbox.send(message, NO_VOICE_NOW)
        else:
            await outbox.send_voice(message, sound)

    async def _write_another(self, query: CallbackQuery, message: Message, outbox: Outbox, action: str) -> None:
        """Another joke, or another answer to the message that `message` answers."""
        earlier = message.reply_to_message
        if action == "again" and earlier is None:
            await outbox.acknowledge(query, MESSAGE_GONE)
            return
        await outbox.acknowledge(query)
        asked = await self._reader.read(earlier, outbox, addressed=True) if earlier else None
        await self._answers.write(earlier or message, asked or ANY_JOKE, outbox, again=True)
