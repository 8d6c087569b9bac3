"""Every answer that is not 200 is API.md's error object: one handler for each kind of exception."""

from __future__ import annotations

import logging

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.errors import MethodNotAllowed, NotFound, RequestError, ServerError

log = logging.getLogger(__name__)


async def refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    return JSONResponse(error.body(), status_code=error.status, headers=error.headers)


async def unrouted(request: Request, error: Exception) -> Response:
    """Starlette's own refusals: no such path, or not with this method."""
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        allow = (error.headers or {}).get("Allow", "")
        return await refused(request, MethodNotAllowed(f"{request.method} is not possible here: use {allow}.", allow))
    return await refused(
        request, NotFound(f"there is nothing at {request.url.path}: try / or /docs.", code="not_found")
    )


async def gone(request: Request, error: Exception) -> Response:
    """The client left; nobody reads this. 499 is what nginx calls it."""
    return Response(status_code=499)


async def broken(request: Request, error: Exception) -> Response:
    """A mistake of ours.

    This answer is made outside of all middleware, so it brings its own permission to be read across origins.
    """
    log.error("a request could not be answered", exc_info=error)
    answer = await refused(
        request, ServerError("something went wrong here; the server's log has the cause.", code="internal_error")
    )
    answer.headers["Access-Control-Allow-Origin"] = "*"
    return answer
