"""`/v1/chat/completions`: a conversation in, the model's next turn out, as in OpenAI's API.

The model's template, in app.engine.prompts, turns a conversation into tokens.
"""

from __future__ import annotations

import time

from starlette.requests import Request
from starlette.responses import Response

from app.api.error_responses import naming_fields
from app.api.generation_options import chat_options
from app.api.generation_response import respond
from app.api.model_limits import (
    AS_MANY_AS_FIT,
    check_length,
    check_logprobs,
    check_min_tokens,
    check_option_tokens,
    default_length,
    fitting_length,
)
from app.api.model_names import openai_model
from app.api.openai_prompts import read_conversation
from app.api.openai_requests import ChatRequest
from app.api.replies.chat_reply import ChatReply
from app.api.state import State
from app.api.validation import read_fields
from app.ask import Generation, turn_options
from app.engine.base import Engine

EXAMPLE = '{"messages": [{"role": "user", "content": "Hello!"}]}'


async def chat(request: Request[State]) -> Response:
    began = time.monotonic()
    fields = await read_fields(request, ChatRequest, EXAMPLE)
    engine = openai_model(request.state["models"], fields.model)
    with naming_fields(prompt="messages", samples="n"):
        max_length = request.state["settings"].max_length
        limit = (
            default_length(engine, AS_MANY_AS_FIT, max_length, fields.min_tokens)
            if fields.length is None
            else fields.length
        )
        prompt, left_out = await read_conversation(fields, engine, None if limit == AS_MANY_AS_FIT else limit)
        # Without a limit, the answer may fill what is left of the window.
        length = fitting_length(engine, len(prompt), max_length) if limit == AS_MANY_AS_FIT else limit
        check_limits(fields, engine, length, max_length)
        options = turn_options(engine, chat_options(fields, length, engine))
        generation = Generation(request.state["queue"], engine, [prompt], options, since=began)
    return await respond(request, ChatReply(generation, fields, left_out), stream=fields.stream)


def check_limits(fields: ChatRequest, engine: Engine, length: int, max_length: int) -> None:
    """Raises InvalidRequest."""
    check_length(fields.length_field, length, max_length)
    check_min_tokens(fields, fields.length_field, length)
    check_option_tokens(fields, engine.tokenizer)
    check_logprobs(fields.n * length, fields.likeliest)
