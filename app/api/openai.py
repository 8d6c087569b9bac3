"""What the OpenAI-compatible routes are asked and what they answer, as types; /openapi.json describes the same ones.

A field that is null is a field that is not there. One that has no meaning for GPT-2 takes only the value that asks for nothing,
and what is no field at all is refused: nothing is ignored.
"""

from __future__ import annotations

import secrets
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from app.api.schemas import StopString, shorten
from app.engine.base import Engine
from app.engine.generation import GenerationOptions
from app.engine.sampling import Penalty, Probability, RepetitionPenalty, Sampling, TypicalP
from app.errors import InvalidRequest

Count = Annotated[int, Meta(ge=0, lt=2**31)]
Token = Annotated[int, Meta(ge=0, lt=2**31)]
Bias = Annotated[float, Meta(ge=-100, le=100)]
FinishReason = Literal["stop", "length"]
MAX_TEXTS = 128
MAX_LOGPROBS = 100_000


def invalid(param: str, message: str) -> InvalidRequest:
    return InvalidRequest(message, param=param, code="invalid_value")


def finish(reason: str | None) -> FinishReason | None:
    """OpenAI knows no third reason: a text whose time was up is one that was cut short."""
    return None if not reason else "stop" if reason == "stop" else "length"


class StreamOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    include_usage: Annotated[bool, Meta(description="send the usage in a chunk of its own before the end")] = False
    include_obfuscation: Literal[False] = False


class WritingRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The fields that both routes have."""

    model: Annotated[str | None, Meta(description="one of /v1/models; the first if left out")] = None
    temperature: Annotated[float, Meta(ge=0, le=2, description="0 always takes the likeliest token")] = 1.0
    top_p: Annotated[Probability, Meta(description="choose among the likeliest that add up to p, 1 for all")] = 1.0
    n: Annotated[int, Meta(ge=1, le=MAX_TEXTS, description="texts to write")] = 1
    stop: StopString | Annotated[list[StopString], Meta(max_length=4)] | None = None
    stream: Annotated[bool, Meta(description="answer with server-sent events")] = False
    stream_options: StreamOptions | None = None
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1, description="same seed, same text")] | None = None
    presence_penalty: Penalty = 0.0
    frequency_penalty: Penalty = 0.0
    logit_bias: Annotated[dict[str, Bias], Meta(description="token id → what to add to its logit", max_length=1024)] = (
        msgspec.field(default_factory=dict)
    )
    user: Annotated[str | None, Meta(description="who asks; changes nothing")] = None
    top_k: Annotated[int, Meta(ge=-1, lt=2**31, description="choose among the k likeliest, 0 or -1 for all")] = 0
    min_p: Annotated[
        Probability, Meta(description="choose among those at least p times as likely as the likeliest")
    ] = 0.0
    typical_p: Annotated[TypicalP, Meta(description="choose among the most typical that add up to p, 1 for all")] = 1.0
    repetition_penalty: Annotated[RepetitionPenalty, Meta(description="above 1, what was said is less likely")] = 1.0
    min_tokens: Annotated[Count, Meta(description="the text does not end before")] = 0
    ignore_eos: Annotated[bool, Meta(description="go on after the end marker")] = False
    stop_token_ids: Annotated[list[Token], Meta(max_length=128, description="tokens that end the text")] = (
        msgspec.field(default_factory=list)
    )
    include_stop_str_in_output: Annotated[bool, Meta(description="what ended the text is part of it")] = False
    truncate_prompt_tokens: Annotated[
        Annotated[int, Meta(ge=-1, lt=2**31)] | None,
        Meta(description="read only so many of the prompt's last tokens, -1 for as many as the window holds"),
    ] = None

    @property
    def usage_wanted(self) -> bool:
        return self.stream_options is not None and self.stream_options.include_usage

    def check(self, engine: Engine, max_tokens: int, max_length: int, name: str = "max_tokens") -> None:
        """Refuse what one field cannot say alone. `name` is the one that max_tokens came from. Raises InvalidRequest."""
        size = len(engine.tokenizer)
        if max_tokens > max_length:
            raise invalid(name, f"{name} is {max_tokens}: expected at most {max_length}.")
        if self.min_tokens > max_tokens:
            raise invalid(
                "min_tokens", f"min_tokens is {self.min_tokens}: expected at most {name}, which is {max_tokens}."
            )
        if self.stream_options is not None and not self.stream:
            raise invalid("stream_options", "stream_options is for streams: set stream to true, or leave it out.")
        if self.truncate_prompt_tokens == 0:
            raise invalid("truncate_prompt_tokens", "truncate_prompt_tokens is 0: expected -1, or 1 or more.")
        for token in self.stop_token_ids:
            if token >= size:
                raise invalid("stop_token_ids", f"stop_token_ids has {token}: the model's tokens are 0 to {size - 1}.")
        for key in self.logit_bias:
            if not (key.isascii() and key.isdecimal() and int(key) < size):
                raise invalid("logit_bias", f"logit_bias has {shorten(key)}: the model's tokens are 0 to {size - 1}.")

    def check_logprobs(self, tokens: int, top: int | None) -> None:
        """Refuse what would not fit into memory when it is written down. Raises InvalidRequest."""
        if top is not None and tokens * (1 + top) > MAX_LOGPROBS:
            comes_to = f"{tokens} tokens with {top} others each"
            raise invalid(
                "logprobs", f"logprobs of {comes_to} are more than {MAX_LOGPROBS}: ask for fewer or shorter texts."
            )

    def last_tokens(self, tokens: list[int], n_ctx: int) -> list[int]:
        """What is left of a prompt with `truncate_prompt_tokens`."""
        kept = n_ctx if self.truncate_prompt_tokens == -1 else self.truncate_prompt_tokens
        return tokens[-kept:] if kept else tokens

    def options(self, length: int, samples: int, **more: Any) -> GenerationOptions:
        """How to generate; a seed is drawn where none was given."""
        sampling = Sampling(
            temperature=self.temperature,
            top_k=max(self.top_k, 0),
            top_p=self.top_p,
            min_p=self.min_p,
            typical_p=self.typical_p,
            repetition_penalty=self.repetition_penalty,
            presence_penalty=self.presence_penalty,
            frequency_penalty=self.frequency_penalty,
        )
        return GenerationOptions(
            length=length,
            samples=samples,
            seed=secrets.randbelow(2**32) if self.seed is None else self.seed % 2**64,
            sampling=sampling,
            stops=[self.stop] if isinstance(self.stop, str) else self.stop or [],
            include_stop=self.include_stop_str_in_output,
            stop_tokens=self.stop_token_ids,
            ignore_end=self.ignore_eos,
            min_length=self.min_tokens,
            bias={int(token): bias for token, bias in self.logit_bias.items()},
            **more,
        )


class CompletionRequest(WritingRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`/v1/completions`."""

    prompt: Annotated[
        str | list[str | Token | list[Token]], Meta(description="a text, its tokens, or a list of either")
    ] = ""
    max_tokens: Annotated[Count, Meta(description="new tokens at most")] = 16
    best_of: Annotated[
        Annotated[int, Meta(ge=0, le=20)] | None, Meta(description="write so many and answer the likeliest n")
    ] = None
    echo: Annotated[bool, Meta(description="the text begins with the prompt")] = False
    logprobs: Annotated[
        Annotated[int, Meta(ge=0, le=5)] | None, Meta(description="tell how likely each token and the likeliest were")
    ] = None
    suffix: Annotated[None, Meta(description="GPT-2 cannot write towards an end")] = None


class TextPart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    type: Literal["text"]
    text: str


class Message(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One turn. Besides role and content, what replies of other servers hold when it is empty."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart]
    name: None = None
    refusal: None = None
    audio: None = None
    function_call: None = None
    tool_calls: Annotated[list[Any], Meta(max_length=0)] | None = None
    annotations: Annotated[list[Any], Meta(max_length=0)] | None = None

    @property
    def text(self) -> str:
        return self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)


