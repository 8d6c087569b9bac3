"""Everything that can go wrong on purpose.

GptError                        a sentence for a person: what is wrong and what to do
├── StartError                  the process cannot begin: printed as one line, exit code 2
│   ├── SettingError            an environment variable or a command-line value
│   ├── BundleError             a bundle is missing, truncated, tampered with or of another version
│   ├── CheckpointError         likewise, a gpt-2-simple checkpoint
│   ├── MachineError            the port is taken, or the memory too small
│   └── DataError               text to train on, or what was prepared of it
└── RequestError                the request cannot be answered: API.md's error object with a status
    ├── InvalidRequest          400, a field is wrong; `param` names it
    │   └── ContextExceeded     400, the prompt is longer than the window
    ├── Unauthorized            401, no key or a wrong one
    ├── Forbidden               403
    ├── NotFound                404
    ├── MethodNotAllowed        405
    ├── RequestTimeout          408, the body did not arrive in time
    ├── BodyTooLarge            413
    ├── RateLimited             429, with Retry-After
    ├── ServerError             500, our fault; the cause is in the log
    ├── Overloaded              503, with Retry-After
    ├── Undelivered             503, Telegram could not be reached and should send the update again
    └── StoreError              503, ratings cannot be kept or read now; the cause is in the log
"""

from __future__ import annotations

from collections.abc import Mapping


class GptError(Exception):
    """A sentence that says what is wrong and what to do about it."""


class StartError(GptError):
    pass


class SettingError(StartError):
    pass


class BundleError(StartError):
    pass


class CheckpointError(StartError):
    """`problem` says what is wrong; the message adds `remedy`, what to do about it, if one is given."""

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(f"{problem}: {remedy}." if remedy else problem)
        self.problem = problem.removesuffix(".")


class MachineError(StartError):
    pass


class DataError(StartError):
    pass


class RequestError(GptError):
    """An answer other than 200. Class attributes are the HTTP status and the error object's `type`."""

    status = 500
    kind = "server_error"

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None, **more: int) -> None:
        super().__init__(message)
        self.param = param
        self.code = code
        self.more = more
        self.headers: Mapping[str, str] = {}

    def body(self) -> dict[str, object]:
        error = {"message": str(self), "type": self.kind, "param": self.param, "code": self.code}
        return {"error": error | self.more}


class InvalidRequest(RequestError):
    status = 400
    kind = "invalid_request_error"


class ContextExceeded(InvalidRequest):
    kind = "exceed_context_size_error"

    def __init__(self, n_prompt_tokens: int, n_ctx: int, param: str = "prefix") -> None:
        message = f"{param} is {n_prompt_tokens} tokens long and the model's window holds {n_ctx}: shorten it."
        super().__init__(
            message, param=param, code="context_length_exceeded", n_prompt_tokens=n_prompt_tokens, n_ctx=n_ctx
        )


class Unauthorized(RequestError):
    status = 401
    kind = "authentication_error"

    def __init__(self, message: str) -> None:
        super().__init__(message, code="invalid_api_key")
        self.headers = {"WWW-Authenticate": "Bearer"}


class Forbidden(RequestError):
    status = 403
    kind = "permission_error"


class NotFound(RequestError):
    status = 404
    kind = "not_found_error"


class MethodNotAllowed(RequestError):
    status = 405
    kind = "invalid_request_error"

    def __init__(self, message: str, allow: str) -> None:
        super().__init__(message, code="method_not_allowed")
        self.headers = {"Allow": allow}


class RequestTimeout(RequestError):
    status = 408
    kind = "invalid_request_error"


class BodyTooLarge(RequestError):
    status = 413
    kind = "invalid_request_error"


class RateLimited(RequestError):
    status = 429
    kind = "rate_limit_error"

    def __init__(self, per_minute: int, retry_after: int) -> None:
        message = f"more than {per_minute} requests in a minute: ask again in {retry_after} s."
        super().__init__(message, code="rate_limit_exceeded")
        self.headers = {"Retry-After": str(retry_after)}


class ServerError(RequestError):
    pass


class Overloaded(RequestError):
    status = 503
    kind = "unavailable_error"

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message, code="overloaded")
        self.headers = {"Retry-After": str(retry_after)}


class Undelivered(RequestError):
    """Nothing of an answer reached its chat; a later try may do better."""

    status = 503
    kind = "unavailable_error"

    def __init__(self, message: str, retry_after: int = 2) -> None:
        super().__init__(message, code="undelivered")
        self.headers = {"Retry-After": str(retry_after)}


class StoreError(RequestError):
    """The store of ratings is down or broken: nothing was kept."""

    status = 503
    kind = "unavailable_error"

    def __init__(self, message: str, retry_after: int = 10) -> None:
        super().__init__(message, code="store_unavailable")
        self.headers = {"Retry-After": str(retry_after)}
