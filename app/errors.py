"""Every error that is raised on purpose, as one tree.

GptError                        a sentence for a person: what is wrong and what to do
├── FatalError                  ends the process: one line on standard error, exit code 2
│   ├── SettingError            an environment variable or a command-line option
│   ├── BundleError             a bundle is missing, truncated, tampered with or of another version
│   ├── CheckpointError         the same, of a gpt-2-simple checkpoint
│   ├── MachineError            the port is taken, memory is too small, a package is not installed
│   ├── DataError               text to train on, or what was prepared from it
│   └── TrainingError           training cannot go on, such as after a loss that is not a number
├── GenerationError             a model cannot be asked; app.api.error_responses makes a RequestError of it
│   ├── UnknownModel            no model of this name is served
│   ├── ModelNotLoaded          a served model's files cannot be loaded
│   ├── PromptTooLong           more tokens than the model's window
│   ├── BatchTooLarge           the texts of a batch need more memory than there is
│   ├── NothingWritten          a model wrote nothing, several times over
│   └── QueueUnavailable        there is no room now; `retry_after` says when to ask again
│       ├── QueueFull           the limit of running and waiting requests is reached
│       ├── NotIdle             the request wanted an answer only if nobody else does
│       ├── QueueTimeout        the request's time was up before its turn came
│       ├── GenerationTimeout   the request's time was up before its first token
│       └── ShuttingDown        the server finishes its requests and takes no new ones
├── Undelivered                 Telegram should send an update again; `retry_after` says when
├── StoreError                  votes cannot be stored or read now; the cause is in the log
├── UnknownText                 a vote or a guess is on a text that is not stored
└── RequestError                an HTTP reply other than 200: a status and an error object
    ├── InvalidRequest          400, a field is wrong; `param` names it
    │   └── ContextExceeded     400, the prompt is longer than the window
    ├── Unauthorized            401, no key or a wrong one
    ├── Forbidden               403
    ├── NotFound                404
    ├── MethodNotAllowed        405
    ├── RequestTimeout          408, the body did not arrive in time
    ├── BodyTooLarge            413
    ├── RateLimited             429, with Retry-After
    ├── Postponed               429, for a request that lets all others go first, with Retry-After
    ├── HeadersTooLarge         431
    ├── ServerError             500, a mistake of the server; the cause is in the log
    └── Unavailable             503, with Retry-After
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class GptError(Exception):
    """A sentence that says what is wrong and what to do about it."""

    def _render_traceback_(self) -> list[str]:
        """A notebook shows this sentence instead of a traceback."""
        return [str(self)]


class FatalError(GptError):
    pass


class SettingError(FatalError):
    pass


class BundleError(FatalError):
    pass


class CheckpointError(FatalError):
    """`problem` says what is wrong; the message adds `remedy`, what to do about it, if one is given."""

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(f"{problem}: {remedy}." if remedy else problem)
        self.problem = problem.removesuffix(".")


class MachineError(FatalError):
    pass


class DataError(FatalError):
    pass


class TrainingError(FatalError):
    pass


class GenerationError(GptError):
    """A model cannot be asked."""


class UnknownModel(GenerationError):
    def __init__(self, name: str, served: Sequence[str]) -> None:
        verb = "are" if len(served) > 1 else "is"
        super().__init__(f"model {name!r} is not served here; {', '.join(map(repr, served))} {verb}.")


class ModelNotLoaded(GenerationError):
    def __init__(self, name: str, cause: FatalError) -> None:
        super().__init__(f"model {name!r} cannot be loaded: {cause}")


class PromptTooLong(GenerationError):
    """`n_prompt_tokens` is the prompt's length, or `at_least` that, and `n_ctx` the model's window, both in tokens."""

    def __init__(self, n_prompt_tokens: int, n_ctx: int, *, at_least: bool = False) -> None:
        super().__init__(f"the prompt is {length_in_words(n_prompt_tokens, n_ctx, at_least=at_least)}")
        self.at_least = at_least
        self.n_prompt_tokens = n_prompt_tokens
        self.n_ctx = n_ctx


def length_in_words(n_prompt_tokens: int, n_ctx: int, *, at_least: bool) -> str:
    least = "at least " if at_least else ""
    return f"{least}{n_prompt_tokens} tokens long and the model's window holds {n_ctx}: shorten it."


class BatchTooLarge(GenerationError):
    """`n_tokens` is the number of tokens in the batch, prompts included; `max_tokens` is the number that fits in memory."""

    def __init__(self, n_tokens: int, max_tokens: int) -> None:
        super().__init__(
            f"the texts come to {n_tokens} tokens and {max_tokens} fit in memory at once: ask for fewer or shorter texts."
        )
        self.n_tokens = n_tokens
        self.max_tokens = max_tokens


class NothingWritten(GenerationError):
    def __init__(self, name: str) -> None:
        super().__init__(f"model {name!r} wrote nothing: try again.")


class QueueUnavailable(GenerationError):
    """`retry_after` is in whole seconds."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class QueueFull(QueueUnavailable):
    def __init__(self, pending: int, retry_after: int) -> None:
        super().__init__(f"{pending} requests are being answered or waiting: try again later.", retry_after)


