"""Limits of a request that depend on the model or a setting: vocabulary, MAX_LENGTH, number of log probabilities.

app.ask.Generation checks the length of the prompt and the size of the batch.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from app.api.generate_request import GenerateRequest
from app.api.openai_requests import OpenAIRequest
from app.api.validation import invalid_value, shorten
from app.engine.base import Engine
from app.engine.tokenizer import Tokenizer

AS_MANY_AS_FIT = -1
"""The maximum number of new tokens that fitting_length tells."""
# In one reply. More would not fit in memory while they are encoded.
MAX_LOGPROBS = 100_000
# One spelling for each token: of 5 and 05, one would be ignored.
TOKEN_ID = re.compile(r"0|[1-9][0-9]{0,9}")


def check_length(field: str, length: int, max_length: int) -> None:
    """Refuse more new tokens than MAX_LENGTH allows. `field` is the name of the field. Raises InvalidRequest."""
    if length > max_length:
        raise invalid_value(field, f"{field} is {length}: expected at most {max_length}.")


def fitting_length(engine: Engine, prompt_tokens: int, max_length: int) -> int:
    """As many new tokens as the window holds after a prompt, but one at least and MAX_LENGTH at most."""
    return max(1, min(max_length, engine.n_ctx - prompt_tokens))


def default_length(engine: Engine, otherwise: int, max_length: int, min_tokens: int = 0) -> int:
    """The maximum number of new tokens where none is asked for: the model's own, if it has one.

    MAX_LENGTH lowers it and `min_tokens` raises the model's own, since nobody asked for that.
    """
    own = engine.profile.sampling.length
    return min(otherwise if own is None else max(own, min_tokens), max_length)


def check_option_tokens(request: OpenAIRequest, tokenizer: Tokenizer) -> None:
    """Refuse ids in `stop_token_ids` and `logit_bias` that the vocabulary lacks. Raises InvalidRequest."""
    last = len(tokenizer) - 1
    for token in request.stop_token_ids:
        if token > last:
            raise invalid_value("stop_token_ids", f"stop_token_ids has {token}: the model's tokens are 0 to {last}.")
    for key in request.logit_bias:
        if not (TOKEN_ID.fullmatch(key) and int(key) <= last):
            raise invalid_value("logit_bias", f"logit_bias has {shorten(key)}: the model's tokens are 0 to {last}.")


def check_min_tokens(request: OpenAIRequest | GenerateRequest, field: str, length: int) -> None:
    """Refuse `min_tokens` above `length`, the maximum number of new tokens that `field` gives. Raises InvalidRequest."""
    if request.min_tokens > length:
        raise invalid_value(
            "min_tokens", f"min_tokens is {request.min_tokens}: expected at most {field}, which is {length}."
        )


def check_token_ids(field: str, tokens: Iterable[int], tokenizer: Tokenizer) -> None:
    """Refuse token ids that the vocabulary lacks. Raises InvalidRequest."""
    size = len(tokenizer)
    if any(token >= size for token in tokens):
        raise invalid_value(field, f"{field} has a token that the model lacks: its tokens are 0 to {size - 1}.")


def check_logprobs(tokens: int, likeliest: int | None, field: str = "logprobs") -> None:
    """Refuse a reply with more than MAX_LOGPROBS log probabilities. Raises InvalidRequest.

    The reply has one for each of `tokens` tokens and for the `likeliest` tokens at its position; None asks for none at all.
    `field` asks for them.
    """
    if likeliest is not None and tokens * (1 + likeliest) > MAX_LOGPROBS:
        requested = f"{tokens} tokens with {likeliest} others each"
        raise invalid_value(
            field,
            f"{field} needs the log probabilities of {requested}, more than {MAX_LOGPROBS}: ask for fewer or shorter texts.",
        )
