"""The reply of `/v1/responses`, and its types."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import msgspec

from app.api.framing import TYPED_EVENTS, TypedEvent
from app.api.logprobs import chat_logprobs
from app.api.openai_replies import ScoredToken
from app.api.replies.reply import GeneratedText
from app.api.responses_requests import ResponsesRequest
from app.ask import Generation
from app.engine.generation import FinishReason, TextDelta, TokenScore
from app.errors import RequestError
from app.ids import new_id

ResponseStatus = Literal["in_progress", "completed", "incomplete"]


class OutputText(msgspec.Struct, frozen=True, kw_only=True):
    text: str
    logprobs: list[ScoredToken]
    type: Literal["output_text"] = "output_text"
    annotations: tuple[()] = ()


class OutputMessage(msgspec.Struct, frozen=True, kw_only=True):
    """The model's turn."""

    id: str
    status: ResponseStatus
    content: list[OutputText]
    type: Literal["message"] = "message"
    role: Literal["assistant"] = "assistant"


class InputTokensDetails(msgspec.Struct, frozen=True):
    cached_tokens: int = 0
    cache_write_tokens: int = 0


class OutputTokensDetails(msgspec.Struct, frozen=True):
    reasoning_tokens: int = 0


class ResponsesUsage(msgspec.Struct, frozen=True, kw_only=True):
    input_tokens: int
    output_tokens: int
    total_tokens: int
    input_tokens_details: InputTokensDetails = InputTokensDetails()
    output_tokens_details: OutputTokensDetails = OutputTokensDetails()


class IncompleteDetails(msgspec.Struct, frozen=True):
    reason: Literal["max_output_tokens"]


class TextFormat(msgspec.Struct, frozen=True):
    type: Literal["text"] = "text"


class TextConfig(msgspec.Struct, frozen=True):
    format: TextFormat = TextFormat()
    verbosity: Literal["medium"] = "medium"


class NoReasoning(msgspec.Struct, frozen=True):
    effort: None = None
    summary: None = None


class ModelResponse(msgspec.Struct, frozen=True, kw_only=True):
    """The reply of `/v1/responses`. `created_at` is in Unix seconds. Nothing is stored."""

    id: str
    created_at: int
    completed_at: int | None
    model: str
    status: ResponseStatus
    incomplete_details: IncompleteDetails | None
    output: list[OutputMessage]
    usage: ResponsesUsage | None
    instructions: str | None
    max_output_tokens: int
    metadata: dict[str, str]
    parallel_tool_calls: bool
    temperature: float
    top_p: float
    top_logprobs: int
    truncation: Literal["auto", "disabled"]
    user: str | None
    object: Literal["response"] = "response"
    error: None = None
    background: Literal[False] = False
    previous_response_id: None = None
    reasoning: NoReasoning = NoReasoning()
    service_tier: Literal["default"] = "default"
    store: Literal[False] = False
    text: TextConfig = TextConfig()
    tool_choice: Literal["auto"] = "auto"
    tools: tuple[()] = ()


class ResponsesEvent(TypedEvent, frozen=True, kw_only=True):
    sequence_number: int


class ResponseStateEvent(ResponsesEvent, frozen=True, kw_only=True):
    """response.created, response.in_progress, response.completed and response.incomplete."""

    response: ModelResponse


class OutputItemEvent(ResponsesEvent, frozen=True, kw_only=True):
    """response.output_item.added and response.output_item.done."""

    item: OutputMessage
    output_index: int = 0


class ContentEvent(ResponsesEvent, frozen=True, kw_only=True):
    item_id: str
    output_index: int = 0
    content_index: int = 0


class ContentPartEvent(ContentEvent, frozen=True, kw_only=True):
    """response.content_part.added and response.content_part.done."""

    part: OutputText


class TextDeltaEvent(ContentEvent, frozen=True, kw_only=True):
    """response.output_text.delta."""

    delta: str
    logprobs: list[ScoredToken]


class TextDoneEvent(ContentEvent, frozen=True, kw_only=True):
    """response.output_text.done."""

    text: str
    logprobs: list[ScoredToken]


class ResponsesErrorEvent(ResponsesEvent, frozen=True, kw_only=True):
    message: str
    code: str | None
    param: str | None


