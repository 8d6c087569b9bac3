"""The routes for clients of TGI: `/generate_stream` and `/info`, and `/` and `/generate` for requests with `inputs`."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

import app
from app.api.body import read_object
from app.api.error_forms import tgi_error
from app.api.error_responses import naming_fields
from app.api.generation_options import seed_or_random, stop_list
from app.api.generation_response import respond
from app.api.model_limits import check_length, check_logprobs, default_length
from app.api.msgspec_response import MsgspecResponse
from app.api.replies.tgi_reply import TgiReply
from app.api.state import State
from app.api.tgi_requests import DEFAULT_NEW_TOKENS, TgiParameters, TgiRequest, check_stream
from app.api.validation import validate
from app.ask import Generation, read_prompt
from app.engine.base import Engine
from app.engine.generation import GenerationOptions
from app.engine.sampling import Sampling

EXAMPLE = '{"inputs": "Why", "parameters": {"max_new_tokens": 20}}'
GREEDY = Sampling(temperature=0)
RANDOM = Sampling(temperature=1)


class TgiInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The reply of `/info`. `max_total_tokens` is the window and the longest text together: the window slides."""

    model_id: str
    model_sha: None = None
    model_pipeline_tag: str = "text-generation"
    max_concurrent_requests: int
    max_best_of: int = 20
    max_stop_sequences: int = 4
    max_input_tokens: int
    max_total_tokens: int
    validation_workers: int = 1
    max_client_batch_size: int = 1
    router: str = "gpt-2-cloud-run"
    version: str
    sha: None = None
    docker_label: None = None


async def info(request: Request[State]) -> Response:
    engine, settings = request.state["models"].get(), request.state["settings"]
    return MsgspecResponse(
        TgiInfo(
            model_id=engine.name,
            max_concurrent_requests=settings.concurrency + settings.queue_limit,
            max_input_tokens=engine.n_ctx,
            max_total_tokens=engine.n_ctx + settings.max_length,
            version=app.__version__,
        )
    )


async def generate_stream(request: Request[State]) -> Response:
    began = time.monotonic()
    fields = await read_object(request, partial(check_stream_inputs, request), EXAMPLE)
    return await continue_inputs(request, fields, began)


def check_stream_inputs(request: Request[State], given: dict[str, Any]) -> TgiRequest:
    """Unless it says otherwise, it asks for a stream."""
    return check_inputs(request, given if given.get("stream") is not None else given | {"stream": True})


def check_inputs(request: Request[State], given: dict[str, Any]) -> TgiRequest:
    """The fields of a request of TGI's protocol, whose errors have its form from here on. Raises InvalidRequest."""
    request.scope["error_form"] = tgi_error
    return validate(given, TgiRequest)


async def continue_inputs(request: Request[State], fields: TgiRequest, began: float) -> Response:
    """Answer a request of TGI's protocol, which came at `began`, a time of time.monotonic()."""
    parameters, compatible = fields.parameters, request.scope["path"] == "/"
    if fields.stream:
        check_stream(parameters)
    engine, max_length = request.state["models"].get(), request.state["settings"].max_length
    length = parameters.max_new_tokens or default_length(engine, DEFAULT_NEW_TOKENS, max_length)
    check_length("max_new_tokens", length, max_length)
    with naming_fields(prompt="inputs"):
        prompt = await read_prompt(engine, fields.inputs, parameters.truncate)
    options = tgi_options(parameters, length, engine, stream=fields.stream)
    scored = parameters.samples * length + (len(prompt) if options.score_prompt else 0)
    check_logprobs(scored, options.logprobs, "top_n_tokens" if parameters.top_n_tokens else "details")
    with naming_fields(prompt="inputs", samples="best_of"):
        generation = Generation(request.state["queue"], engine, [prompt], options, since=began)
    # TGI's route / is that of an older API, which returned the whole text in a list.
    full = compatible if parameters.return_full_text is None else parameters.return_full_text
    reply = TgiReply(generation, parameters, fields.inputs if full else "", as_list=compatible)
    return await respond(request, reply, stream=fields.stream)


def tgi_options(parameters: TgiParameters, length: int, engine: Engine, *, stream: bool) -> GenerationOptions:
    """The options of a request, for up to `length` new tokens."""
    asked: dict[str, float | None] = {
        "temperature": 0 if parameters.do_sample is False and not parameters.samples_tokens else parameters.temperature,
        "top_k": parameters.top_k,
        "top_p": parameters.top_p,
        "typical_p": parameters.typical_p,
        "repetition_penalty": parameters.repetition_penalty,
        "frequency_penalty": parameters.frequency_penalty,
    }
    return GenerationOptions(
        length=length,
        samples=parameters.samples,
        seed=seed_or_random(parameters.seed),
        sampling=engine.profile.sampling.sampling(asked, RANDOM if parameters.samples_tokens else GREEDY),
        stops=stop_list(parameters.stop),
        include_stop=True,
        # Each event of a stream has a token.
        logprobs=parameters.scored or 0 if stream else parameters.scored,
        score_prompt=parameters.decoder_input_details,
    )
