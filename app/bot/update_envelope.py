"""What the bot reads of an update, with the types that it relies on.

The library builds its objects from an update without looking at types, so this is where an update that is none is found.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

SqliteInteger = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Offset = Annotated[int, Meta(ge=0, le=2**31)]


class SenderEnvelope(msgspec.Struct):
    """A person, or a chat in whose name somebody writes."""

    id: SqliteInteger


class ChatEnvelope(msgspec.Struct):
    id: SqliteInteger
    type: str = ""


class EntityEnvelope(msgspec.Struct):
    """A name or a command within a text. `offset` and `length` count UTF-16 code units."""

    type: str
    offset: Offset
    length: Offset
    user: SenderEnvelope | None = None


class MessageEnvelope(msgspec.Struct, rename={"sender": "from"}):
    chat: ChatEnvelope
    message_id: SqliteInteger = 0
    date: SqliteInteger = 0
    sender: SenderEnvelope | None = None
    sender_chat: SenderEnvelope | None = None
    text: str | None = None
    entities: list[EntityEnvelope] = []
    caption: str | None = None
    caption_entities: list[EntityEnvelope] = []
    media_group_id: str | None = None
    message_thread_id: SqliteInteger | None = None
    is_topic_message: bool | None = None
    reply_to_message: MessageEnvelope | None = None


class QueryEnvelope(msgspec.Struct, rename={"sender": "from"}):
    id: str
    sender: SenderEnvelope
    data: str | None = None
    message: MessageEnvelope | None = None


class UpdateEnvelope(msgspec.Struct):
    """The fields that the bot reads. All others are ignored."""

    update_id: SqliteInteger
    message: MessageEnvelope | None = None
    callback_query: QueryEnvelope | None = None

    @property
    def chat_id(self) -> int | None:
        """The chat in which it happened, whose updates are handled in order."""
        message = self.message or (self.callback_query and self.callback_query.message)
        return message.chat.id if message else None
