"""Reply types of the OpenAI-compatible routes, `/tokenize` and `/detokenize`.

The same types are encoded for every reply and described in /openapi.json.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from app.api.served_profile import ServedProfile
from app.engine.generation import FinishReason

OpenAIFinishReason = Literal["stop", "length"]


def openai_finish_reason(reason: FinishReason | None) -> OpenAIFinishReason | None:
    """OpenAI's finish reason. It has none for a deadline, so a text that a deadline cut short has the reason "length"."""
    return "length" if reason == "timeout" else reason


class Usage(msgspec.Struct, frozen=True):
    """The number of tokens that were read and generated."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int

    @classmethod
    def of(cls, prompt: int, completion: int) -> Usage:
        return cls(prompt, completion, prompt + completion)


class CompletionLogprobs(msgspec.Struct, frozen=True):
    """Natural logarithms of the model's own probabilities, before temperature, penalties and sampling rules.

    The lists have one item for each token. `text_offset` is the character at which the token begins.
    """

    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None]
    text_offset: list[int]


class CompletionChoice(msgspec.Struct, frozen=True, kw_only=True):
    text: str
    index: int
    logprobs: CompletionLogprobs | None = None
    finish_reason: OpenAIFinishReason | None = None


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    """The reply of `/v1/completions`, whole or as one chunk of a stream. `created` is in Unix seconds."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: Usage | UnsetType | None = UNSET


class TokenLogprob(msgspec.Struct, frozen=True):
    """A token as text and as bytes, with the natural logarithm of its probability."""

    token: str
    logprob: float
    bytes: list[int]


class ScoredToken(TokenLogprob, frozen=True):
    """A token of the text, with the likeliest tokens at its position."""

    top_logprobs: list[TokenLogprob]


class ChatLogprobs(msgspec.Struct, frozen=True):
    content: list[ScoredToken]
    refusal: None = None


class AssistantMessage(msgspec.Struct, frozen=True):
    """The model's turn."""

    content: str
    role: Literal["assistant"] = "assistant"
    refusal: None = None


class ChatChoice(msgspec.Struct, frozen=True, kw_only=True):
    index: int
    message: AssistantMessage
    logprobs: ChatLogprobs | None = None
    finish_reason: OpenAIFinishReason


class ChatCompletion(msgspec.Struct, frozen=True, kw_only=True):
    """The reply of `/v1/chat/completions`.

    OpenAI's API has no `seed` and no `left_out`: the number of oldest messages for which the window had no room, null where it is
    not known.
    """

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[ChatChoice]
    usage: Usage
    seed: int
    left_out: int | None


class Delta(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a chunk adds to the model's turn. Only the first one of a turn has the role."""

    role: Literal["assistant"] | None = None
    content: str | None = None


class ChunkChoice(msgspec.Struct, frozen=True, kw_only=True):
    index: int
    delta: Delta
    logprobs: ChatLogprobs | None = None
    finish_reason: OpenAIFinishReason | None = None


class ChatCompletionChunk(msgspec.Struct, frozen=True, kw_only=True):
    """One chunk of a streamed chat completion. The chunk with the usage has no choices, but the seed."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: Usage | UnsetType | None = UNSET
    seed: int | UnsetType = UNSET
    left_out: int | UnsetType | None = UNSET


class Model(msgspec.Struct, frozen=True):
    """A served model. `created` is when this server started, in Unix seconds. OpenAI's API has no `profile`."""

    id: str
    created: int
    profile: ServedProfile
    object: Literal["model"] = "model"
    owned_by: str = "gpt-2-cloud-run"


class ModelList(msgspec.Struct, frozen=True):
    data: list[Model]
    object: Literal["list"] = "list"


class TokenizeReply(msgspec.Struct, frozen=True):
    """The reply of `/tokenize`. `max_model_len` is the model's window in tokens.

    A token that begins within a character has the offset of that character.
    """

    count: int
    max_model_len: int
    tokens: list[int]
    token_strs: list[str] | None = None
    text_offsets: list[int] | UnsetType = UNSET


class DetokenizeReply(msgspec.Struct, frozen=True):
    """The reply of `/detokenize`."""

    prompt: str
