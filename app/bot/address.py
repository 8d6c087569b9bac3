"""Whether a message is addressed to the bot: always in a private chat, in a group if it names or answers the bot."""

from __future__ import annotations

import re
from typing import NamedTuple

from telegram import Message
from telegram.constants import ChatType, MessageEntityType

from app.bot.outbox import Outbox

COMMAND = re.compile(r"/(?P<command>\w{1,32})(?:@(?P<name>\w+))?(?:\s+(?P<text>.*))?\s*", re.DOTALL)
NAMING: list[str | None] = [MessageEntityType.MENTION, MessageEntityType.TEXT_MENTION, MessageEntityType.BOT_COMMAND]


class AddressedText(NamedTuple):
    """A message to the bot: its command, in lower case and without the slash, or "", and its text without the bot's name."""

    command: str
    text: str


class AddressReader:
    """Tells messages to the bot from others. `token` is the bot's, which holds its id."""

    def __init__(self, token: str) -> None:
        # A token is the bot's id, a colon and the secret part.
        self._id = int(token.partition(":")[0])
        self._username = ""

    async def read(self, message: Message, outbox: Outbox, *, addressed: bool = False) -> AddressedText | None:
        """None if the message has no text or is not addressed to the bot. `addressed` says that it is known to be."""
        if message.text is None:
            return None
        text, addressed = message.text, addressed or message.chat.type == ChatType.PRIVATE
        if earlier := message.reply_to_message:
            addressed = addressed or (earlier.from_user is not None and earlier.from_user.id == self._id)
        for entity, name in message.parse_entities(NAMING).items():
            if entity.type == MessageEntityType.BOT_COMMAND:
                addressed = addressed or (entity.offset == 0 and await self._is_me(name.partition("@")[2], outbox))
            elif (entity.user and entity.user.id == self._id) or await self._is_me(name[1:], outbox):
                text, addressed = text.replace(name, "", 1).strip(), True
        return await self._split(text, outbox) if addressed else None

    async def _split(self, text: str, outbox: Outbox) -> AddressedText | None:
        """The command and its text. None if the command names another bot."""
        if not (found := COMMAND.fullmatch(text)):
            return AddressedText("", text)
        if found["name"] and not await self._is_me(found["name"], outbox):
            return None
        return AddressedText(found["command"].lower(), found["text"] or "")

    async def _is_me(self, name: str, outbox: Outbox) -> bool:
        """Asks Telegram for the bot's username once, the first time that a name has to be compared with it."""
        if name and not self._username:
            self._username = await outbox.own_username()
        return bool(name) and name.lower() == self._username.lower()
