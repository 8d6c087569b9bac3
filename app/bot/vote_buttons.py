"""Votes on the bot's texts: a press of 👍 or 👎 is stored, acknowledged, and then shown on the buttons."""

from __future__ import annotations

from collections import deque
from typing import Literal

from telegram import CallbackQuery, InlineKeyboardMarkup, Message

from app.bot.keyboard import VoteMarks, text_buttons, with_marks
from app.bot.offered_texts import OfferedTexts
from app.bot.outbox import MessagePlace, Outbox
from app.bot.strings import EXPIRED_BUTTON, VOTE_COUNTED, VOTE_NOT_STORED
from app.errors import StoreError, UnknownText
from app.feedback.pseudonym import pseudonym
from app.feedback.store import Store, Vote
from app.feedback.vote_clock import VOTE_CLOCK

# A press is under way for seconds.
REPLACED = 1000
VALUES: dict[str, Literal[1, -1]] = {"up": 1, "down": -1}


class ReplacedTexts:
    """The texts that were lately replaced by others in their messages."""

    def __init__(self) -> None:
        self._ids: deque[str] = deque(maxlen=REPLACED)

    def add(self, text_id: str) -> None:
        self._ids.append(text_id)

    def known(self, text_id: str) -> bool:
        return text_id in self._ids


class VoteButtons:
    """Stores votes under pseudonyms made with `key`. `blind` hides how many votes there are."""

    def __init__(self, store: Store | None, key: bytes, offered: OfferedTexts, *, blind: bool) -> None:
        self._store = store
        self._offered = offered
        self._key = key
        self._blind = blind
        # Texts that have been written anew, with the votes on the old ones still under way.
        self.replaced = ReplacedTexts()

    async def press(
        self, query: CallbackQuery, message: Message | None, outbox: Outbox, action: str, text_id: str
    ) -> None:
        """Store the vote and thank the person. `action` is "up" or "down"; `message` is None if Telegram no longer shows it."""
        try:
            await self.vote(query.from_user.id, text_id, action)
        except StoreError:
            await outbox.acknowledge(query, VOTE_NOT_STORED, alert=True)
        except UnknownText:
            await outbox.acknowledge(query, EXPIRED_BUTTON)
        else:
            await outbox.acknowledge(query, VOTE_COUNTED[action])
            await self._show(query, message, outbox, text_id, action)

    async def vote(self, voter: int, text_id: str, action: str) -> None:
        """Store the vote of a person, or of a chat in whose name somebody votes. Raises StoreError, UnknownText."""
        if self._store is None:
            raise UnknownText("votes are not stored here.")
        await self._offered.keep(text_id)
        vote = Vote(
            text_id=text_id,
            voter=pseudonym(self._key, voter),
            value=VALUES[action],
            channel="telegram",
            at=VOTE_CLOCK.now(),
        )
        await self._store.vote(vote)

    async def marks(self, chat_id: int | None, text_id: str, action: str) -> VoteMarks | None:
        """What the buttons under a text show after a vote. None if they stay as they are. Raises StoreError.

        In a private chat it is the person's own vote. Others see how many there are, unless a blind comparison is under way:
        who sees what others think of a text is no longer free to think otherwise.
        """
        if chat_id is not None and chat_id > 0:
            return VoteMarks(mine=action)
        if self._blind or self._store is None:
            return None
        return VoteMarks(*await self._store.text_votes(text_id))

    async def _show(
        self, query: CallbackQuery, message: Message | None, outbox: Outbox, text_id: str, action: str
    ) -> None:
        """Show the vote on the buttons of the message, unless another text has taken the place of this one meanwhile."""
        if query.inline_message_id is not None:
            place, buttons = MessagePlace(inline_id=query.inline_message_id), text_buttons(text_id, None)
        elif message is not None and message.reply_markup is not None and not self.replaced.known(text_id):
            place, buttons = MessagePlace(message.chat.id, message.message_id), message.reply_markup
        else:
            return
        await self.show(place, buttons, text_id, action, outbox)

    async def show(
        self, place: MessagePlace, buttons: InlineKeyboardMarkup, text_id: str, action: str, outbox: Outbox
    ) -> None:
        """Show a vote on the `buttons` under a text. The vote is stored, so whatever goes wrong here is of no matter."""
        try:
            marks = await self.marks(place.chat_id, text_id, action)
        except StoreError:
            return
        if marks is not None:
            await outbox.edit_buttons(place, with_marks(buttons, marks))
