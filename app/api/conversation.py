"""The conversations of requests: their messages, and whose turn it is at the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from app.api.compatibility_fields import MessageCompatibilityFields
from app.api.validation import invalid_value


class TextPart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of a message. The hints about caching are taken and change nothing."""

    type: Literal["text"]
    text: str
    cache_control: dict[str, Any] | None = None
    prompt_cache_breakpoint: dict[str, Any] | None = None


class ChatMessage(MessageCompatibilityFields, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One message of a conversation."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart] | UnsetType = UNSET

    def __post_init__(self) -> None:
        # A reply without text may come back without content, in OpenAI's API too. msgspec adds which message it is.
        if self.content is UNSET and self.role != "assistant":
            raise ValueError("Object missing required field `content`")

    @property
    def text(self) -> str:
        content = self.content or ""
        return content if isinstance(content, str) else "".join(part.text for part in content)

    @property
    def instructs(self) -> bool:
        return self.role in ("system", "developer")


Conversation = Annotated[
    list[ChatMessage],
    Meta(min_length=1, max_length=2048, description="the conversation, up to the message that the model answers"),
]
ContinueFinalMessage = Annotated[
    bool | None,
    Meta(
        description="go on with the last message, the assistant's, instead of answering; only what is new is returned"
    ),
]


def check_conversation(messages: Sequence[ChatMessage], goes_on: bool | None, asks: bool | None) -> None:
    """Refuse a conversation in which it is not the model's turn. Raises InvalidRequest.

    `goes_on` is continue_final_message, and `asks` add_generation_prompt: whether the template asks for a new turn.
    """
    last = messages[-1].role
    if goes_on and last != "assistant":
        raise invalid_value(
            "continue_final_message",
            f"continue_final_message needs a last message of the role assistant, and it is {last}'s.",
        )
    if not goes_on and last == "assistant":
        raise invalid_value(
            "messages",
            "the last of messages is the assistant's: end with a message of the role user, or set continue_final_message.",
        )
    if asks is not None and asks == bool(goes_on):
        raise invalid_value(
            "add_generation_prompt",
            f"add_generation_prompt cannot be {str(asks).lower()} while continue_final_message is {str(bool(goes_on)).lower()}: "
            "one says the opposite of the other, so leave add_generation_prompt out.",
        )
