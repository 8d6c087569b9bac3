"""Telegram's export as JSON (result.json): one chat, or all chats of an account.

Left out are forwarded messages, which somebody else wrote, those of inline bots, and what is no message, such as "Anna joined".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from finetune.data.chats.json_export import each, read_json
from finetune.data.chats.sent_message import DIRECTION_MARKS, Chat, SentMessage, moment
from finetune.data.input_files import InputFile


class TelegramEntity(msgspec.Struct):
    """A stretch of a text: a link, a bold word and the like."""

    text: str = ""


class TelegramMessage(msgspec.Struct, rename={"author": "from", "author_id": "from_id"}):
    type: str = ""
    date: str = ""
    author: str | None = None
    author_id: str | int | None = None
    text: str | list[str | TelegramEntity] = ""
    forwarded_from: str | msgspec.UnsetType | None = msgspec.UNSET
    via_bot: str | None = None

    def said(self) -> str:
        parts = [self.text] if isinstance(self.text, str) else self.text
        return DIRECTION_MARKS.sub("", "".join(part if isinstance(part, str) else part.text for part in parts)).strip()


class TelegramChat(msgspec.Struct):
    messages: list[msgspec.Raw] = []


class TelegramChats(msgspec.Struct, frozen=True, rename={"chats": "list"}):
    chats: list[TelegramChat] = []


class TelegramExport(msgspec.Struct):
    """A chat has `messages`, an account `chats` and those that it left."""

    messages: list[msgspec.Raw] = []
    chats: TelegramChats = TelegramChats()
    left_chats: TelegramChats = TelegramChats()


def read_telegram(file: InputFile, progress: Callable[[int], object]) -> Iterator[Chat]:
    """The chats of an export. Raises DataError."""
    export = read_json(file, TelegramExport, progress)
    chats = (chat.messages for chat in [*export.chats.chats, *export.left_chats.chats])
    yield from (messages_of(file, messages) for messages in [export.messages, *chats])


def messages_of(file: InputFile, messages: list[msgspec.Raw]) -> Chat:
    for message in each(file, messages, TelegramMessage):
        author = message.author or str(message.author_id or "")
        forwarded = message.forwarded_from is not msgspec.UNSET
        if message.type == "message" and author and not forwarded and not message.via_bot and (said := message.said()):
            yield SentMessage(author, said, moment(str(file), message.date))
