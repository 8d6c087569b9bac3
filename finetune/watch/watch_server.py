"""The server of the live page: the page, its news as JSON, and texts from the newest save as they are written."""

from __future__ import annotations

import hashlib
import os
import socket
import time
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.engine.deadline import Deadline, DeadlinePassed
from app.errors import FatalError, MachineError
from finetune.watch.newest_engine import NewestEngine
from finetune.watch.watch_page import content_policy, render_watch_page
from finetune.watch.watched_runs import WatchedRuns

LOOPBACK = "127.0.0.1"
# Names under which a browser reaches a server on loopback. A page of another site could give its own name this address, and
# would then read what is served here: so no other name is answered.
LOCAL_NAMES = ["localhost", LOOPBACK]
# Colab passes requests on from addresses of its own.
COLAB_NAMES = ["*.googleusercontent.com", "*.colab.dev", "colab.research.google.com"]
# A notebook shows the page in a frame.
FRAMES = (
    "frame-ancestors 'self' http://localhost:* http://127.0.0.1:* "
    "https://*.googleusercontent.com https://*.colab.dev https://colab.research.google.com"
)
# A text is sent as it is written, and compression would hold it back.
COMPRESSED = [Middleware(GZipMiddleware)]
MOST_PROMPT = 16_384
"""Bytes of a request to write."""
PATIENCE = 120.0
"""Seconds after which a text ends as it is."""


class Prompt(msgspec.Struct):
    folder: str
    prompt: str = ""


def security_headers() -> dict[str, str]:
    own = "'self'"
    return {
        "Content-Security-Policy": f"{content_policy(own)}; {FRAMES}",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }


class SecurityHeaders:
    """Adds them to every response."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(security_headers())
            await send(message)

        await self.app(scope, receive, sending)


def watch_application(runs: WatchedRuns, host: str = LOOPBACK) -> Starlette:
    engine = NewestEngine()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        engine.close()

    async def page(request: Request) -> Response:
        return HTMLResponse(await run_in_threadpool(lambda: render_watch_page(runs.views(), live=True)))

    async def state(request: Request) -> Response:
        content = await run_in_threadpool(lambda: msgspec.json.encode(runs.views()))
        version = f'"{hashlib.blake2b(content, digest_size=8).hexdigest()}"'
        if request.headers.get("if-none-match", "").removeprefix("W/") == version:
            return Response(status_code=304, headers={"ETag": version})
        return Response(content, media_type="application/json", headers={"ETag": version})

    async def talk(request: Request) -> Response:
        asked = await read_prompt(request)
        folder = runs.folder(asked.folder)
        if folder is None:
            raise HTTPException(404, "This page does not show that run: load it again.")
        pieces = engine.write(folder, asked.prompt, Deadline(time.monotonic() + PATIENCE))
        try:
            first = await run_in_threadpool(next, pieces)
        except FatalError as error:
            raise HTTPException(409, str(error)) from None
        return TextResponse(first, pieces)

    return Starlette(
        routes=[
            Route("/", page, middleware=COMPRESSED),
            Route("/state.json", state, middleware=COMPRESSED),
            Route("/talk", talk, methods=["POST"]),
        ],
        middleware=[
            Middleware(SecurityHeaders),
            Middleware(TrustedHostMiddleware, allowed_hosts=allowed_hosts(host), www_redirect=False),
        ],
        exception_handlers={HTTPException: said},
        lifespan=lifespan,
    )


class TextResponse(StreamingResponse):
    """A text as it is written. If the client leaves, it is ended at once, since others may wait for their turn."""

    def __init__(self, first: str, pieces: Generator[str]) -> None:
        super().__init__(to_the_end(first, pieces), media_type="text/plain; charset=utf-8")
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._pieces.close()


def to_the_end(first: str, pieces: Iterator[str]) -> Iterator[str]:
    """The pieces; if the time is up, those that there are."""
    yield first
    with suppress(DeadlinePassed):
        yield from pieces


async def read_prompt(request: Request) -> Prompt:
    """Raises HTTPException. Only JSON is read, which a page of another site cannot send without asking."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise HTTPException(415, "Send JSON, with Content-Type: application/json.")
    content = b""
    async for part in request.stream():
        content += part
        if len(content) > MOST_PROMPT:
            raise HTTPException(413, "The beginning is too long: shorten it.")
    try:
        return msgspec.json.decode(content, type=Prompt)
    except msgspec.DecodeError as error:
        raise HTTPException(400, f"Send an object with folder and prompt ({error}).") from None


async def said(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return PlainTextResponse(error.detail, error.status_code, error.headers)


def allowed_hosts(host: str) -> list[str]:
    """The names under which the page is answered. On all addresses it is meant to be reached under any."""
    if host != "localhost" and not host.startswith("127."):
        return ["*"]
    return [*LOCAL_NAMES, host] + (COLAB_NAMES if "COLAB_RELEASE_TAG" in os.environ else [])


def listen_on(host: str, port: int | None, usual: int) -> socket.socket:
    """A listening socket: on this port, or without one on the usual, or else on any. Raises MachineError."""
    for number in (usual, 0) if port is None else (port,):
        try:
            return socket.create_server((host, number))
        except OSError as error:
            problem = error
    raise MachineError(f"{host}:{port or usual} cannot be opened ({problem.strerror}): give another --port or --host.")


def serve_page(application: Any, listener: socket.socket) -> None:
    """Serve until Ctrl-C."""
    config = uvicorn.Config(
        application, ws="none", log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=2
    )
    uvicorn.Server(config).run(sockets=[listener])