class ResponseFormat(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    type: Literal["text"]


class ChatRequest(WritingRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`/v1/chat/completions`."""

    messages: Annotated[list[Message], Meta(min_length=1, max_length=2048)]
    max_completion_tokens: Annotated[
        Annotated[int, Meta(ge=1, lt=2**31)] | None, Meta(description="new tokens at most; as fit in the window")
    ] = None
    max_tokens: Annotated[
        Annotated[int, Meta(ge=1, lt=2**31)] | None, Meta(description="the old name of max_completion_tokens")
    ] = None
    logprobs: Annotated[bool, Meta(description="tell how likely each token was")] = False
    top_logprobs: Annotated[
        Annotated[int, Meta(ge=0, le=20)] | None, Meta(description="and as many of the likeliest in its place")
    ] = None
    response_format: ResponseFormat | None = None
    tools: Annotated[list[Any], Meta(max_length=0)] | None = None
    tool_choice: Literal["none", "auto"] | None = None
    parallel_tool_calls: bool | None = None
    functions: Annotated[list[Any], Meta(max_length=0)] | None = None
    function_call: Literal["none", "auto"] | None = None
    modalities: Annotated[list[Literal["text"]], Meta(min_length=1, max_length=1)] | None = None
    service_tier: Literal["auto", "default"] | None = None
    store: Literal[False] | None = None
    metadata: Annotated[dict[str, str], Meta(max_length=0)] | None = None
    safety_identifier: Annotated[str | None, Meta(description="who asks; changes nothing")] = None
    prompt_cache_key: Annotated[str | None, Meta(description="which requests are alike; changes nothing")] = None


class TokenizeRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`/tokenize`: the tokens of a prompt or, put as the model's template has it, of a conversation."""

    model: str | None = None
    prompt: str | None = None
    messages: Annotated[list[Message], Meta(min_length=1, max_length=2048)] | None = None
    add_special_tokens: Annotated[bool, Meta(description="with the token that documents begin with")] = True
    return_token_strs: bool = False


class DetokenizeRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`/detokenize`."""

    model: str | None = None
    tokens: list[Token]


class Usage(msgspec.Struct, frozen=True):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int

    @classmethod
    def of(cls, prompt: int, completion: int) -> Usage:
        return cls(prompt, completion, prompt + completion)


class CompletionLogprobs(msgspec.Struct, frozen=True):
    """Natural logarithms of the model's own probabilities, before temperature, penalties and the like."""

    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None]
    text_offset: list[int]


class CompletionChoice(msgspec.Struct, frozen=True, kw_only=True):
    text: str
    index: int
    logprobs: CompletionLogprobs | None = None
    finish_reason: FinishReason | None = None


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    """The reply of `/v1/completions`, and each chunk of it when it is streamed."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: Usage | UnsetType | None = UNSET


class TokenLogprob(msgspec.Struct, frozen=True):
    token: str
    logprob: float
    bytes: list[int]


class ScoredToken(TokenLogprob, frozen=True):
    top_logprobs: list[TokenLogprob]


class ChatLogprobs(msgspec.Struct, frozen=True):
    content: list[ScoredToken]
    refusal: None = None


class Reply(msgspec.Struct, frozen=True):
    content: str
    role: Literal["assistant"] = "assistant"
    refusal: None = None


class ChatChoice(msgspec.Struct, frozen=True, kw_only=True):
    index: int
    message: Reply
    logprobs: ChatLogprobs | None = None
    finish_reason: FinishReason


class ChatCompletion(msgspec.Struct, frozen=True, kw_only=True):
    """The reply of `/v1/chat/completions`."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[ChatChoice]
    usage: Usage


class Delta(msgspec.Struct, frozen=True, omit_defaults=True):
    role: Literal["assistant"] | None = None
    content: str | None = None


class ChunkChoice(msgspec.Struct, frozen=True, kw_only=True):
    index: int
    delta: Delta
    logprobs: ChatLogprobs | None = None
    finish_reason: FinishReason | None = None


class ChatCompletionChunk(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a streamed chat completion."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: Usage | UnsetType | None = UNSET


class Model(msgspec.Struct, frozen=True):
    id: str
    created: int
    object: Literal["model"] = "model"
    owned_by: str = "gpt-2-cloud-run"


class ModelList(msgspec.Struct, frozen=True):
    data: list[Model]
    object: Literal["list"] = "list"


class Tokenized(msgspec.Struct, frozen=True):
    """The reply of `/tokenize`; `max_model_len` is the window in tokens."""

    count: int
    max_model_len: int
    tokens: list[int]
    token_strs: list[str] | None = None


class Detokenized(msgspec.Struct, frozen=True):
    prompt: str
