"""What each route of the API takes and answers, for the OpenAPI document. Routes for browsers or for Telegram are left out."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import msgspec

from app.api.error_forms import ErrorForm, form_of, llama_cpp_error, ollama_error, openai_error, tgi_error
from app.api.feedback import FeedbackRequest
from app.api.framing import EVENTS, EVENTS_UNTIL_DONE, LINES, TYPED_EVENTS, Framing
from app.api.generate_request import GenerateRequest
from app.api.llama_cpp import Props
from app.api.llama_cpp_requests import LlamaCppRequest
from app.api.ollama_models import OllamaProcesses, OllamaShown, OllamaTags, OllamaVersion
from app.api.ollama_requests import OllamaChatRequest, OllamaGenerateRequest, OllamaShowRequest
from app.api.openai_replies import (
    ChatCompletion,
    ChatCompletionChunk,
    Completion,
    DetokenizeReply,
    Model,
    ModelList,
    TokenizeReply,
    Usage,
)
from app.api.openai_requests import ChatRequest, CompletionRequest
from app.api.play import GuessReply, GuessRequest, PlayRequest, TextToGuess
from app.api.replies.llama_cpp_reply import LlamaCppCompletion, LlamaCppPiece
from app.api.replies.ollama_reply import OllamaChatted, OllamaGenerated
from app.api.replies.responses_reply import (
    ContentPartEvent,
    ModelResponse,
    OutputItemEvent,
    ResponsesErrorEvent,
    ResponseStateEvent,
    TextDeltaEvent,
    TextDoneEvent,
)
from app.api.replies.tgi_reply import TgiGenerated, TgiStreamEvent
from app.api.responses_requests import ResponsesRequest
from app.api.service import Health, Version
from app.api.tgi import TgiInfo
from app.api.tgi_requests import TgiRequest
from app.api.token_requests import DetokenizeRequest, TokenizeRequest
from app.engine.generation import FinishReason


class Generated(msgspec.Struct, kw_only=True):
    """The reply of `/`. With more than one text it has `texts` and `finish_reasons`, too."""

    text: str
    texts: list[str] | msgspec.UnsetType = msgspec.UNSET
    model: str
    seed: int
    finish_reason: FinishReason
    finish_reasons: list[FinishReason] | msgspec.UnsetType = msgspec.UNSET
    usage: Usage


class TextPiece(msgspec.Struct):
    """An event of a stream of `/`: what one more token adds to the text number `index`."""

    text: str
    index: int


class ErrorObject(msgspec.Struct):
    """What is wrong and what to do. `param` is the field. The numbers are there if the prompt is too long."""

    message: str
    type: str
    param: str | None
    code: str | None
    n_prompt_tokens: int | msgspec.UnsetType = msgspec.UNSET
    n_ctx: int | msgspec.UnsetType = msgspec.UNSET


class ErrorReply(msgspec.Struct):
    """Every reply other than 200."""

    error: ErrorObject


class FeedbackReply(msgspec.Struct):
    """The vote that was stored, and the id of its text."""

    id: str
    vote: Literal["up", "down"]


class OllamaError(msgspec.Struct):
    """Every reply of Ollama's routes other than 200, and a line of a stream that an error ends."""

    error: str


class TgiError(msgspec.Struct):
    """Every reply of TGI's routes other than 200, and an event of a stream that an error ends."""

    error: str
    error_type: Literal["validation", "overloaded", "generation"]


class LlamaCppErrorObject(msgspec.Struct):
    """What is wrong and what to do. `code` is the status. The numbers are there if the prompt is too long."""

    code: int
    message: str
    type: str
    n_prompt_tokens: int | msgspec.UnsetType = msgspec.UNSET
    n_ctx: int | msgspec.UnsetType = msgspec.UNSET


class LlamaCppError(msgspec.Struct):
    """Every reply of llama.cpp's routes other than 200, and an event of a stream that an error ends."""

    error: LlamaCppErrorObject


class StreamOf(NamedTuple):
    """The objects of a stream. Any of them may be an error, which is then the last."""

    framing: Framing
    kinds: tuple[type, ...]


