"""Request types of the routes for clients of TGI, Hugging Face's Text Generation Inference."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from app.api.field_types import FrequencyPenalty, RepetitionPenalty, StopString, Stream
from app.api.validation import invalid_value
from app.engine.sampling import Temperature, TopK, TypicalP

DEFAULT_NEW_TOKENS = 100
TokenNumber = Annotated[int, Meta(ge=1, lt=2**31)]


class TgiParameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`parameters` of a request. Without any that asks for sampling, and without the model's own, the text is greedy."""

    max_new_tokens: Annotated[
        TokenNumber | None,
        Meta(description="the maximum number of new tokens", extra_json_schema={"x-otherwise": DEFAULT_NEW_TOKENS}),
    ] = None
    do_sample: Annotated[
        bool | None, Meta(description="sample; so does each of temperature, top_k, top_p and typical_p")
    ] = None
    temperature: Annotated[Temperature | None, Meta(description="divides the logits, at 0 greedy")] = None
    top_k: Annotated[TopK | None, Meta(description="choose among the k likeliest tokens, 0 for all")] = None
    top_p: Annotated[
        TypicalP | None,
        Meta(description="choose among the likeliest tokens that add up to this probability, 1 for all"),
    ] = None
    typical_p: Annotated[
        TypicalP | None, Meta(description="choose among the most typical tokens that add up to p, 1 for all")
    ] = None
    repetition_penalty: RepetitionPenalty = None
    frequency_penalty: FrequencyPenalty = None
    seed: Annotated[
        Annotated[int, Meta(ge=0, le=2**63 - 1)] | None,
        Meta(description="the same seed gives the same text; a random one if left out"),
    ] = None
    stop: Annotated[
        Annotated[list[StopString], Meta(max_length=4)] | None,
        Meta(description="end the text with any of up to four strings, which stays part of it"),
    ] = None
    best_of: Annotated[
        Annotated[int, Meta(ge=1, le=20)] | None,
        Meta(description="generate this number of texts and return the likeliest; not in a stream"),
    ] = None
    return_full_text: Annotated[
        bool | None, Meta(description="let the text begin with the inputs; true on /, false elsewhere, if left out")
    ] = None
    truncate: Annotated[TokenNumber | None, Meta(description="use only this number of the inputs' last tokens")] = None
    details: Annotated[bool, Meta(description="return the tokens, their log probabilities and why the text ended")] = (
        True
    )
    decoder_input_details: Annotated[
        bool, Meta(description="return the inputs' tokens and their log probabilities, too; not in a stream")
    ] = False
    top_n_tokens: Annotated[
        Annotated[int, Meta(ge=1, le=5)] | None,
        Meta(description="return this number of the likeliest tokens at each position"),
    ] = None
    watermark: Literal[False] | None = None
    grammar: None = None
    adapter_id: None = None

    def __post_init__(self) -> None:
        if self.do_sample is False and self.samples > 1:
            raise invalid_value(
                "parameters", "parameters.do_sample is false and best_of is above 1: all texts would be the same."
            )

    @property
    def samples(self) -> int:
        return self.best_of or 1

    @property
    def samples_tokens(self) -> bool:
        """Whether any parameter asks for sampling, as TGI decides it."""
        asked = (self.temperature, self.top_k, self.top_p, self.typical_p)
        return bool(self.do_sample) or self.samples > 1 or any(value is not None for value in asked)

    @property
    def scored(self) -> int | None:
        """The number of likeliest tokens to score beside each token, None for no scores at all."""
        wanted = self.details or self.decoder_input_details or self.samples > 1
        return self.top_n_tokens or (0 if wanted else None)


class TgiRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`/generate_stream`, and `/` and `/generate` with `inputs`."""

    inputs: Annotated[str, Meta(description="the text to continue")]
    parameters: TgiParameters = TgiParameters()
    stream: Stream = False


def check_stream(parameters: TgiParameters) -> None:
    """Refuse what only a whole reply can have. Raises InvalidRequest."""
    if parameters.samples > 1:
        problem = "parameters.best_of cannot be above 1 in a stream: which text is the best is known only at the end."
        raise invalid_value("parameters", problem)
    if parameters.decoder_input_details:
        raise invalid_value(
            "parameters", "parameters.decoder_input_details is for whole replies: leave it out of a stream."
        )
