"""Fields of OpenAI's, vLLM's, llama.cpp's and other APIs that change nothing here, with the values that are taken.

Programs send them along. A hint, such as a name for the cache, may have any value. A feature that this service lacks may be
switched off in words; any other value is refused by name, since it could not be honoured.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

EmptyText = Literal[""]
EmptyList = Annotated[list[Any], Meta(max_length=0)]
EmptyObject = Annotated[dict[str, Any], Meta(max_length=0)]
# What a switch that is off is multiplied or bounded by.
Unused = float | None


class ResponseFormat(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    type: Literal["text"]


class CompatibilityFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """On completions and chat completions."""

    # Hints: who asks, how it is billed, stored, queued and cached.
    user: str | None = None
    metadata: dict[str, Any] | None = None
    store: bool | None = None
    service_tier: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    prompt_cache_options: dict[str, Any] | None = None
    cache_control: dict[str, Any] | None = None
    cache_prompt: bool | None = None
    cache_salt: str | None = None
    id_slot: int | None = None
    keep_alive: str | int | None = None
    request_id: str | None = None
    # No request overtakes another, as in vLLM unless it is told to schedule by priority.
    priority: Literal[0] | None = None
    # Samplers that are switched off, with what they would need if they were on.
    length_penalty: Literal[1] | None = None
    repeat_penalty: Literal[1] | None = None
    repeat_last_n: Literal[64, -1] | None = None
    top_a: Literal[0] | None = None
    tfs: Literal[1] | None = None
    tfs_z: Literal[1] | None = None
    epsilon_cutoff: Literal[0] | None = None
    eta_cutoff: Literal[0] | None = None
    penalty_alpha: Literal[0] | None = None
    smoothing_factor: Literal[0] | None = None
    smoothing_curve: Unused = None
    guidance_scale: Literal[1] | None = None
    negative_prompt: EmptyText | None = None
    mirostat: Literal[0] | None = None
    mirostat_mode: Literal[0] | None = None
    mirostat_tau: Unused = None
    mirostat_eta: Unused = None
    dynamic_temperature: Literal[False] | None = None
    dynatemp_range: Literal[0] | None = None
    dynatemp_exponent: Unused = None
    xtc_probability: Literal[0] | None = None
    xtc_threshold: Unused = None
    dry_multiplier: Literal[0] | None = None
    dry_base: Unused = None
    dry_allowed_length: Unused = None
    dry_penalty_last_n: Unused = None
    dry_sequence_breakers: list[str] | None = None
    use_beam_search: Literal[False] | None = None
    early_stopping: Literal[False] | None = None
    do_sample: Literal[True] | None = None
    samplers: EmptyText | EmptyList | None = None
    # Restrictions of the text that restrict nothing.
    bad_words: EmptyList | None = None
    banned_strings: EmptyList | None = None
    custom_token_bans: EmptyText | None = None
    allowed_token_ids: EmptyList | None = None
    ban_eos_token: Literal[False] | None = None
    grammar: EmptyText | None = None
    grammar_string: EmptyText | None = None
    json_schema: EmptyObject | None = None
    lora: EmptyList | None = None
    # How the text and its tokens are returned: as they are here.
    skip_special_tokens: Literal[True] | None = None
    spaces_between_special_tokens: Literal[True] | None = None
    return_tokens_as_token_ids: Literal[False] | None = None
    return_token_ids: Literal[False] | None = None
    return_tokens: Literal[False] | None = None
    return_progress: Literal[False] | None = None
    timings_per_token: Literal[False] | None = None
    post_sampling_probs: Literal[False] | None = None
    n_probs: Literal[0] | None = None
    min_keep: Literal[0] | None = None
    n_keep: Literal[0] | None = None
    options: EmptyObject | None = None
    extra_body: EmptyObject | None = None
    # Tools and other kinds of answers.
    tools: EmptyList | None = None
    tool_choice: Literal["none", "auto"] | None = None
    parallel_tool_calls: bool | None = None
    functions: EmptyList | None = None
    function_call: Literal["none", "auto"] | None = None
    response_format: ResponseFormat | None = None
    modalities: list[Literal["text"]] | None = None
    audio: None = None
    prediction: None = None
    web_search_options: None = None
    moderation: None = None
    verbosity: Literal["medium"] | None = None
    # Thinking before the answer, which GPT-2 does not do.
    reasoning_effort: Literal["none"] | None = None
    reasoning: EmptyObject | None = None
    reasoning_format: Literal["none", "auto"] | None = None
    include_reasoning: bool | None = None
    enable_thinking: Literal[False] | None = None
    think: Literal[False] | None = None
    # How the template writes the conversation: as it does here.
    chat_template_kwargs: EmptyObject | None = None
    documents: EmptyList | None = None


class MessageCompatibilityFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """On a message of a conversation, as replies have them that clients send back."""

    name: EmptyText | None = None
    refusal: EmptyText | None = None
    audio: None = None
    function_call: None = None
    tool_calls: EmptyList | None = None
    tool_call_id: EmptyText | None = None
    annotations: EmptyList | None = None
    images: EmptyList | None = None
    reasoning: EmptyText | None = None
    reasoning_content: EmptyText | None = None
    reasoning_details: EmptyList | None = None
    thinking_blocks: EmptyList | None = None
    provider_specific_fields: EmptyObject | None = None
    prefix: Literal[False] | None = None
    cache_control: dict[str, Any] | None = None
