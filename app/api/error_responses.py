"""Every reply other than 200 is an error object: one handler for each kind of exception."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.errors import (
    BatchTooLarge,
    ContextExceeded,
    GenerationError,
    InvalidRequest,
    MethodNotAllowed,
    ModelNotLoaded,
    NotFound,
    Overloaded,
    PromptTooLong,
    QueueUnavailable,
    RequestError,
    ServerError,
    UnknownModel,
)

log = logging.getLogger(__name__)


async def refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    return JSONResponse(error.body(), status_code=error.status, headers=error.headers)


@contextmanager
def naming_fields(*, prompt: str, samples: str) -> Iterator[None]:
    """Turn the engine's refusals into HTTP errors that name the request's fields. Raises InvalidRequest, ContextExceeded."""
    try:
        yield
    except PromptTooLong as error:
        raise ContextExceeded(error.n_prompt_tokens, error.n_ctx, prompt) from None
    except BatchTooLarge as error:
        comes_to = f"{samples} × ({prompt} + length) comes to {error.n_tokens} tokens"
        message = f"{comes_to} and {error.max_tokens} fit in memory at once: ask for fewer or shorter texts."
        raise InvalidRequest(message, param=samples, code="invalid_value") from None


async def unanswered(request: Request, error: Exception) -> Response:
    """A model that cannot be asked."""
    assert isinstance(error, GenerationError)
    return await refused(request, http_error(error))


def http_error(error: GenerationError) -> RequestError:
    """The HTTP error that stands for what the engine, its queue or the registry of models refuses."""
    match error:
        case UnknownModel():
            return NotFound(str(error), param="model", code="model_not_found")
        case ModelNotLoaded():
            return ServerError(str(error), code="model_not_loaded")
        case QueueUnavailable():
            return Overloaded(str(error), error.retry_after)
    return InvalidRequest(str(error), code="invalid_value")


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
