"""The request of `/` and `/generate`: its fields with their types, limits and defaults."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from app.api.field_types import FrequencyPenalty, MinP, PresencePenalty, RepetitionPenalty, Stop, Stream
from app.engine.generation import Length, Seed
from app.engine.sampling import Probability, Temperature, TopK

DEFAULT_LENGTH = 100


class GenerateRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`/` and `/generate`."""

    length: Annotated[
        Length | None,
        Meta(description="the maximum number of new tokens", extra_json_schema={"x-otherwise": DEFAULT_LENGTH}),
    ] = None
    temperature: Annotated[
        Temperature | None,
        Meta(
            description="divides the logits: below 1 the text is safer, above 1 wilder, at 0 greedy",
            extra_json_schema={"x-otherwise": 0.7},
        ),
    ] = None
    top_k: Annotated[
        TopK | None,
        Meta(
            description="top-k sampling: choose among the k likeliest tokens, 0 for all",
            extra_json_schema={"x-otherwise": 0},
        ),
    ] = None
    top_p: Annotated[
        Probability | None,
        Meta(
            description="nucleus sampling: choose among the likeliest tokens that add up to this probability, 0 for all",
            extra_json_schema={"x-otherwise": 0},
        ),
    ] = None
    min_p: MinP = None
    repetition_penalty: RepetitionPenalty = None
    presence_penalty: PresencePenalty = None
    frequency_penalty: FrequencyPenalty = None
    prefix: Annotated[str, Meta(description="the prompt: the text to continue")] = ""
    truncate: Annotated[
        str | None, Meta(description="end the text before this string, and drop newlines at its beginning")
    ] = None
    stop: Stop = None
    include_prefix: Annotated[bool, Meta(description="let the returned text begin with the prefix")] = True
    seed: Annotated[
        Seed | None,
        Meta(description="the same seed gives the same text; a random one if left out"),
    ] = None
    nsamples: Annotated[int, Meta(ge=1, le=128, description="the number of texts, generated as one batch")] = 1
    min_tokens: Annotated[
        int, Meta(ge=0, lt=2**31, description="the text does not end before this number of tokens")
    ] = 0
    only_if_idle: Annotated[
        bool,
        Meta(
            description="answer only while nobody else is being answered or waits: else a 429, and a text that has begun ends as "
            "soon as another request comes"
        ),
    ] = False
    stream: Stream = False
    model: Annotated[str | None, Meta(description="the name of a served model; the default model if left out")] = None
