"""`/tokenize` and `/detokenize`: a model's tokens, in the shapes of vLLM."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from app.api.body import read_object
from app.api.chat import turns_of
from app.api.logprobs import text_of
from app.api.openai import Detokenized, DetokenizeRequest, Tokenized, TokenizeRequest, invalid
from app.api.schemas import validate
from app.api.state import State
from app.api.writing import as_json
from app.engine.base import Engine, start_tokens
from app.engine.prompts import all_turn_tokens


async def tokenize(request: Request[State]) -> Response:
    asked = validate(await read_object(request, '{"prompt": "Why"}'), TokenizeRequest, nullable=True)
    return as_json(await asyncio.to_thread(tokenized, asked, request.state))


async def detokenize(request: Request[State]) -> Response:
    asked = validate(await read_object(request, '{"tokens": [87]}'), DetokenizeRequest, nullable=True)
    return as_json(await asyncio.to_thread(detokenized, asked, request.state))


def tokenized(asked: TokenizeRequest, state: State) -> Tokenized:
    engine = state["models"].get(asked.model)
    tokens = read_tokens(asked, engine)
    texts = [text_of(engine.tokenizer, token) for token in tokens] if asked.return_token_strs else None
    return Tokenized(len(tokens), engine.n_ctx, tokens, texts)


def read_tokens(asked: TokenizeRequest, engine: Engine) -> list[int]:
    if (asked.prompt is None) == (asked.messages is None):
        raise invalid("prompt", "prompt or messages is what is made tokens of: give one of them.")
    if asked.messages is not None:
        if not asked.add_special_tokens:
            raise invalid("add_special_tokens", "add_special_tokens cannot be false here: a model's template has them.")
        return all_turn_tokens(engine, turns_of(asked.messages))
    prompt = asked.prompt or ""
    return start_tokens(engine, prompt) if asked.add_special_tokens else engine.tokenizer.encode(prompt)


def detokenized(asked: DetokenizeRequest, state: State) -> Detokenized:
    tokenizer = state["models"].get(asked.model).tokenizer
    if any(token >= len(tokenizer) for token in asked.tokens):
        raise invalid("tokens", f"tokens has one that the model lacks: its tokens are 0 to {len(tokenizer) - 1}.")
    return Detokenized(tokenizer.decode(asked.tokens))
