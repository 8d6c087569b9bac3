"""Answers a request with a generation, whole or streamed, for all generating routes."""

from __future__ import annotations

import asyncio
import importlib
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from app.api import framing
from app.api.client_disconnect import while_connected
from app.api.msgspec_response import MsgspecResponse
from app.api.replies.reply import GeneratedText, Reply
from app.api.state import State
from app.ask import Generation
from app.engine.generation import TextDelta
from app.errors import ServerError
from app.off_loop import off_loop

log = logging.getLogger(__name__)
# What Starlette imports for the first stream, on the event loop: it takes a twentieth of a second.
STREAMING = "anyio._backends._asyncio"


async def respond(request: Request[State], reply: Reply, *, stream: bool) -> Response:
    """Generate and answer. A stream has sent nothing before its first delta, so it raises the same errors.

    Raises QueueUnavailable, ClientDisconnect.
    """
    # For app.api.tracing.
    request.scope["generation"] = reply.generation
    return await (respond_streamed(request, reply) if stream else respond_whole(request, reply))


async def respond_whole(request: Request[State], reply: Reply) -> Response:
    texts = await while_connected(request, collect(reply.generation))
    known = headers(reply.generation, finished=True)
    return await off_loop(size_of(reply.generation), lambda: MsgspecResponse(reply.whole(texts), headers=known))


async def respond_streamed(request: Request[State], reply: Reply) -> Response:
    """Wait for the first delta before the status line is sent: an error until then still has a status of its own."""
    if STREAMING not in sys.modules:
        await asyncio.to_thread(importlib.import_module, STREAMING)
    first = await while_connected(request, anext(reply.generation))
    known = framing.HEADERS | headers(reply.generation, finished=False)
    return StreamingResponse(stream_body(reply, first), media_type=reply.framing.media_type, headers=known)


async def collect(generation: Generation) -> list[GeneratedText]:
    """All the texts of a generation, finished."""
    texts = [GeneratedText() for _ in generation.finish_reasons]
    async with aclosing(generation):
        async for delta in generation:
            texts[delta.index].add(delta)
    return texts


async def stream_body(reply: Reply, first: TextDelta) -> AsyncIterator[bytes]:
    """The body of a stream, event by event. An error becomes the last event, since the status line has been sent."""
    frame = reply.framing.frame
    try:
        async with aclosing(reply.generation) as deltas:
            for content in reply.first():
                yield frame(content)
            for content in reply.chunk(first):
                yield frame(content)
            async for delta in deltas:
                for content in reply.chunk(delta):
                    yield frame(content)
    except Exception:
        log.exception("a generation failed in the middle of its stream")
        failure = ServerError("the generation failed; the server's log has the cause.", code="internal_error")
        yield frame(reply.failure(failure))
        return
    last = await off_loop(size_of(reply.generation), lambda: b"".join(map(frame, reply.last())))
    yield last + reply.framing.done


def size_of(generation: Generation) -> int:
    """About how many characters a reply has that repeats the prompts and has every log probability."""
    options = generation.options
    tokens = options.samples * generation.prompt_tokens + generation.generated_tokens
    return tokens * (4 if options.logprobs is None else 50 * (1 + options.logprobs))


def headers(generation: Generation, *, finished: bool) -> dict[str, str]:
    """Numbers of tokens, and times in milliseconds. The headers of a stream have only those that are known before it."""
    known = {
        "x-prompt-tokens": generation.prompt_tokens,
        "x-queue-time": round(1000 * generation.queue_seconds),
    }
    if finished:
        known["x-generated-tokens"] = generation.generated_tokens
        known["x-total-time"] = round(1000 * generation.seconds)
    return {name: str(value) for name, value in known.items()}
