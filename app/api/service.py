"""`/health`, `/version` and `/metrics`: the state of the service."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

import app
from app.api.state import State


async def health(request: Request[State]) -> Response:
    """200, or 503 once the server is shutting down. While the model is loading, the port is not open yet."""
    if request.state["queue"].draining:
        return JSONResponse({"status": "draining"}, status_code=503, headers={"Retry-After": "1"})
    return JSONResponse({"status": "ok"})


async def version(request: Request[State]) -> Response:
    """The version, the models, and what the web page has to know about the service."""
    models, settings = request.state["models"], request.state["settings"]
    return JSONResponse(
        {
            "version": app.__version__,
            "model": models.default,
            "models": models.names,
            "engine": settings.engine,
            "n_ctx": models.n_ctx,
            "template": models.template,
            "max_length": settings.max_length,
            "ratings": request.state["feedback"] is not None,
        }
    )


async def metrics(request: Request[State]) -> Response:
    # On a thread, since the first request imports prometheus-client.
    text, content_type = await asyncio.to_thread(write_metrics, request.state, request.headers.get("accept", ""))
    return Response(text, headers={"Content-Type": content_type})


def write_metrics(state: State, accept: str) -> tuple[bytes, str]:
    from app.api.metrics import write

    return write(state, accept)
