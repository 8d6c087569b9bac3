"""`/` and `/generate`: text in, text out, as one JSON object or as a stream of events."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from app.api.body import parse_query, read_object
from app.api.schemas import GenerateRequest, validate
from app.api.state import State
from app.engine.base import Engine
from app.engine.generation import Options, Piece, prepare
from app.errors import InvalidRequest, ServerError

T = TypeVar("T")
log = logging.getLogger(__name__)
METHODS = ["GET", "POST", "OPTIONS"]


@dataclass
class Job:
    """A request that has been understood: what was asked, the model, the prompt's tokens, how to write."""

    asked: GenerateRequest
    engine: Engine
    prompt: list[int]
    options: Options

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
    pieces = request.state["runner"].pieces(job.engine, job.prompt, job.options)
    if not job.asked.stream:
        return await while_connected(request, reply(job, pieces))
    # The first piece comes before the status line: what goes wrong until then still has a status of its own.
    first = await while_connected(request, anext(pieces))
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return StreamingResponse(events(job, first, pieces), media_type="text/event-stream", headers=headers)


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
    return Job(asked, engine, prepare(engine, asked.prefix, options), options)


async def reply(job: Job, pieces: AsyncGenerator[Piece]) -> Response:
    texts, reasons, tokens = [job.start] * job.options.samples, [""] * job.options.samples, 0
    async with aclosing(pieces):
        async for piece in pieces:
            texts[piece.index] += piece.text
            reasons[piece.index] = piece.finish_reason or ""
            tokens += 1
    several = {"texts": texts} if job.options.samples > 1 else {}
    return JSONResponse({"text": texts[0]} | several | closing(job, reasons, tokens))


def closing(job: Job, reasons: list[str], tokens: int) -> dict[str, Any]:
    """What the reply says besides its texts."""
    several = {"finish_reasons": reasons} if len(reasons) > 1 else {}
    prompt = len(job.prompt)
    usage = {"prompt_tokens": prompt, "completion_tokens": tokens, "total_tokens": prompt + tokens}
    return (
        {"model": job.engine.name, "seed": job.options.seed, "finish_reason": reasons[0]} | several | {"usage": usage}
    )


async def events(job: Job, first: Piece, pieces: AsyncGenerator[Piece]) -> AsyncIterator[bytes]:
    """One event a piece, `{"text", "index"}`; then one with what the reply says besides its text; then [DONE].

    The texts of one index, joined, are what the reply would have been without streaming.
    """
    reasons, tokens = [""] * job.options.samples, 0
    if job.start:
        for index in range(job.options.samples):
            yield event({"text": job.start, "index": index})
    try:
        async with aclosing(pieces):
            piece: Piece | None = first
            while piece is not None:
                reasons[piece.index] = piece.finish_reason or ""
                tokens += 1
                if piece.text:
                    yield event({"text": piece.text, "index": piece.index})
                piece = await anext(pieces, None)
    except Exception:
        # The status line is long gone: the error is the last event, and its cause is in the log.
        log.exception("a generation failed in the middle of its stream")
        yield event(ServerError("the generation failed; the server's log has the cause.", code="internal_error").body())
        return
    yield event({"text": ""} | closing(job, reasons, tokens))
    yield b"data: [DONE]\n\n"


def event(data: dict[str, Any]) -> bytes:
    return b"data: " + msgspec.json.encode(data) + b"\n\n"


async def while_connected(request: Request[State], work: Awaitable[T]) -> T:
    """Await `work`, or give it up as soon as the client leaves. Raises ClientDisconnect."""
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(disconnected(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        gone.cancel()
        if not task.done():
            task.cancel()
            await asyncio.wait({task})


async def disconnected(request: Request[State]) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
