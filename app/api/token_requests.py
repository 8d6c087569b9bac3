"""Request types of `/tokenize` and `/detokenize`."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from app.api.compatibility_fields import EmptyList, EmptyObject
from app.api.conversation import ContinueFinalMessage, Conversation, check_conversation
from app.api.openai_requests import TokenId
from app.api.validation import invalid_value


class TokenizeRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`/tokenize`: the tokens of a text, or of a conversation in the model's chat template."""

    model: Annotated[str | None, Meta(description="one of /v1/models; the default model if left out")] = None
    prompt: Annotated[str | None, Meta(description="a text; either this or messages")] = None
    messages: Conversation | None = None
    add_special_tokens: Annotated[bool, Meta(description="add the token with which each document begins")] = True
    return_token_strs: Annotated[bool, Meta(description="return each token as text, too")] = False
    continue_final_message: ContinueFinalMessage = None
    add_generation_prompt: bool | None = None
    return_text_offsets: Annotated[
        bool, Meta(description="return the character of prompt at which each token begins; needs prompt")
    ] = False
    chat_template_kwargs: EmptyObject | None = None
    tools: EmptyList | None = None

    def __post_init__(self) -> None:
        if (self.prompt is None) == (self.messages is None):
            raise invalid_value("prompt", "prompt or messages is missing, or both are given: give one of them.")
        if self.messages is not None:
            check_conversation(self.messages, self.continue_final_message, self.add_generation_prompt)
            if self.return_text_offsets:
                raise invalid_value(
                    "return_text_offsets",
                    "return_text_offsets needs prompt: a chat template changes a conversation's text.",
                )
            if not self.add_special_tokens:
                raise invalid_value(
                    "add_special_tokens",
                    "add_special_tokens cannot be false with messages: a chat template has special tokens.",
                )


class DetokenizeRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`/detokenize`."""

    model: Annotated[str | None, Meta(description="one of /v1/models; the default model if left out")] = None
    tokens: Annotated[list[TokenId], Meta(description="token ids")]
