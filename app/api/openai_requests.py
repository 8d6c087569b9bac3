"""Request types of the OpenAI-compatible routes.

A field that GPT-2 cannot honour accepts only its neutral value, such as an empty list, and an unknown field is refused, so
nothing is silently ignored. Each type refuses fields that contradict each other (`__post_init__`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from app.api.compatibility_fields import CompatibilityFields, EmptyText
from app.api.conversation import ContinueFinalMessage, Conversation, check_conversation
from app.api.field_types import FrequencyPenalty, MinP, PresencePenalty, RepetitionPenalty, Stop, Stream
from app.api.validation import invalid_value
from app.engine.prompts import FREE_SHARE
from app.engine.sampling import Probability, TypicalP

# In one request, over all its prompts.
MAX_TEXTS = 128
DEFAULT_MAX_TOKENS = 16
TokenCount = Annotated[int, Meta(ge=0, lt=2**31)]
# -1 is as many as fit in the window, as in vLLM, llama.cpp and LM Studio.
TokenLimit = Annotated[int, Meta(ge=-1, lt=2**31)]
TokenId = Annotated[int, Meta(ge=0, lt=2**31)]
LogitBias = Annotated[float, Meta(ge=-100, le=100)]


class StreamOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    include_usage: Annotated[bool, Meta(description="send the usage in a chunk of its own at the end")] = False
    include_obfuscation: Literal[False] = False
    continuous_usage_stats: Literal[False] = False


class OpenAIRequest(CompatibilityFields, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The fields that completions and chat completions have in common."""

    model: Annotated[str | None, Meta(description="one of /v1/models; the default model if left out")] = None
    temperature: Annotated[
        Annotated[float, Meta(ge=0, le=2)] | None,
        Meta(
            description="divides the logits: below 1 the text is safer, above 1 wilder, at 0 greedy",
            extra_json_schema={"x-otherwise": 1},
        ),
    ] = None
    top_p: Annotated[
        Probability | None,
        Meta(
            description="nucleus sampling: choose among the likeliest tokens that add up to this probability, 1 for all, "
            "0 for the likeliest alone",
            extra_json_schema={"x-otherwise": 1},
        ),
    ] = None
    n: Annotated[int, Meta(ge=1, le=MAX_TEXTS, description="the number of texts for each prompt")] = 1
    stop: Stop = None
    stream: Stream = False
    stream_options: Annotated[StreamOptions | None, Meta(description="only together with stream")] = None
    seed: Annotated[
        Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None,
        Meta(description="the same seed gives the same text; a random one if left out or -1"),
    ] = None
    presence_penalty: PresencePenalty = None
    frequency_penalty: FrequencyPenalty = None
    logit_bias: Annotated[
        dict[str, LogitBias], Meta(max_length=1024, description="added to the logits of tokens: token id to number")
    ] = msgspec.field(default_factory=dict)
    top_k: Annotated[
        Annotated[int, Meta(ge=-1, lt=2**31)] | None,
        Meta(
            description="top-k sampling: choose among the k likeliest tokens, 0 or -1 for all",
            extra_json_schema={"x-otherwise": 0},
        ),
    ] = None
    min_p: MinP = None
    typical_p: Annotated[
        TypicalP | None,
        Meta(
            description="typical sampling: choose among the most typical tokens that add up to p, 1 for all",
            extra_json_schema={"x-otherwise": 1},
        ),
    ] = None
    repetition_penalty: RepetitionPenalty = None
    min_tokens: Annotated[TokenCount, Meta(description="the text does not end before this number of tokens")] = 0
    ignore_eos: Annotated[bool, Meta(description="go on after the model's end marker")] = False
    stop_token_ids: Annotated[list[TokenId], Meta(max_length=128, description="token ids that end the text")] = (
        msgspec.field(default_factory=list)
    )
    include_stop_str_in_output: Annotated[
        bool, Meta(description="keep the stop string or stop token that ended the text")
    ] = False
    truncate_prompt_tokens: Annotated[
        TokenLimit | None,
        Meta(description="use only this number of the prompt's last tokens, -1 for as many as the window holds"),
    ] = None

    def __post_init__(self) -> None:
        if self.usage_wanted and not self.stream:
            raise invalid_value(
                "stream_options", "stream_options is only for streams: set stream to true, or leave it out."
            )
        check_not_zero("truncate_prompt_tokens", self.truncate_prompt_tokens)

    @property
    def fixed_seed(self) -> int | None:
        """The seed, or None for a random one, which vLLM and llama.cpp also write as -1."""
        return None if self.seed == -1 else self.seed

    @property
    def usage_wanted(self) -> bool:
        """Whether a stream ends with a chunk that has the usage."""
        return self.stream_options is not None and self.stream_options.include_usage


def check_not_zero(field: str, tokens: int | None) -> None:
    """Refuse a limit of 0 tokens where nothing would be left. Raises InvalidRequest."""
    if tokens == 0:
        raise invalid_value(field, f"{field} is 0: expected -1, or 1 or more.")


