"""The request type of `/v1/responses`, for text.

A field that GPT-2 cannot honour takes only the value that switches it off, and an unknown field is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from app.api.compatibility_fields import EmptyList, EmptyObject, ResponseFormat
from app.api.field_types import Stream
from app.api.validation import invalid_value
from app.engine.prompts import Turn
from app.engine.sampling import Probability

LOGPROBS = "message.output_text.logprobs"


class ResponsesText(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    format: ResponseFormat | None = None
    verbosity: Literal["medium"] | None = None


class ResponsesReasoning(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Thinking before the answer, which GPT-2 does not do."""

    effort: Literal["none"] | None = None
    summary: None = None
    generate_summary: None = None


class ResponsesStreamOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    include_obfuscation: Literal[False] = False


class ResponsesPart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of a message. Replies have annotations and log probabilities, which may come back."""

    type: Literal["input_text", "output_text", "text"]
    text: str
    annotations: EmptyList | None = None
    logprobs: list[Any] | None = None
    prompt_cache_breakpoint: dict[str, Any] | None = None


class ResponsesMessage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One message of a conversation, also as a reply has it."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[ResponsesPart]
    type: Literal["message"] = "message"
    id: str | None = None
    status: Literal["in_progress", "completed", "incomplete"] | None = None
    phase: str | None = None

    @property
    def turn(self) -> Turn:
        text = self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)
        return Turn(text, self.role == "assistant", self.role in ("system", "developer"))


class ResponsesRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`/v1/responses`."""

    input: Annotated[
        str | Annotated[list[ResponsesMessage], Meta(min_length=1, max_length=2048)],
        Meta(description="what the model answers, or the conversation up to it"),
    ]
    model: Annotated[str | None, Meta(description="one of /v1/models; the default model if left out")] = None
    instructions: Annotated[str, Meta(description="instructions, which are put before the conversation")] = ""
    max_output_tokens: Annotated[
        Annotated[int, Meta(ge=1, lt=2**31)] | None,
        Meta(
            description="the maximum number of new tokens; if left out, the model's own, else as many as fit in the window"
        ),
    ] = None
    temperature: Annotated[
        Annotated[float, Meta(ge=0, le=2)] | None,
        Meta(description="divides the logits, at 0 greedy", extra_json_schema={"x-otherwise": 1}),
    ] = None
    top_p: Annotated[
        Probability | None,
        Meta(
            description="choose among the likeliest tokens that add up to this probability, 1 for all, 0 for the likeliest",
            extra_json_schema={"x-otherwise": 1},
        ),
    ] = None
    stream: Stream = False
    stream_options: Annotated[ResponsesStreamOptions | None, Meta(description="only together with stream")] = None
    top_logprobs: Annotated[
        Annotated[int, Meta(ge=0, le=20)] | None,
        Meta(description=f"return this number of the likeliest tokens at each position; needs {LOGPROBS} in include"),
    ] = None
    include: Annotated[
        list[Literal["message.output_text.logprobs", "reasoning.encrypted_content"]],
        Meta(max_length=8, description=f"{LOGPROBS} returns the log probability of each token"),
    ] = msgspec.field(default_factory=list)
    truncation: Annotated[
        Literal["auto", "disabled"],
        Meta(description="auto leaves out the oldest turns where the window is full; disabled refuses the request"),
    ] = "auto"
    metadata: Annotated[
        Annotated[dict[str, str], Meta(max_length=16)] | None, Meta(description="comes back in the reply")
    ] = None
    # Nothing is stored, so nothing of an earlier response is known. The reply says store: false.
    store: bool | None = None
    previous_response_id: str | None = None
    conversation: str | dict[str, Any] | None = None
    prompt: None = None
    background: Literal[False] | None = None
    background_options: EmptyObject | None = None
    context_management: EmptyList | None = None
    # Hints: who asks, how it is billed, queued and cached.
    user: str | None = None
    safety_identifier: str | None = None
    service_tier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    prompt_cache_options: dict[str, Any] | None = None
    # Tools and other kinds of answers.
    text: ResponsesText | None = None
    tools: EmptyList | None = None
    tool_choice: Literal["none", "auto"] | None = None
    parallel_tool_calls: bool | None = None
    max_tool_calls: int | None = None
    reasoning: ResponsesReasoning | None = None
    moderation: None = None
    image: EmptyObject | None = None
    access_programs: EmptyObject | None = None
    extra_body: EmptyObject | None = None

    def __post_init__(self) -> None:
        for name in ("previous_response_id", "conversation"):
            if getattr(self, name) is not None:
                problem = f"{name} is given, and nothing is stored here: send the whole conversation in input."
                raise invalid_value(name, problem)
        if isinstance(self.input, list) and self.input[-1].role == "assistant":
            raise invalid_value("input", "the last of input is the assistant's: end with a message of the role user.")
        if self.stream_options is not None and not self.stream:
            raise invalid_value(
                "stream_options", "stream_options is only for streams: set stream to true, or leave it out."
            )
        if self.top_logprobs and LOGPROBS not in self.include:
            raise invalid_value("top_logprobs", f"top_logprobs needs {LOGPROBS} in include: add it, or leave this out.")

    @property
    def likeliest(self) -> int | None:
        """The number of likeliest tokens to return for each token, None without log probabilities."""
        return (self.top_logprobs or 0) if LOGPROBS in self.include else None

    @property
    def turns(self) -> Sequence[Turn]:
        said = [Turn(self.input)] if isinstance(self.input, str) else [message.turn for message in self.input]
        return [Turn(self.instructions, instructs=True), *said] if self.instructions else said
