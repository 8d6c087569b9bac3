"""Error replies: turns every kind of error into an error object with its status."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.api.error_forms import ErrorForm, form_of, openai_error
from app.errors import (
    BatchTooLarge,
    ContextExceeded,
    GenerationError,
    InvalidRequest,
    MethodNotAllowed,
    ModelNotLoaded,
    NotFound,
    NothingWritten,
    NotIdle,
    Postponed,
    PromptTooLong,
    QueueFull,
    QueueUnavailable,
    RateLimited,
    RequestError,
    ServerError,
    Unavailable,
    UnknownModel,
)

log = logging.getLogger(__name__)
# The methods that a route may have, in the order in which they are listed.
METHODS = ("HEAD", "GET", "POST", "OPTIONS")


@contextmanager
def naming_fields(*, prompt: str, samples: str = "") -> Iterator[None]:
    """Turn the engine's errors about a prompt or a batch into HTTP errors that name the request's fields.

    `prompt` and `samples` are the route's names for the prompt and the number of texts, if there may be several.
    Raises ContextExceeded, InvalidRequest.
    """
    try:
        yield
    except PromptTooLong as error:
        raise ContextExceeded(error.n_prompt_tokens, error.n_ctx, prompt, at_least=error.at_least) from None
    except BatchTooLarge as error:
        sum_of_tokens = f"{samples} × ({prompt} + length) comes to {error.n_tokens} tokens"
        message = f"{sum_of_tokens} and {error.max_tokens} fit in memory at once: ask for fewer or shorter texts."
        raise InvalidRequest(message, param=samples, code="invalid_value") from None


def http_error(error: GenerationError) -> RequestError:
    """The HTTP error for an error of the engine, its queue or the registry of models."""
    match error:
        case UnknownModel():
            return NotFound(str(error), param="model", code="model_not_found")
        case ModelNotLoaded():
            return ServerError(str(error), code="model_not_loaded")
        case NothingWritten():
            return Unavailable(str(error), retry_after=1, code="nothing_written")
        case NotIdle():
            return Postponed(str(error), error.retry_after)
        case QueueUnavailable():
            return Unavailable(str(error), error.retry_after)
    return InvalidRequest(str(error), code="invalid_value")


def error_response(error: RequestError, form: ErrorForm = openai_error) -> Response:
    body, status = form(error)
    return JSONResponse(body, status_code=status, headers=error.headers)


async def handle_request_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    if isinstance(error, RateLimited):
        await request.state["refusals"].wait()
    return error_response(error, form_of(request.scope))


async def handle_generation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, GenerationError)
    if isinstance(error, (QueueFull, NotIdle)):
        await request.state["refusals"].wait()
    return error_response(http_error(error), form_of(request.scope))


async def handle_routing_error(request: Request, error: Exception) -> Response:
    """Starlette has no route for this path, or none with this method. OPTIONS asks which methods there are."""
    assert isinstance(error, HTTPException)
    form = form_of(request.scope)
    if error.status_code != 405:
        path = request.scope["path"]
        return error_response(NotFound(f"there is nothing at {path}: try / or /docs.", code="not_found"), form)
    possible = {*(error.headers or {}).get("Allow", "").split(", "), "OPTIONS"}
    allow = ", ".join(method for method in METHODS if method in possible)
    if request.method == "OPTIONS":
        return Response(status_code=204, headers={"Allow": allow})
    useful = " or ".join(method for method in ("GET", "POST") if method in possible)
    return error_response(MethodNotAllowed(f"{request.method} is not possible here: use {useful}.", allow), form)


async def handle_disconnect(request: Request, error: Exception) -> Response:
    """The client has left, so nobody reads this. 499 is nginx's code for it."""
    return Response(status_code=499)


async def handle_unexpected_error(request: Request, error: Exception) -> Response:
    """A mistake in this program.

    Starlette sends this reply from outside of all middleware, so the CORS headers are set here.
    """
    log.error("a request could not be answered", exc_info=error)
    failure = ServerError("something went wrong here; the server's log has the cause.", code="internal_error")
    response = error_response(failure, form_of(request.scope))
    origins, origin = request.state["settings"].origins, request.headers.get("origin")
    if "*" in origins:
        response.headers["Access-Control-Allow-Origin"] = "*"
    elif origin is not None and origin in origins:
        response.headers.update({"Access-Control-Allow-Origin": origin, "Vary": "Origin"})
    return response
