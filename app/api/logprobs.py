"""Log probabilities of tokens, in the forms of OpenAI's completions and of its chat."""

from __future__ import annotations

from collections.abc import Sequence

from app.api.openai_replies import ChatLogprobs, CompletionLogprobs, ScoredToken, TokenLogprob
from app.engine.generation import TokenScore
from app.engine.tokenizer import Tokenizer


def completion_logprobs(tokenizer: Tokenizer, scores: Sequence[TokenScore]) -> CompletionLogprobs:
    return CompletionLogprobs(
        tokens=[token_text(tokenizer, score.token) for score in scores],
        token_logprobs=[score.logprob for score in scores],
        top_logprobs=[top_logprobs(tokenizer, score) for score in scores],
        text_offset=[score.start for score in scores],
    )


def top_logprobs(tokenizer: Tokenizer, score: TokenScore) -> dict[str, float] | None:
    """The likeliest tokens, likeliest first, and the token itself even if it is not one of them."""
    if score.logprob is None:
        return None
    pairs = {score.token: score.logprob} | dict(score.likeliest)
    ordered = sorted(pairs.items(), key=lambda pair: -pair[1])
    return {token_text(tokenizer, token): logprob for token, logprob in ordered}


def chat_logprobs(tokenizer: Tokenizer, scores: Sequence[TokenScore]) -> ChatLogprobs:
    content = []
    for score in scores:
        token = token_logprob(tokenizer, score.token, score.logprob or 0.0)
        likeliest = [token_logprob(tokenizer, *other) for other in score.likeliest]
        content.append(ScoredToken(token.token, token.logprob, token.bytes, likeliest))
    return ChatLogprobs(content)


def token_logprob(tokenizer: Tokenizer, token: int, logprob: float) -> TokenLogprob:
    return TokenLogprob(token_text(tokenizer, token), logprob, [*tokenizer.bytes_of(token)])


def token_text(tokenizer: Tokenizer, token: int) -> str:
    """The token's text. A token that is only a part of a character is shown by its bytes, as OpenAI does."""
    raw = tokenizer.bytes_of(token)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in raw)
