"""The commands /help, /chat, /reset and /stats."""

from __future__ import annotations

from telegram import Message

from app.bot.chat_state import ChatStates
from app.bot.outbox import Outbox
from app.bot.strings import CHAT_ENDED, CHAT_STARTED, VOTES_OFF, overview, vote_counts
from app.bot.tally_cache import TallyCache
from app.feedback.store import Store


class ChatCommands:
    """Every method answers a message. They raise TelegramError and StoreError."""

    def __init__(self, chats: ChatStates, store: Store | None) -> None:
        self._chats = chats
        self._tallies = TallyCache(store) if store else None

    async def help(self, message: Message, outbox: Outbox) -> None:
        await outbox.send(message, overview())

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
        await outbox.send(message, vote_counts(*await self._tallies.standings()))

    async def _set_talking(self, message: Message, *, talking: bool) -> None:
        chat = await self._chats.get(message.chat.id)
        chat.talking, chat.turns = talking, []
        await self._chats.keep(message.chat.id, chat)
