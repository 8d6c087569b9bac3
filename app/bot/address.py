"""What a message says to the bot: in a private chat everything, in a group only what names it or answers it."""

from __future__ import annotations

import re
from typing import NamedTuple

from telegram import Bot, Message
from telegram.constants import ChatType, MessageEntityType

COMMAND = re.compile(r"/(?P<command>\w{1,32})(?:@(?P<name>\w+))?(?:\s+(?P<text>.*))?\s*", re.DOTALL)
NAMING: list[str | None] = [MessageEntityType.MENTION, MessageEntityType.TEXT_MENTION, MessageEntityType.BOT_COMMAND]


class Said(NamedTuple):
    """`command` without its slash, in small letters, or empty; `text` without the bot's name."""

    command: str
    text: str


class Address:
    def __init__(self, client: Bot) -> None:
        self._client = client
        self._id = int(client.token.partition(":")[0])
        self._name = ""

    async def read(self, message: Message, *, meant: bool = False) -> Said | None:
        """None if the message holds no text, or is not `meant` for the bot as far as it shows."""
        if message.text is None:
            return None
        text, named = message.text, meant or message.chat.type == ChatType.PRIVATE
        if earlier := message.reply_to_message:
            named = named or (earlier.from_user is not None and earlier.from_user.id == self._id)
        for entity, name in message.parse_entities(NAMING).items():
            if entity.type == MessageEntityType.BOT_COMMAND:
                named = named or (entity.offset == 0 and await self._is_me(name.partition("@")[2]))
            elif (entity.user and entity.user.id == self._id) or await self._is_me(name[1:]):
                text, named = text.replace(name, "", 1).strip(), True
        if not named:
            return None
        if not (found := COMMAND.fullmatch(text)):
            return Said("", text)
        if found["name"] and not await self._is_me(found["name"]):
            return None
        return Said(found["command"].lower(), found["text"] or "")

    async def _is_me(self, name: str) -> bool:
        """Telegram is asked for the bot's name once, when somebody's is first compared with it."""
        if name and not self._name:
            self._name = (await self._client.get_me()).username or ""
        return bool(name) and name.lower() == self._name.lower()
