"""Discord: channels as DiscordChatExporter writes them (JSON or CSV), and the messages in Discord's own data package.

A data package has only what its owner wrote, so that it gives texts and no conversations.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

import msgspec

from finetune.data.chats.json_export import each, read_json
from finetune.data.chats.sent_message import Chat, SentMessage, moment, oldest_first
from finetune.data.input_files import InputFile
from finetune.data.tables import open_table

SAID = ("Default", "Reply", "ThreadStarterMessage", "0", "19")
"""The types of messages that a person wrote."""
# <@123> is a person, <#123> a channel, <:smile:123> a picture, <t:123> a date.
MARKUP = re.compile(r"<(?:@[!&]?\d+|#\d+|a?(?P<picture>:\w+:)\d+|t:-?\d+(?::\w)?|id:\w+)>")


class DiscordAuthor(msgspec.Struct, frozen=True):
    name: str = ""
    nickname: str | None = None
    id: str = ""


class ExportedMessage(msgspec.Struct):
    timestamp: str
    content: str = ""
    type: str | int = "Default"
    author: DiscordAuthor = DiscordAuthor()


class ExportedChannel(msgspec.Struct):
    messages: list[msgspec.Raw] = []


class PackageMessage(msgspec.Struct, rename="pascal"):
    timestamp: str
    contents: str | None = ""


def read_discord(file: InputFile, progress: Callable[[int], object]) -> Chat:
    """The messages of a channel. Raises DataError."""
    for message in each(file, read_json(file, ExportedChannel, progress).messages, ExportedMessage):
        author = message.author.nickname or message.author.name or message.author.id
        if str(message.type) in SAID and author and (said := plain(message.content)):
            yield SentMessage(author, said, moment(str(file), message.timestamp))


def read_discord_package(file: InputFile, owner: str, progress: Callable[[int], object]) -> Chat:
    """What the owner of a package wrote in a channel, oldest first. Raises DataError."""
    messages = each(file, read_json(file, list[msgspec.Raw], progress), PackageMessage)
    said = ((plain(message.contents or ""), message.timestamp) for message in messages)
    return oldest_first(SentMessage(owner, text, moment(str(file), date)) for text, date in said if text)


def read_discord_table(file: InputFile, lines: Iterable[str], owner: str) -> Chat:
    """The same of either kind as a .csv. Raises DataError."""
    table = open_table(str(file), lines, ("Contents", "Content"))
    is_package = "Contents" in table.first
    author, date, text = (
        table.column(name)
        for name in (("ID", "Timestamp", "Contents") if is_package else ("Author", "Date", "Content"))
    )
    messages = (
        SentMessage(owner if is_package else row[author], said, moment(str(file), row[date]))
        for row in table.rows()
        if (said := plain(row[text]))
    )
    return oldest_first(messages)


def plain(text: str) -> str:
    """A text without Discord's marks for people, channels, pictures and dates."""
    return MARKUP.sub(lambda mark: mark["picture"] or "", text).strip()
