"""How likely tokens were, in the shapes of OpenAI's completions and of its chat.

A token that is part of a character has no text of its own: it is told by its bytes.
"""

from __future__ import annotations

from collections.abc import Sequence

from app.api.openai import ChatLogprobs, CompletionLogprobs, ScoredToken, TokenLogprob
from app.engine.generation import TokenScore
from app.engine.tokenizer import Tokenizer


def in_completion(tokenizer: Tokenizer, scored: Sequence[TokenScore]) -> CompletionLogprobs:
    return CompletionLogprobs(
        tokens=[text_of(tokenizer, each.token) for each in scored],
        token_logprobs=[each.logprob for each in scored],
        top_logprobs=[likeliest(tokenizer, each) for each in scored],
        text_offset=[each.start for each in scored],
    )


def likeliest(tokenizer: Tokenizer, scored: TokenScore) -> dict[str, float] | None:
    """The likeliest tokens and, if it is not one of them, the token itself."""
    if scored.logprob is None:
        return None
    pairs = {scored.token: scored.logprob} | dict(scored.likeliest)
    ordered = sorted(pairs.items(), key=lambda pair: -pair[1])
    return {text_of(tokenizer, token): logprob for token, logprob in ordered}


def in_chat(tokenizer: Tokenizer, scored: Sequence[TokenScore]) -> ChatLogprobs:
    content = []
    for each in scored:
        token = of_token(tokenizer, each.token, each.logprob or 0.0)
        others = [of_token(tokenizer, *other) for other in each.likeliest]
        content.append(ScoredToken(token.token, token.logprob, token.bytes, others))
    return ChatLogprobs(content)


def of_token(tokenizer: Tokenizer, token: int, logprob: float) -> TokenLogprob:
    return TokenLogprob(text_of(tokenizer, token), logprob, [*tokenizer.bytes_of(token)])


def text_of(tokenizer: Tokenizer, token: int) -> str:
    raw = tokenizer.bytes_of(token)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in raw)