Kind = Any
"""A type, a list such as list[str], or a tuple of those of which one is meant."""
# By path: the summary, the request and the reply.
POSTS: dict[str, tuple[str, Kind, Kind]] = {
    "/": ("Continue a text.", (GenerateRequest, TgiRequest), (Generated, list[TgiGenerated])),
    "/generate": ("The same as /, but for TGI's clients.", (GenerateRequest, TgiRequest), (Generated, TgiGenerated)),
    "/generate_stream": ("Continue a text as a stream, as in TGI.", TgiRequest, TgiGenerated),
    "/api/generate": (
        "Continue a text or answer a message, as in Ollama's API.",
        OllamaGenerateRequest,
        OllamaGenerated,
    ),
    "/api/chat": ("Answer in a conversation, as in Ollama's API.", OllamaChatRequest, OllamaChatted),
    "/api/show": ("One served model, as in Ollama's API.", OllamaShowRequest, OllamaShown),
    "/completion": (
        "Continue texts, as llama.cpp's server does.",
        LlamaCppRequest,
        (LlamaCppCompletion, list[LlamaCppCompletion]),
    ),
    "/completions": ("The same as /completion.", LlamaCppRequest, (LlamaCppCompletion, list[LlamaCppCompletion])),
    "/v1/responses": ("Answer, as in OpenAI's newer API.", ResponsesRequest, ModelResponse),
    "/v1/completions": ("Continue texts, as in OpenAI's API.", CompletionRequest, Completion),
    "/v1/chat/completions": ("Answer in a conversation, as in OpenAI's API.", ChatRequest, ChatCompletion),
    "/feedback": ("Vote on a text.", FeedbackRequest, FeedbackReply),
    "/play": (
        "A text to guess, by a model or by a person. For a browser, the page of the game.",
        PlayRequest,
        TextToGuess,
    ),
    "/play/guesses": ("Guess who wrote a text, and be told.", GuessRequest, GuessReply),
    "/tokenize": ("The tokens of a text or of a conversation.", TokenizeRequest, TokenizeReply),
    "/detokenize": ("The text of tokens.", DetokenizeRequest, DetokenizeReply),
}
GETS: dict[str, tuple[str, type]] = {
    "/": ("Continue a text.", Generated),
    "/generate": ("The same as /.", Generated),
    "/info": ("The default model and the limits, as in TGI.", TgiInfo),
    "/api/tags": ("The served models, as in Ollama's API.", OllamaTags),
    "/api/ps": ("The models in memory, as in Ollama's API.", OllamaProcesses),
    "/api/version": ("The version, as in Ollama's API.", OllamaVersion),
    "/props": ("The default model and its settings, as llama.cpp's server has them.", Props),
    "/v1/models": ("The served models.", ModelList),
    "/v1/models/{name}": ("One served model.", Model),
    "/health": ("Whether the service accepts requests.", Health),
    "/version": ("The version, the models and what the service can do.", Version),
}
# The requests that can be streamed.
STREAMS: dict[type, StreamOf] = {
    GenerateRequest: StreamOf(EVENTS_UNTIL_DONE, (TextPiece, Generated, ErrorReply)),
    CompletionRequest: StreamOf(EVENTS_UNTIL_DONE, (Completion, ErrorReply)),
    ChatRequest: StreamOf(EVENTS_UNTIL_DONE, (ChatCompletionChunk, ErrorReply)),
    TgiRequest: StreamOf(EVENTS, (TgiStreamEvent, TgiError)),
    LlamaCppRequest: StreamOf(EVENTS, (LlamaCppPiece, LlamaCppCompletion, LlamaCppError)),
    OllamaGenerateRequest: StreamOf(LINES, (OllamaGenerated, OllamaError)),
    OllamaChatRequest: StreamOf(LINES, (OllamaChatted, OllamaError)),
    ResponsesRequest: StreamOf(
        TYPED_EVENTS,
        (
            ResponseStateEvent,
            OutputItemEvent,
            ContentPartEvent,
            TextDeltaEvent,
            TextDoneEvent,
            ResponsesErrorEvent,
        ),
    ),
}
ERRORS: dict[ErrorForm, type] = {
    openai_error: ErrorReply,
    ollama_error: OllamaError,
    tgi_error: TgiError,
    llama_cpp_error: LlamaCppError,
}


def error_kinds(path: str) -> tuple[type, ...]:
    """The types of a route's errors."""
    kinds = (ERRORS[form_of({"path": path})],)
    return (*kinds, TgiError) if TgiRequest in kinds_of(POSTS.get(path, ("", (), ()))[1]) else kinds


def kinds_of(kind: Kind) -> tuple[Kind, ...]:
    return kind if isinstance(kind, tuple) else (kind,)
