"""`/tokenize` and `/detokenize`: text to tokens and back, in the form of vLLM's API."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import UNSET
from starlette.requests import Request
from starlette.responses import Response

from app.api.logprobs import token_text
from app.api.model_limits import check_token_ids
from app.api.msgspec_response import MsgspecResponse
from app.api.openai_prompts import turns_of
from app.api.openai_replies import DetokenizeReply, TokenizeReply
from app.api.state import State
from app.api.token_requests import DetokenizeRequest, TokenizeRequest
from app.api.validation import read_fields
from app.engine.base import Engine, start_tokens
from app.engine.generation import end_tokens
from app.engine.prompts import all_turn_tokens
from app.engine.tokenizer import Detokenizer
from app.off_loop import off_loop


async def tokenize(request: Request[State]) -> Response:
    fields = await read_fields(request, TokenizeRequest, '{"prompt": "Why"}')
    engine = request.state["models"].get(fields.model)
    return await off_loop(sized(fields), lambda: MsgspecResponse(tokenized(fields, engine)))


async def detokenize(request: Request[State]) -> Response:
    fields = await read_fields(request, DetokenizeRequest, '{"tokens": [87]}')
    engine = request.state["models"].get(fields.model)
    return await off_loop(len(fields.tokens), lambda: MsgspecResponse(detokenized(fields, engine)))


def sized(fields: TokenizeRequest) -> int:
    """Characters to tokenize."""
    return len(fields.prompt or "") + sum(len(message.text) for message in fields.messages or ())


def detokenized(fields: DetokenizeRequest, engine: Engine) -> DetokenizeReply:
    """Raises InvalidRequest."""
    check_token_ids("tokens", fields.tokens, engine.tokenizer)
    return DetokenizeReply(engine.tokenizer.decode(fields.tokens))


def tokenized(fields: TokenizeRequest, engine: Engine) -> TokenizeReply:
    tokens = read_tokens(fields, engine)
    texts = [token_text(engine.tokenizer, token) for token in tokens] if fields.return_token_strs else None
    offsets = text_offsets(engine, tokens) if fields.return_text_offsets else UNSET
    return TokenizeReply(len(tokens), engine.n_ctx, tokens, texts, offsets)


def text_offsets(engine: Engine, tokens: Sequence[int]) -> list[int]:
    """The character at which each token begins. The tokens that mark a document's beginning have none."""
    characters, ends = Detokenizer(engine.tokenizer), end_tokens(engine)
    offsets, length = [], 0
    for token in tokens:
        offsets.append(length)
        length += 0 if token in ends else len(characters.add(token))
    return offsets


def read_tokens(fields: TokenizeRequest, engine: Engine) -> list[int]:
    if fields.messages is not None:
        return all_turn_tokens(engine, turns_of(fields.messages, goes_on=bool(fields.continue_final_message)))
    prompt = fields.prompt or ""
    return start_tokens(engine, prompt) if fields.add_special_tokens else engine.tokenizer.encode(prompt)
