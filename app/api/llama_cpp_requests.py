"""The request type of `/completion`, the route of llama.cpp's server.

A field that GPT-2 cannot honour takes only the value that switches it off, and an unknown field is refused.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from app.api.compatibility_fields import EmptyList, EmptyText, Unused
from app.api.field_types import FrequencyPenalty, PresencePenalty, Stream
from app.api.llama_cpp_fields import LastN, NewTokens, RepeatPenalty, Seed, Stop, Temperature, TypicalP
from app.api.openai_requests import MAX_TEXTS, LogitBias, TokenId
from app.api.validation import invalid_value
from app.engine.sampling import Probability

Bias = LogitBias | bool
MixedPrompt = list[str | TokenId]


class LlamaCppRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`/completion` and `/completions`."""

    prompt: Annotated[
        str | list[str | TokenId | MixedPrompt],
        Meta(description="the text to continue, its tokens, texts and tokens mixed, or a list of such prompts"),
    ]
    model: Annotated[str | None, Meta(description="one of /v1/models; the default model if left out")] = None
    n_predict: NewTokens = None
    n_cmpl: Annotated[int, Meta(ge=1, le=MAX_TEXTS, description="the number of texts for each prompt")] = 1
    stream: Stream = False
    temperature: Temperature = None
    top_k: Annotated[
        Annotated[int, Meta(ge=-1, lt=2**31)] | None,
        Meta(description="choose among the k likeliest tokens, 0 or -1 for all", extra_json_schema={"x-otherwise": 40}),
    ] = None
    top_p: Annotated[
        Probability | None,
        Meta(
            description="choose among the likeliest tokens that add up to this probability, 1 for all, 0 for the likeliest",
            extra_json_schema={"x-otherwise": 0.95},
        ),
    ] = None
    min_p: Annotated[
        Probability | None,
        Meta(
            description="leave out tokens less likely than this share of the likeliest",
            extra_json_schema={"x-otherwise": 0.05},
        ),
    ] = None
    typical_p: TypicalP = None
    repeat_penalty: RepeatPenalty = None
    repeat_last_n: LastN = None
    presence_penalty: PresencePenalty = None
    frequency_penalty: FrequencyPenalty = None
    seed: Seed = None
    stop: Stop = None
    ignore_eos: Annotated[bool, Meta(description="go on after the model's end marker")] = False
    logit_bias: Annotated[
        Annotated[list[tuple[str | TokenId, Bias]], Meta(max_length=1024)]
        | Annotated[dict[str, Bias], Meta(max_length=1024)],
        Meta(description="added to the logits of tokens, or of all tokens of a text; false rules them out"),
    ] = msgspec.field(default_factory=list)
    n_probs: Annotated[
        int, Meta(ge=0, le=20, description="return the log probabilities of this number of the likeliest tokens")
    ] = 0
    return_tokens: Annotated[bool, Meta(description="return the text's token ids, too; a stream always does")] = False
    cache_prompt: Annotated[bool, Meta(description="reuse what was read of an earlier prompt")] = True
    response_fields: Annotated[
        Annotated[list[str], Meta(max_length=64)] | None,
        Meta(description="return only these fields of a whole reply; a/b is the field b of a"),
    ] = None
    # Hints.
    id_slot: int | None = None
    sse_ping_interval: int | None = None
    # What is switched off, with what it would need if it were on.
    samplers: EmptyText | EmptyList | None = None
    grammar: EmptyText | None = None
    grammar_lazy: Literal[False] | None = None
    json_schema: None = None
    n_keep: Literal[0] | None = None
    n_indent: Literal[0] | None = None
    n_discard: Literal[0] | None = None
    n_cache_reuse: Literal[0] | None = None
    min_keep: Literal[0] | None = None
    t_max_predict_ms: Literal[0, -1] | None = None
    mirostat: Literal[0] | None = None
    mirostat_tau: Unused = None
    mirostat_eta: Unused = None
    dynatemp_range: Literal[0] | None = None
    dynatemp_exponent: Unused = None
    xtc_probability: Literal[0] | None = None
    xtc_threshold: Unused = None
    dry_multiplier: Literal[0] | None = None
    dry_base: Unused = None
    dry_allowed_length: Unused = None
    dry_penalty_last_n: Unused = None
    dry_sequence_breakers: list[str] | None = None
    top_n_sigma: Literal[-1] | None = None
    timings_per_token: Literal[False] | None = None
    return_progress: Literal[False] | None = None
    post_sampling_probs: Literal[False] | None = None
    lora: EmptyList | None = None

    def __post_init__(self) -> None:
        if not self.prompts or [] in self.prompts:
            raise invalid_value("prompt", "prompt is an empty list: expected a text, its tokens, or a list of those.")
        if isinstance(self.prompt, list) and {int, list} <= {type(item) for item in self.prompt}:
            raise invalid_value("prompt", "prompt has tokens beside lists: expected one prompt, or a list of prompts.")
        if len(self.prompts) * self.n_cmpl > MAX_TEXTS:
            requested = f"{len(self.prompts)} prompts with {self.n_cmpl} texts each"
            raise invalid_value("prompt", f"prompt has {requested}: expected at most {MAX_TEXTS} texts in one request.")

    @property
    def fixed_seed(self) -> int | None:
        return None if self.seed == -1 else self.seed

    @property
    def size(self) -> int:
        """Characters and token ids of all the prompts."""
        return sum(1 if isinstance(item, int) else len(item) for prompt in self.prompts for item in prompt)

    @property
    def bias_size(self) -> int:
        """Characters of the texts that logit_bias has."""
        return sum(len(str(item[0] if isinstance(item, tuple) else item)) for item in self.logit_bias)

    @property
    def several(self) -> bool:
        """Whether the reply is a list, since there may be several texts."""
        return self.n_cmpl > 1 or self._is_list

    @property
    def prompts(self) -> list[MixedPrompt]:
        """The prompts one by one, each as its texts and tokens in order."""
        if isinstance(self.prompt, str):
            return [[self.prompt]]
        if self._is_list:
            return [item if isinstance(item, list) else [item] for item in self.prompt]
        return [[item for item in self.prompt if not isinstance(item, list)]]

    @property
    def _is_list(self) -> bool:
        """Whether `prompt` is a list of prompts: a list without tokens of its own."""
        return isinstance(self.prompt, list) and not any(isinstance(item, int) for item in self.prompt)
