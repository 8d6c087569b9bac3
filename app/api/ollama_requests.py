"""Request types of the routes for Ollama's clients.

A field that GPT-2 cannot honour takes only the value that switches it off, and an unknown field is refused.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from app.api.compatibility_fields import EmptyList, EmptyObject, EmptyText, Unused
from app.api.field_types import FrequencyPenalty, MinP, PresencePenalty
from app.api.llama_cpp_fields import LastN, NewTokens, RepeatPenalty, Seed, Stop, Temperature, TypicalP
from app.api.validation import invalid_value
from app.engine.prompts import Turn
from app.engine.sampling import Probability, TopK
from app.errors import InvalidRequest

ModelName = Annotated[str, Meta(min_length=1, description="one of /api/tags, with or without its tag")]
TopLogprobs = Annotated[
    Annotated[int, Meta(ge=0, le=20)] | None,
    Meta(description="return this number of the likeliest tokens at each position; needs logprobs"),
]


class OllamaOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`options`: how long a text is and how its tokens are chosen."""

    num_predict: NewTokens = None
    temperature: Temperature = None
    top_k: Annotated[
        TopK | None,
        Meta(description="choose among the k likeliest tokens, 0 for all", extra_json_schema={"x-otherwise": 40}),
    ] = None
    top_p: Annotated[
        Probability | None,
        Meta(
            description="choose among the likeliest tokens that add up to this probability, 1 for all, 0 for the likeliest",
            extra_json_schema={"x-otherwise": 0.9},
        ),
    ] = None
    min_p: MinP = None
    typical_p: TypicalP = None
    repeat_penalty: RepeatPenalty = None
    repeat_last_n: LastN = None
    presence_penalty: PresencePenalty = None
    frequency_penalty: FrequencyPenalty = None
    seed: Seed = None
    stop: Stop = None
    num_ctx: Annotated[
        Annotated[int, Meta(ge=1, lt=2**31)] | None,
        Meta(description="use only this number of the prompt's last tokens; the model's window if that is smaller"),
    ] = None
    # How the work is done, which changes no text.
    numa: bool | None = None
    num_batch: int | None = None
    num_gpu: int | None = None
    main_gpu: int | None = None
    low_vram: bool | None = None
    f16_kv: bool | None = None
    use_mmap: bool | None = None
    use_mlock: bool | None = None
    num_thread: int | None = None
    draft_num_predict: int | None = None
    # What is kept of the beginning when the window slides: nothing.
    num_keep: Literal[0] | None = None
    # What is switched off.
    logits_all: Literal[False] | None = None
    vocab_only: Literal[False] | None = None
    embedding_only: Literal[False] | None = None
    mirostat: Literal[0] | None = None
    mirostat_tau: Unused = None
    mirostat_eta: Unused = None
    tfs_z: Literal[1] | None = None
    penalize_newline: Literal[True] | None = None

    @property
    def fixed_seed(self) -> int | None:
        return None if self.seed == -1 else self.seed


class OllamaRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The fields that both generating routes have in common."""

    model: ModelName
    stream: Annotated[bool, Meta(description="answer with a line of JSON for each piece of text")] = True
    options: OllamaOptions = OllamaOptions()
    logprobs: Annotated[bool, Meta(description="return the log probability of each token")] = False
    top_logprobs: TopLogprobs = None
    truncate: Annotated[bool, Meta(description="use the last tokens of a prompt longer than the window")] = True
    shift: Annotated[bool, Meta(description="go on when the window is full")] = True
    # The server decides how long a model stays in memory.
    keep_alive: str | float | None = None
    format: EmptyText | None = None
    think: Literal[False] | None = None

    def __post_init__(self) -> None:
        if self.top_logprobs and not self.logprobs:
            raise invalid_value("top_logprobs", "top_logprobs needs logprobs: set that to true, or leave this out.")

    @property
    def likeliest(self) -> int | None:
        """The number of likeliest tokens to return for each token, None without logprobs."""
        return (self.top_logprobs or 0) if self.logprobs else None


class OllamaGenerateRequest(OllamaRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`/api/generate`."""

    prompt: Annotated[
        str, Meta(description="the text to continue or, for a model that has turns, to answer; empty to load the model")
    ] = ""
    system: Annotated[str, Meta(description="instructions, which are put before the prompt; not with raw")] = ""
    raw: Annotated[bool, Meta(description="continue the prompt as it is, without the model's template")] = False
    suffix: EmptyText | None = None
    template: EmptyText | None = None
    context: EmptyList | None = None
    images: EmptyList | None = None
    width: Literal[0] | None = None
    height: Literal[0] | None = None
    steps: Literal[0] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.raw and self.system:
            raise invalid_value("system", "system cannot be given with raw: put it into the prompt, or leave raw out.")


class OllamaMessage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One message of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str = ""
    images: EmptyList | None = None
    thinking: EmptyText | None = None
    tool_calls: EmptyList | None = None
    tool_name: EmptyText | None = None
    tool_call_id: EmptyText | None = None

    @property
    def turn(self) -> Turn:
        return Turn(self.content, self.role == "assistant", self.role == "system")


class OllamaChatRequest(OllamaRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`/api/chat`."""

    messages: Annotated[
        list[OllamaMessage],
        Meta(
            max_length=2048,
            description="the conversation, up to the message that the model answers or, if it is the model's own, continues; "
            "empty to load the model",
        ),
    ] = msgspec.field(default_factory=list)
    tools: EmptyList | None = None

    @property
    def unfinished(self) -> str:
        """The text of a last message of the model, which it continues."""
        last = self.messages[-1] if self.messages else OllamaMessage(role="user")
        return last.content if last.role == "assistant" and last.content.strip() else ""


class OllamaShowRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`/api/show`."""

    model: ModelName | None = None
    name: Annotated[str | None, Meta(description="the old name of model")] = None
    verbose: bool | None = None
    system: EmptyText | None = None
    template: EmptyText | None = None
    options: EmptyObject | None = None

    def __post_init__(self) -> None:
        if self.model is not None and self.name is not None:
            raise invalid_value("name", "name is the old name of model: give one of them.")
        if not self.named:
            raise InvalidRequest("model is missing: add it.", param="model", code="missing_field")

    @property
    def named(self) -> str:
        return self.model or self.name or ""
