"""Votes on the bot's texts: a press of 👍 or 👎 is stored, then acknowledged."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from telegram import CallbackQuery, Message

from app.bot.chat_state import pseudonym
from app.bot.outbox import Outbox
from app.bot.strings import EXPIRED_BUTTON, THANKS, VOTE_COUNTED, VOTE_NOT_STORED
from app.errors import StoreError, UnknownText
from app.feedback.store import Store, Vote

VALUES: dict[str, Literal[1, -1]] = {"up": 1, "down": -1}


class VoteButtons:
    """Stores votes under pseudonyms made with `key`."""

    def __init__(self, store: Store | None, key: bytes) -> None:
        self._store = store
        self._key = key

    async def press(
        self, query: CallbackQuery, message: Message | None, outbox: Outbox, action: str, text_id: str
    ) -> None:
        """Store the vote and thank the person. `action` is "up" or "down"; `message` is None if Telegram no longer shows it."""
        if self._store is None or not text_id:
            await outbox.acknowledge(query, EXPIRED_BUTTON)
            return
        try:
            await self._store.vote(self._vote(query, action, text_id))
        except StoreError:
            await outbox.acknowledge(query, VOTE_NOT_STORED, alert=True)
        except UnknownText:
            await outbox.acknowledge(query, EXPIRED_BUTTON)
        else:
            await outbox.acknowledge(query, VOTE_COUNTED[action])
            if message and message.text and not message.text.endswith(THANKS.strip()):
                await outbox.edit(message, message.text + THANKS, message.reply_markup)

    def _vote(self, query: CallbackQuery, action: str, text_id: str) -> Vote:
        return Vote(
            text_id=text_id,
            voter=pseudonym(self._key, query.from_user.id),
            value=VALUES[action],
            channel="telegram",
            at=datetime.now(UTC),
        )
