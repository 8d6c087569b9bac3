"""`/` and `/generate`: text in, text out, as one JSON object or as a stream of events."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.api.body import parse_query, read_object
from app.api.error_responses import naming_fields
from app.api.openai import Usage
from app.api.schemas import GenerateRequest, validate
from app.api.state import State
from app.api.writing import Writing, event, events
from app.engine.base import Engine
from app.engine.generation import GenerationOptions, TextDelta, prepare
from app.errors import InvalidRequest

METHODS = ["GET", "POST", "OPTIONS"]


@dataclass
class Job:
    """A request that has been understood: what was asked, the model, the prompt's tokens, how to write."""

    asked: GenerateRequest
    engine: Engine
    prompt: list[int]
    options: GenerationOptions

    @property
    def start(self) -> str:
        """What the reply's text begins with."""
        return self.asked.prefix if self.asked.include_prefix else ""


async def generate(request: Request[State]) -> Response:
    if request.method == "HEAD":
        return JSONResponse({"text": ""})
    if request.method == "OPTIONS":
        return Response(status_code=204, headers={"Allow": ", ".join(["HEAD", *METHODS])})
    asked = await read_fields(request)
    # On a thread, since the largest of prompts takes a tenth of a second to turn into tokens.
    job = await asyncio.to_thread(understand, asked, request.state)
    writing = Writing(request, job.engine, [job.prompt], job.options)
    if job.asked.stream:
        return await writing.stream(said, lambda: event({"text": ""} | closing(job, writing)), opening(job))
    return await writing.whole(lambda: reply(job, writing))


async def read_fields(request: Request[State]) -> GenerateRequest:
    if request.method != "POST":
        return validate(parse_query(request.scope["query_string"]), GenerateRequest, text=True)
    return validate(await read_object(request), GenerateRequest)


def understand(asked: GenerateRequest, state: State) -> Job:
    max_length = state["settings"].max_length
    if asked.length > max_length:
        raise InvalidRequest(
            f"length is {asked.length}: expected at most {max_length}.", param="length", code="invalid_value"
        )
    options = asked.options()
    engine = state["models"].get(asked.model)
    with naming_fields(prompt="prefix", samples="nsamples"):
        return Job(asked, engine, prepare(engine, asked.prefix, options), options)


def reply(job: Job, writing: Writing) -> dict[str, Any]:
    texts = [job.start + text.text for text in writing.texts]
    several = {"texts": texts} if len(texts) > 1 else {}
    return {"text": texts[0]} | several | closing(job, writing)


def closing(job: Job, writing: Writing) -> dict[str, Any]:
    """What the reply says besides its texts."""
    reasons = [text.finish_reason for text in writing.texts]
    several = {"finish_reasons": reasons} if len(reasons) > 1 else {}
    usage = Usage.of(writing.prompt_tokens, writing.tokens)
    return (
        {"model": job.engine.name, "seed": job.options.seed, "finish_reason": reasons[0]} | several | {"usage": usage}
    )


def opening(job: Job) -> bytes:
    indices = range(job.options.samples if job.start else 0)
    return events({"text": job.start, "index": index} for index in indices)


def said(piece: TextDelta) -> bytes:
    """An event, `{"text", "index"}`. The texts of one index, joined, are what the reply would have been without streaming."""
    return event({"text": piece.text, "index": piece.index}) if piece.text else b""