class ResponsesReply:
    framing = TYPED_EVENTS

    def __init__(self, generation: Generation, request: ResponsesRequest) -> None:
        self.generation = generation
        self._request = request
        self._id = new_id("resp_", 24)
        self._item_id = new_id("msg_", 24)
        self._created = int(time.time())
        # Of a stream: the number of events, and the text so far.
        self._events = 0
        self._text = GeneratedText()

    def whole(self, texts: Sequence[GeneratedText]) -> ModelResponse:
        (text,) = texts
        return self._response(self._message(text), text.finish_reason)

    def first(self) -> Iterator[ResponsesEvent]:
        message = OutputMessage(id=self._item_id, status="in_progress", content=[])
        begun = self._response(None, None)
        yield ResponseStateEvent(type="response.created", response=begun, **self._numbered())
        yield ResponseStateEvent(type="response.in_progress", response=begun, **self._numbered())
        yield OutputItemEvent(type="response.output_item.added", item=message, **self._numbered())
        yield ContentPartEvent(
            type="response.content_part.added", part=OutputText(text="", logprobs=[]), **self._placed()
        )

    def chunk(self, delta: TextDelta) -> Iterator[ResponsesEvent]:
        self._text.add(delta)
        if delta.text or delta.scored:
            logprobs = self._logprobs(delta.scored)
            yield TextDeltaEvent(
                type="response.output_text.delta", delta=delta.text, logprobs=logprobs, **self._placed()
            )

    def last(self) -> Iterator[ResponsesEvent]:
        message = self._message(self._text)
        (part,) = message.content
        response = self._response(message, self._text.finish_reason)
        yield TextDoneEvent(type="response.output_text.done", text=part.text, logprobs=part.logprobs, **self._placed())
        yield ContentPartEvent(type="response.content_part.done", part=part, **self._placed())
        yield OutputItemEvent(type="response.output_item.done", item=message, **self._numbered())
        yield ResponseStateEvent(type=f"response.{response.status}", response=response, **self._numbered())

    def failure(self, error: RequestError) -> ResponsesErrorEvent:
        return ResponsesErrorEvent(
            type="error", message=str(error), code=error.code, param=error.param, **self._numbered()
        )

    def _numbered(self) -> dict[str, Any]:
        self._events += 1
        return {"sequence_number": self._events - 1}

    def _placed(self) -> dict[str, Any]:
        return self._numbered() | {"item_id": self._item_id}

    def _message(self, text: GeneratedText) -> OutputMessage:
        part = OutputText(text=text.text, logprobs=self._logprobs(text.scores))
        return OutputMessage(id=self._item_id, status=status(text.finish_reason), content=[part])

    def _response(self, message: OutputMessage | None, reason: FinishReason | None) -> ModelResponse:
        """The response; without a message it has just begun."""
        request, options = self._request, self.generation.options
        state = status(reason) if message else "in_progress"
        return ModelResponse(
            id=self._id,
            created_at=self._created,
            completed_at=int(time.time()) if message else None,
            model=self.generation.engine.name,
            status=state,
            incomplete_details=IncompleteDetails("max_output_tokens") if state == "incomplete" else None,
            output=[message] if message else [],
            usage=self._usage() if message else None,
            instructions=request.instructions or None,
            max_output_tokens=options.length,
            metadata=request.metadata or {},
            parallel_tool_calls=request.parallel_tool_calls is not False,
            temperature=options.sampling.temperature,
            top_p=options.sampling.top_p or 1,
            top_logprobs=request.top_logprobs or 0,
            truncation=request.truncation,
            user=request.user,
        )

    def _usage(self) -> ResponsesUsage:
        read, written = self.generation.prompt_tokens, self.generation.generated_tokens
        return ResponsesUsage(input_tokens=read, output_tokens=written, total_tokens=read + written)

    def _logprobs(self, scores: Sequence[TokenScore]) -> list[ScoredToken]:
        if self.generation.options.logprobs is None:
            return []
        return chat_logprobs(self.generation.engine.tokenizer, scores).content


def status(reason: FinishReason | None) -> ResponseStatus:
    """A text that a limit or a deadline cut short is incomplete."""
    return "completed" if reason == "stop" else "incomplete"
