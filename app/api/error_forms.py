"""Error forms: the same error as each protocol's clients expect it, as an object for JSON and a status."""

from __future__ import annotations

from collections.abc import Callable

from starlette.types import Scope

from app.errors import InvalidRequest, NotFound, RateLimited, RequestError, Unavailable

ErrorForm = Callable[[RequestError], tuple[dict[str, object], int]]


def openai_error(error: RequestError) -> tuple[dict[str, object], int]:
    return error.body(), error.status


def ollama_error(error: RequestError) -> tuple[dict[str, object], int]:
    return {"error": str(error)}, error.status


def llama_cpp_error(error: RequestError) -> tuple[dict[str, object], int]:
    told = {"code": error.status, "message": str(error), "type": error.kind}
    return {"error": told | error.more}, error.status


def tgi_error(error: RequestError) -> tuple[dict[str, object], int]:
    """A wrong request is a 422, and so is a wrong field of it."""
    match error:
        case InvalidRequest() | NotFound():
            return {"error": str(error), "error_type": "validation"}, 422 if error.status == 400 else error.status
        case RateLimited() | Unavailable():
            return {"error": str(error), "error_type": "overloaded"}, error.status
    return {"error": str(error), "error_type": "generation"}, error.status


# By the beginning of a path. All others are OpenAI's.
FORMS: dict[str, ErrorForm] = {
    "/api/": ollama_error,
    "/generate_stream": tgi_error,
    "/info": tgi_error,
    "/completion": llama_cpp_error,
    "/props": llama_cpp_error,
    "/slots": llama_cpp_error,
}


def form_of(scope: Scope) -> ErrorForm:
    """The form for a request: that of its path, unless its route has found it to be of another protocol."""
    if "error_form" in scope:
        found: ErrorForm = scope["error_form"]
        return found
    path: str = scope["path"]
    return next((form for start, form in FORMS.items() if path.startswith(start)), openai_error)
