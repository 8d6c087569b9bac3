"""`/health`, `/version` and `/metrics`: the state of the service."""

from __future__ import annotations

import asyncio
from typing import Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

import app
from app.api.msgspec_response import MsgspecResponse
from app.api.served_profile import ServedProfile, profile_of
from app.api.state import State


class Health(msgspec.Struct, frozen=True):
    status: Literal["ok", "draining"]


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """The version, the models, and what the web page has to know about the service.

    `n_ctx` and `template` are the default model's. `profiles` are by the models' names; where the service has API keys, they
    have their beginnings only for those who send one, and `needs_key` tells the others. `ratings`: votes are stored. `play`:
    there is a game on `/play`.
    """

    version: str
    model: str
    models: list[str]
    engine: str
    n_ctx: int
    template: str
    profiles: dict[str, ServedProfile]
    max_length: int
    ratings: bool
    needs_key: bool
    play: bool


async def health(request: Request[State]) -> Response:
    """200, or 503 once the server is shutting down. While the model is loading, the port is not open yet."""
    if request.state["queue"].draining:
        return MsgspecResponse(Health("draining"), status_code=503, headers={"Retry-After": "1"})
    return MsgspecResponse(Health("ok"))


async def version(request: Request[State]) -> Response:
    models, settings = request.state["models"], request.state["settings"]
    known = request.state["access"].knows(request)
    return MsgspecResponse(
        Version(
            version=app.__version__,
            model=models.default,
            models=list(models.names),
            engine=settings.engine,
            n_ctx=models.get().n_ctx,
            template=models.get().profile.template,
            profiles={name: profile_of(models.get(name), with_beginnings=known) for name in models.names},
            max_length=settings.max_length,
            ratings=request.state["feedback"] is not None,
            needs_key=not known,
            play=request.state["game"] is not None,
        )
    )


async def metrics(request: Request[State]) -> Response:
    # On a thread, since the first request imports prometheus-client.
    text, content_type = await asyncio.to_thread(write_metrics, request.state, request.headers.get("accept", ""))
    return Response(text, headers={"Content-Type": content_type})


def write_metrics(state: State, accept: str) -> tuple[bytes, str]:
    from app.api.metrics import write

    return write(state, accept)
