"""`/` and `/generate`: a prompt in, its continuation out, whole or as a stream. With `inputs`, app.api.tgi answers."""

from __future__ import annotations

import time

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.api.body import read_object, read_query
from app.api.error_responses import naming_fields
from app.api.generate_request import DEFAULT_LENGTH, GenerateRequest
from app.api.generation_options import generate_options
from app.api.generation_response import respond
from app.api.model_limits import check_length, check_min_tokens, default_length
from app.api.replies.plain import PlainReply
from app.api.state import State
from app.api.validation import validate
from app.ask import Generation, read_prompt


async def generate(request: Request[State]) -> Response:
    if request.method == "HEAD":
        return JSONResponse({"text": ""})
    began = time.monotonic()
    given = await (read_object(request) if request.method == "POST" else read_query(request))
    if request.method == "POST" and "inputs" in given:
        from app.api.tgi import continue_inputs

        return await continue_inputs(request, given, began)
    # A query and a body mean the same.
    fields = validate(given, GenerateRequest, text=True)
    engine, max_length = request.state["models"].get(fields.model), request.state["settings"].max_length
    length = fields.length
    if length is None:
        length = default_length(engine, DEFAULT_LENGTH, max_length, fields.min_tokens)
    check_length("length", length, max_length)
    check_min_tokens(fields, "length", length)
    if fields.only_if_idle:
        request.state["access"].check_dispensable(request)
    prompt = await read_prompt(engine, fields.prefix)
    with naming_fields(prompt="prefix", samples="nsamples"):
        options = generate_options(fields, length, engine.profile.sampling)
        generation = Generation(request.state["queue"], engine, [prompt], options, began, fields.only_if_idle)
    reply = PlainReply(generation, prefix=fields.prefix if fields.include_prefix else "")
    return await respond(request, reply, stream=fields.stream)
