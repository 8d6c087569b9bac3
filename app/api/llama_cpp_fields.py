"""Fields that the routes of llama.cpp's server and of Ollama, which is built on it, share: types, ranges and descriptions."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from app.api.field_types import StopString
from app.engine import sampling

NewTokens = Annotated[
    Annotated[int, Meta(ge=-2, lt=2**31)] | None,
    Meta(
        description="the maximum number of new tokens; -1 and -2 for as many as fit in the window",
        extra_json_schema={"x-otherwise": -1},
    ),
]
Temperature = Annotated[
    sampling.Temperature | None,
    Meta(description="divides the logits, at 0 greedy", extra_json_schema={"x-otherwise": 0.8}),
]
TypicalP = Annotated[
    sampling.TypicalP | None,
    Meta(description="choose among the most typical tokens that add up to p", extra_json_schema={"x-otherwise": 1}),
]
RepeatPenalty = Annotated[
    sampling.RepetitionPenalty | None,
    Meta(
        description="above 1, tokens that occurred among the last become less likely",
        extra_json_schema={"x-otherwise": 1},
    ),
]
LastN = Annotated[
    Annotated[int, Meta(ge=-1, lt=2**31)] | None,
    Meta(
        description="the penalties look at this number of the last tokens, the prompt's included; 64 if left out, 0 for no "
        "penalties, -1 for the window"
    ),
]
Seed = Annotated[
    Annotated[int, Meta(ge=-1, le=2**63 - 1)] | None,
    Meta(description="the same seed gives the same text; a random one if left out or -1"),
]
Stop = Annotated[
    StopString | Annotated[list[StopString], Meta(max_length=16)] | None,
    Meta(description="end the text before this string, or before any of up to 16"),
]
