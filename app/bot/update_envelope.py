"""What the bot reads of an update, with the types that it relies on.

The library builds its objects from an update without looking at types, so this is where an update that is none is found.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

SqliteInteger = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Offset = Annotated[int, Meta(ge=0, le=2**31)]


# The press of the button that stops what its chat is busy with: it waits for nothing.
STOP = "stop"


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
    inline_message_id: str | None = None


class EmojiEnvelope(msgspec.Struct):
    """A reaction: an emoji, or another kind, which has none."""

    type: str
    emoji: str = ""


class ReactionEnvelope(msgspec.Struct):
    chat: ChatEnvelope
    message_id: SqliteInteger
    date: SqliteInteger
    new_reaction: list[EmojiEnvelope]
    user: SenderEnvelope | None = None
    actor_chat: SenderEnvelope | None = None


class InlineQueryEnvelope(msgspec.Struct, rename={"sender": "from"}):
    id: str
    sender: SenderEnvelope
    query: str
    offset: str = ""


class ChosenEnvelope(msgspec.Struct, rename={"sender": "from"}):
    """A text of inline mode that somebody sent."""

    result_id: str
    sender: SenderEnvelope
    inline_message_id: str | None = None


class UpdateEnvelope(msgspec.Struct):
    """The fields that the bot reads. All others are ignored."""

    update_id: SqliteInteger
    message: MessageEnvelope | None = None
    edited_message: MessageEnvelope | None = None
    callback_query: QueryEnvelope | None = None
    message_reaction: ReactionEnvelope | None = None
    inline_query: InlineQueryEnvelope | None = None
    chosen_inline_result: ChosenEnvelope | None = None

    @property
    def place(self) -> int | str | None:
        """The chat in which it happened, or the message sent through inline mode: updates of one place are handled in order."""
        inside = self.message or self.edited_message or self.message_reaction
        if inside is not None:
            return inside.chat.id
        if self.chosen_inline_result is not None:
            return self.chosen_inline_result.inline_message_id
        query = self.callback_query
        if query is None or query.data == STOP:
            return None
        return query.message.chat.id if query.message else query.inline_message_id
