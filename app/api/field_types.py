"""Fields that `/` and the OpenAI-compatible routes share: their types, ranges and descriptions.

The ranges of sampling options are in app.engine.sampling. A sampling option that is left out is the model's own default, and
`x-otherwise` is the default for a model that has none.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from app.engine import sampling

StopString = Annotated[str, Meta(max_length=1000)]
Stop = Annotated[
    StopString | Annotated[list[StopString], Meta(max_length=4)] | None,
    Meta(description="end the text before this string, or before any of up to four; an empty one ends nothing"),
]
Stream = Annotated[bool, Meta(description="answer with server-sent events while the text is generated")]
MinP = Annotated[
    sampling.Probability | None,
    Meta(
        description="min-p sampling: leave out tokens less likely than this share of the likeliest token",
        extra_json_schema={"x-otherwise": 0},
    ),
]
RepetitionPenalty = Annotated[
    sampling.RepetitionPenalty | None,
    Meta(
        description="above 1, tokens of the prompt and of the text so far become less likely",
        extra_json_schema={"x-otherwise": 1},
    ),
]
PresencePenalty = Annotated[
    sampling.Penalty | None,
    Meta(
        description="subtracted from the logit of each token that the text has already",
        extra_json_schema={"x-otherwise": 0},
    ),
]
FrequencyPenalty = Annotated[
    sampling.Penalty | None,
    Meta(
        description="subtracted from a token's logit once for each time that the text has it already",
        extra_json_schema={"x-otherwise": 0},
    ),
]