class CompletionRequest(OpenAIRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`/v1/completions`."""

    prompt: Annotated[
        str | list[str | TokenId | list[TokenId]],
        Meta(description="the text to continue, its token ids, or a list of texts or of lists of token ids"),
    ] = ""
    max_tokens: Annotated[
        TokenCount | None,
        Meta(description="the maximum number of new tokens", extra_json_schema={"x-otherwise": DEFAULT_MAX_TOKENS}),
    ] = None
    best_of: Annotated[
        Annotated[int, Meta(ge=1, le=20)] | None,
        Meta(description="generate this number of texts for each prompt and return the n likeliest"),
    ] = None
    echo: Annotated[bool, Meta(description="let each text begin with its prompt")] = False
    logprobs: Annotated[
        Annotated[int, Meta(ge=0, le=20)] | None,
        Meta(description="return the log probability of each token and of this number of the likeliest tokens"),
    ] = None
    suffix: Annotated[
        EmptyText | None, Meta(description="not supported: GPT-2 cannot fill in a text before a given end")
    ] = None
    add_special_tokens: Literal[True] | None = None
    add_generation_prompt: Literal[True] | None = None
    continue_final_message: Literal[False] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.samples < self.n:
            raise invalid_value("best_of", f"best_of is {self.samples}: expected at least n, which is {self.n}.")
        if self.stream and self.samples > self.n:
            raise invalid_value(
                "best_of", "best_of cannot be above n in a stream: which texts are the best is known only at the end."
            )
        if isinstance(self.prompt, list):
            check_prompts(self.prompt)
        if len(self.prompts) * self.samples > MAX_TEXTS:
            requested = f"{len(self.prompts)} prompts with {self.samples} texts each"
            raise invalid_value("prompt", f"prompt has {requested}: expected at most {MAX_TEXTS} texts in one request.")

    @property
    def samples(self) -> int:
        """The number of texts to generate for each prompt."""
        return self.n if self.best_of is None else self.best_of

    @property
    def size(self) -> int:
        """Characters and token ids of all the prompts."""
        return len(self.prompt) + sum(len(item) for item in self.prompt if not isinstance(item, int))

    @property
    def prompts(self) -> list[str | list[int]]:
        """The prompts one by one, each as a text or as token ids."""
        if isinstance(self.prompt, str):
            return [self.prompt]
        token_ids = [item for item in self.prompt if isinstance(item, int)]
        return [token_ids] if token_ids else [item for item in self.prompt if not isinstance(item, int)]


def check_prompts(items: Sequence[str | int | list[int]]) -> None:
    """Refuse an empty prompt and a list of several kinds. Raises InvalidRequest."""
    if not items or [] in items or len({type(item) for item in items}) > 1:
        raise invalid_value(
            "prompt", "prompt is empty or mixed: expected a text, its tokens, or a list of one or the other."
        )


class ChatRequest(OpenAIRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`/v1/chat/completions`."""

    messages: Conversation
    max_completion_tokens: Annotated[
        TokenLimit | None,
        Meta(
            description="the maximum number of new tokens, for which older turns make room, up to half of the window; with "
            f"-1, as many as fit in the window, of which older turns leave {FREE_SHARE:.0%} free",
            extra_json_schema={"x-otherwise": -1},
        ),
    ] = None
    max_tokens: Annotated[TokenLimit | None, Meta(description="the old name of max_completion_tokens")] = None
    logprobs: Annotated[bool, Meta(description="return the log probability of each token")] = False
    top_logprobs: Annotated[
        Annotated[int, Meta(ge=0, le=20)] | None,
        Meta(description="return the log probabilities of this number of the likeliest tokens; needs logprobs"),
    ] = None
    best_of: Literal[1] | None = None
    continue_final_message: ContinueFinalMessage = None
    add_generation_prompt: bool | None = None
    echo: Literal[False] | None = None
    add_special_tokens: Literal[False] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_conversation(self.messages, self.continue_final_message, self.add_generation_prompt)
        check_not_zero("max_tokens", self.max_tokens)
        check_not_zero("max_completion_tokens", self.max_completion_tokens)
        if self.max_tokens is not None and self.max_completion_tokens is not None:
            raise invalid_value("max_tokens", "max_tokens is the old name of max_completion_tokens: give one of them.")
        if self.top_logprobs and not self.logprobs:
            raise invalid_value("top_logprobs", "top_logprobs needs logprobs: set that to true, or leave this out.")

    @property
    def unfinished(self) -> str:
        """The text of the message that the model goes on with, empty if it answers."""
        return self.messages[-1].text if self.continue_final_message else ""

    @property
    def length(self) -> int | None:
        """The maximum number of new tokens under either name: -1 for as many as fit, None for the model's default."""
        return self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens

    @property
    def length_field(self) -> str:
        """The name under which `length` was given."""
        return "max_tokens" if self.max_completion_tokens is None else "max_completion_tokens"

    @property
    def likeliest(self) -> int | None:
        """The number of likeliest tokens to return for each token, None without logprobs."""
        return (self.top_logprobs or 0) if self.logprobs else None
