"""From an understood request to its reply: what all the routes that generate have in common."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse

from app.api.state import State
from app.ask import Generation
from app.engine.base import Engine
from app.engine.generation import GenerationOptions, TextDelta, TokenScore
from app.errors import ServerError

T = TypeVar("T")
log = logging.getLogger(__name__)


@dataclass
class Text:
    """One of the texts: the prompt's tokens as they were `read`, those of the text as they were `written`.

    Of a stream nothing is kept but the reason.
    """

    text: str = ""
    finish_reason: str = ""
    read: list[TokenScore] = field(default_factory=list)
    written: list[TokenScore] = field(default_factory=list)

    def add(self, piece: TextDelta) -> None:
        self.text += piece.text
        (self.written if piece.tokens else self.read).extend(piece.scored)


class Writing:
    """The generation of one request: every piece of it passes here, and is counted."""

    def __init__(
        self, request: Request[State], engine: Engine, prompts: Sequence[Sequence[int]], options: GenerationOptions
    ) -> None:
        self.prompt_tokens = sum(map(len, prompts))
        self.tokens = 0
        self.texts = [Text() for _ in range(len(prompts) * options.samples)]
        self._request = request
        self._pieces = Generation(request.state["queue"], engine, prompts, options)

    async def whole(self, reply: Callable[[], Any]) -> Response:
        """What there is to `reply` once all the texts are finished. Raises QueueUnavailable, ClientDisconnect."""
        await while_connected(self._request, self._finish())
        # On a thread, since the likeliest tokens of the longest texts take half a second to write down.
        return await asyncio.to_thread(lambda: as_json(reply(), self.headers()))

    async def stream(
        self, say: Callable[[TextDelta], bytes], close: Callable[[], bytes], opening: bytes = b""
    ) -> StreamingResponse:
        """Events: `opening`, what there is to say of each piece, and what there is to say at the end.

        The first piece comes before the status line: what goes wrong until then still has a status of its own.
        """
        first = await while_connected(self._request, anext(self._pieces))
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"} | self.headers(finished=False)
        events = self._events(first, say, close, opening)
        return StreamingResponse(events, media_type="text/event-stream", headers=headers)

    def headers(self, finished: bool = True) -> dict[str, str]:
        """Times in milliseconds; in front of a stream, those that are known by then."""
        known = {"x-prompt-tokens": self.prompt_tokens, "x-queue-time": round(1000 * self._pieces.queue_seconds)}
        if finished:
            known |= {"x-generated-tokens": self.tokens, "x-total-time": round(1000 * self._pieces.seconds)}
        return {name: str(value) for name, value in known.items()}

    async def _finish(self) -> None:
        async with aclosing(self._pieces) as pieces:
            async for piece in pieces:
                self._see(piece)
                self.texts[piece.index].add(piece)

    async def _events(
        self, first: TextDelta, say: Callable[[TextDelta], bytes], close: Callable[[], bytes], opening: bytes
    ) -> AsyncIterator[bytes]:
        try:
            async with aclosing(self._pieces) as pieces:
                if opening:
                    yield opening
                async for piece in after(first, pieces):
                    self._see(piece)
                    if said := say(piece):
                        yield said
        except Exception:
            # The status line is long gone: the error is the last event, and its cause is in the log.
            log.exception("a generation failed in the middle of its stream")
            failure = ServerError("the generation failed; the server's log has the cause.", code="internal_error")
            yield event(failure.body())
            return
        yield close() + b"data: [DONE]\n\n"

    def _see(self, piece: TextDelta) -> None:
        self.texts[piece.index].finish_reason = piece.finish_reason or ""
        self.tokens += piece.tokens


async def after(first: T, rest: AsyncIterator[T]) -> AsyncIterator[T]:
    yield first
    async for item in rest:
        yield item


def event(data: Any) -> bytes:
    return b"data: " + msgspec.json.encode(data) + b"\n\n"


def events(data: Iterable[Any]) -> bytes:
    return b"".join(map(event, data))


def as_json(data: Any, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(data), media_type="application/json", headers=headers)


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