class NotIdle(QueueUnavailable):
    def __init__(self, retry_after: int) -> None:
        super().__init__(
            "others are being answered, and only_if_idle lets them go first: try again later.", retry_after
        )


class QueueTimeout(QueueUnavailable):
    def __init__(self, retry_after: int) -> None:
        super().__init__("the request waited too long for its turn: try again later.", retry_after)


class GenerationTimeout(QueueUnavailable):
    def __init__(self, retry_after: int) -> None:
        super().__init__(
            "the request's time was up before its first token: shorten the prompt, or try again later.", retry_after
        )


class ShuttingDown(QueueUnavailable):
    def __init__(self, retry_after: int = 1) -> None:
        super().__init__("the server is shutting down: try again.", retry_after)


class Undelivered(GptError):
    """Nothing of an answer reached its chat, so Telegram should send the update again, after `retry_after` whole seconds."""

    def __init__(self, message: str, retry_after: int = 2) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class StoreError(GptError):
    """The store of votes cannot be reached: nothing was stored or read. `retry_after` is in whole seconds."""

    retry_after = 10


class UnknownText(GptError):
    pass


class RequestError(GptError):
    """An HTTP reply other than 200. Class attributes are its status and the error object's `type`.

    `param` is the field that is wrong, `code` a word for programs to test, `more` are further numbers of the error object.
    """

    status = 500
    kind = "server_error"

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None, **more: int) -> None:
        super().__init__(message)
        self.param = param
        self.code = code
        self.more = more
        self.headers: Mapping[str, str] = {}

    def body(self) -> dict[str, object]:
        """The error object, ready for JSON."""
        error = {"message": str(self), "type": self.kind, "param": self.param, "code": self.code}
        return {"error": error | self.more}


class InvalidRequest(RequestError):
    status = 400
    kind = "invalid_request_error"


class ContextExceeded(InvalidRequest):
    kind = "exceed_context_size_error"

    def __init__(self, n_prompt_tokens: int, n_ctx: int, param: str, *, at_least: bool = False) -> None:
        message = f"{param} is {length_in_words(n_prompt_tokens, n_ctx, at_least=at_least)}"
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


class Postponed(RequestError):
    status = 429
    kind = "rate_limit_error"

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message, code="not_idle")
        self.headers = {"Retry-After": str(retry_after)}


class HeadersTooLarge(RequestError):
    status = 431
    kind = "invalid_request_error"


class ServerError(RequestError):
    pass


class Unavailable(RequestError):
    status = 503
    kind = "unavailable_error"

    def __init__(self, message: str, retry_after: int, code: str = "overloaded") -> None:
        super().__init__(message, code=code)
        self.headers = {"Retry-After": str(retry_after)}
