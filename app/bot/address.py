"""Whether a message is addressed to the bot: always in a private chat, in a group if it names or answers the bot."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import NamedTuple

from telegram import Message, MessageEntity
from telegram.constants import ChatType, MessageEntityType

from app.bot.message_limits import span, without_spans
from app.bot.outbox import Outbox

COMMAND = re.compile(r"/(?P<command>\w{1,32})(?:@(?P<name>\w+))?(?:\s+(?P<text>.*))?\s*", re.DOTALL)
NAMING = (MessageEntityType.MENTION, MessageEntityType.TEXT_MENTION)


QUESTION_MARKS = ("?", "؟", "？")
ABOUT = re.compile(r"about\s+(?=\S)", re.IGNORECASE)


class AddressedText(NamedTuple):
    """A message to the bot: its command, in lower case and without the slash, or "", and its text without the bot's name."""

    command: str
    text: str

    @property
    def wants_text(self) -> bool:
        """Whether a model is to write."""
        return self.command in ("", "joke")

    @property
    def wants_joke(self) -> bool:
        """Whether it asks for a joke, or to go on with a beginning. `/joke` with a whole question asks for the answer to it."""
        text = self.text.strip()
        return not text or self.command == "begin" or (self.command == "joke" and not text.endswith(QUESTION_MARKS))

    @property
    def topic(self) -> str:
        """What a joke begins with, without the "about" in front."""
        topic = ABOUT.sub("", self.text.strip(), count=1) if ABOUT.match(self.text.strip()) else self.text.strip()
        return topic[:1].upper() + topic[1:]

    @property
    def digest(self) -> str:
        """Tells whether an edited message asks for something else."""
        return hashlib.sha256("\n".join(self).encode(errors="surrogatepass")).hexdigest()[:12]


def text_of(message: Message) -> tuple[str | None, Sequence[MessageEntity]]:
    """A message's text, or the caption of what it shows, with the names and commands in it."""
    if message.text is not None:
        return message.text, message.entities
    return message.caption, message.caption_entities


class AddressReader:
    """Tells messages to the bot from others. `token` is the bot's, which holds its id."""

    def __init__(self, token: str) -> None:
        # A token is the bot's id, a colon and the secret part.
        self._id = int(token.partition(":")[0])
        self._username = ""

    async def read(self, message: Message, outbox: Outbox, *, addressed: bool = False) -> AddressedText | None:
        """None if the message has no text or is not addressed to the bot. `addressed` says that it is known to be."""
        text, entities = text_of(message)
        if text is None:
            return None
        addressed = addressed or message.chat.type == ChatType.PRIVATE or self._wrote(message.reply_to_message)
        names: list[tuple[int, int]] = []
        for entity in entities:
            part = span(text, entity.offset, entity.length)
            if entity.type == MessageEntityType.BOT_COMMAND and entity.offset == 0:
                addressed = addressed or await self._is_me(part.partition("@")[2], outbox)
            elif entity.type in NAMING and (self._is_meant(entity) or await self._is_me(part[1:], outbox)):
                names.append((entity.offset, entity.length))
        if not addressed and not names:
            return None
        return await self._split(without_spans(text, names).strip() if names else text, outbox)

    def _wrote(self, message: Message | None) -> bool:
        return message is not None and message.from_user is not None and message.from_user.id == self._id

    def _is_meant(self, entity: MessageEntity) -> bool:
        """Whether a mention without a username is one of the bot."""
        return entity.user is not None and entity.user.id == self._id

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
