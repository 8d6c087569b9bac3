"""`/v1/responses`: a conversation in, the model's next turn out, as in OpenAI's newer API. Nothing is stored."""

from __future__ import annotations

import time
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from app.api.error_responses import naming_fields
from app.api.generation_options import OPENAI_SAMPLING, seed_or_random
from app.api.generation_response import respond
from app.api.model_limits import AS_MANY_AS_FIT, check_length, check_logprobs, default_length, fitting_length
from app.api.model_names import openai_model
from app.api.replies.responses_reply import ResponsesReply
from app.api.responses_requests import ResponsesRequest
from app.api.state import State
from app.api.validation import read_fields
from app.ask import Generation, read_turns, turn_options
from app.engine.base import Engine
from app.engine.generation import GenerationOptions
from app.engine.prompts import size_of, whole_turn_tokens
from app.off_loop import off_loop

EXAMPLE = '{"input": "Hello!"}'


async def responses(request: Request[State]) -> Response:
    began = time.monotonic()
    fields = await read_fields(request, ResponsesRequest, EXAMPLE)
    engine, max_length = openai_model(request.state["models"], fields.model), request.state["settings"].max_length
    limit = fields.max_output_tokens or default_length(engine, AS_MANY_AS_FIT, max_length)
    with naming_fields(prompt="input"):
        if fields.truncation == "auto":
            prompt = await read_turns(engine, fields.turns, None if limit == AS_MANY_AS_FIT else limit)
        else:
            prompt = await off_loop(size_of(fields.turns), lambda: whole_turn_tokens(engine, fields.turns))
        length = fitting_length(engine, len(prompt), max_length) if limit == AS_MANY_AS_FIT else limit
        check_length("max_output_tokens", length, max_length)
        check_logprobs(length, fields.likeliest, "include")
        options = turn_options(engine, responses_options(fields, length, engine))
        generation = Generation(request.state["queue"], engine, [prompt], options, since=began)
    return await respond(request, ResponsesReply(generation, fields), stream=fields.stream)


def responses_options(fields: ResponsesRequest, length: int, engine: Engine) -> GenerationOptions:
    """The options of a request, for up to `length` new tokens."""
    asked = {"temperature": fields.temperature, "top_p": fields.top_p}
    sampling = engine.profile.sampling.sampling(asked, OPENAI_SAMPLING)
    return GenerationOptions(
        length=length,
        seed=seed_or_random(None),
        sampling=replace(sampling, temperature=0) if fields.top_p == 0 else sampling,
        logprobs=fields.likeliest,
        # What separates the turns is not part of the answer.
        strip=" \n",
        reuse=True,
    )
