"""The commands /start, /help, /chat, /reset and /stats."""

from __future__ import annotations

from collections.abc import Sequence

from telegram import Message

from app.bot.chat_state import ChatStates
from app.bot.keyboard import start_buttons
from app.bot.outbox import Outbox
from app.bot.query_cache import QueryCache
from app.bot.strings import CHAT_ENDED, CHAT_STARTED, VOTES_OFF, greeting, overview, start_labels, vote_counts
from app.engine.profile import Profile
from app.feedback.store import Store


class ChatCommands:
    """Every method answers a message. They raise TelegramError and StoreError.

    `profile` is the default model's, or None if nobody may know who writes. `offered` are the commands to tell about.
    """

    def __init__(self, chats: ChatStates, profile: Profile | None, store: Store | None, offered: Sequence[str]) -> None:
        self._chats = chats
        self._offered = offered
        self._profile = profile
        self._tallies = QueryCache(store.tally, store.tally_seconds) if store else None

    async def start(self, message: Message, outbox: Outbox) -> None:
        """Say who this is, with buttons for what to do first."""
        await outbox.send(message, greeting(self._profile), start_buttons(start_labels(self._profile)))

    async def help(self, message: Message, outbox: Outbox) -> None:
        await outbox.send(message, overview(self._offered))

    async def start_conversation(self, message: Message, outbox: Outbox) -> None:
        await self._set_talking(message, talking=True)
        await outbox.send(message, CHAT_STARTED)

    async def end_conversation(self, message: Message, outbox: Outbox) -> None:
        await self._set_talking(message, talking=False)
        await outbox.send(message, CHAT_ENDED)

    async def stats(self, message: Message, outbox: Outbox) -> None:
        if self._tallies is None:
            await outbox.send(message, VOTES_OFF)
            return
        await outbox.send(message, vote_counts(*await self._tallies.result()))

    async def _set_talking(self, message: Message, *, talking: bool) -> None:
        chat = await self._chats.get(message.chat.id)
        chat.begin_conversation(talking=talking)
        await self._chats.keep(message.chat.id, chat)
