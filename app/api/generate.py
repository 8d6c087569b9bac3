"""`/` and `/generate`: a prompt in, its continuation out, whole or as a stream. With `inputs`, app.api.tgi answers."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from app.api.tgi_requests import TgiRequest


async def generate(request: Request[State]) -> Response:
    if request.method == "HEAD":
        return JSONResponse({"text": ""})
    began = time.monotonic()
    if request.method == "POST":
        fields = await read_object(request, partial(check_either, request))
    else:
        fields = validate(await read_query(request), GenerateRequest, text=True)
    if not isinstance(fields, GenerateRequest):
        from app.api.tgi import continue_inputs

        return await continue_inputs(request, fields, began)
    engine, max_length = request.state["models"].get(fields.model), request.state["settings"].max_length
    length = fields.length
    if length is None:
        length = default_length(engine, DEFAULT_LENGTH, max_length, fields.min_tokens)
    check_length("length", length, max_length)
    check_min_tokens(fields, "length", length)
    if fields.only_if_idle:
        request.state["access"].check_dispensable(request)
    with naming_fields(prompt="prefix", samples="nsamples"):
        prompt = await read_prompt(engine, fields.prefix)
        options = generate_options(fields, length, engine.profile.sampling)
        generation = Generation(request.state["queue"], engine, [prompt], options, began, fields.only_if_idle)
    reply = PlainReply(generation, prefix=fields.prefix if fields.include_prefix else "")
    return await respond(request, reply, stream=fields.stream)


def check_either(request: Request[State], given: dict[str, Any]) -> GenerateRequest | TgiRequest:
    """The fields of a body, which mean what those of a query do, unless they are of TGI's protocol. Raises InvalidRequest."""
    if "inputs" in given:
        from app.api.tgi import check_inputs

        return check_inputs(request, given)
    return validate(given, GenerateRequest, text=True)
