"""Limits of a request that depend on the model or a setting.

They are the vocabulary, MAX_LENGTH and the memory for log probabilities. app.ask.Generation checks the prompt's length and the
size of the batch.
"""

from __future__ import annotations

from collections.abc import Iterable

from app.api.openai_requests import OpenAIRequest
from app.api.validation import invalid_value, shorten
from app.engine.tokenizer import Tokenizer

# Log probabilities that one reply may have. More would not fit in memory when they are encoded.
MAX_LOGPROBS = 100_000


def check_length(field: str, length: int, max_length: int) -> None:
    """Hold the number of new tokens to MAX_LENGTH. Raises InvalidRequest."""
    if length > max_length:
        raise invalid_value(field, f"{field} is {length}: expected at most {max_length}.")


def check_openai_fields(request: OpenAIRequest, tokenizer: Tokenizer) -> None:
    """Hold the token ids of `stop_token_ids` and `logit_bias` to the vocabulary. Raises InvalidRequest."""
    last = len(tokenizer) - 1
    for token in request.stop_token_ids:
        if token > last:
            raise invalid_value("stop_token_ids", f"stop_token_ids has {token}: the model's tokens are 0 to {last}.")
    for key in request.logit_bias:
        if not (key.isascii() and key.isdecimal() and int(key) <= last):
            raise invalid_value("logit_bias", f"logit_bias has {shorten(key)}: the model's tokens are 0 to {last}.")


def check_min_tokens(request: OpenAIRequest, field: str, length: int) -> None:
    """Hold `min_tokens` to the maximum number of new tokens, which `field` names. Raises InvalidRequest."""
    if request.min_tokens > length:
        raise invalid_value(
            "min_tokens", f"min_tokens is {request.min_tokens}: expected at most {field}, which is {length}."
        )


def check_token_ids(field: str, tokens: Iterable[int], tokenizer: Tokenizer) -> None:
    """Hold token ids to the vocabulary. Raises InvalidRequest."""
    size = len(tokenizer)
    if any(token >= size for token in tokens):
        raise invalid_value(field, f"{field} has a token that the model lacks: its tokens are 0 to {size - 1}.")


def check_logprobs(tokens: int, likeliest: int | None) -> None:
    """Hold the log probabilities of a reply to memory: those of `tokens` tokens, each with the `likeliest` in its place.

    Raises InvalidRequest.
    """
    if likeliest is not None and tokens * (1 + likeliest) > MAX_LOGPROBS:
        requested = f"{tokens} tokens with {likeliest} others each"
        raise invalid_value(
            "logprobs", f"logprobs of {requested} are more than {MAX_LOGPROBS}: ask for fewer or shorter texts."
        )
