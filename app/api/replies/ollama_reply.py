"""The replies of `/api/generate` and `/api/chat`, and their types."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from app.api.error_forms import ollama_error
from app.api.framing import LINES
from app.api.logprobs import chat_logprobs
from app.api.openai_replies import TokenLogprob
from app.api.replies.reply import GeneratedText
from app.ask import Generation
from app.engine.generation import FinishReason, TextDelta, TokenScore
from app.errors import RequestError

DoneReason = Literal["stop", "length", "load"]
NANOSECONDS = 10**9


class OllamaLogprob(TokenLogprob, frozen=True, kw_only=True):
    top_logprobs: list[TokenLogprob]


class OllamaPiece(msgspec.Struct, frozen=True, kw_only=True):
    """What both routes tell. The last line of a stream is `done`, and a whole reply is; durations are in nanoseconds.

    `load_duration` is the time until the request's turn came.
    """

    model: str
    created_at: datetime
    done: bool
    done_reason: DoneReason | UnsetType = UNSET
    total_duration: int | UnsetType = UNSET
    load_duration: int | UnsetType = UNSET
    prompt_eval_count: int | UnsetType = UNSET
    prompt_eval_duration: int | UnsetType = UNSET
    eval_count: int | UnsetType = UNSET
    eval_duration: int | UnsetType = UNSET
    logprobs: list[OllamaLogprob] | UnsetType = UNSET


class OllamaGenerated(OllamaPiece, frozen=True, kw_only=True):
    """`/api/generate`."""

    response: str


class OllamaAnswer(msgspec.Struct, frozen=True):
    content: str
    role: Literal["assistant"] = "assistant"


class OllamaChatted(OllamaPiece, frozen=True, kw_only=True):
    """`/api/chat`."""

    message: OllamaAnswer


class OllamaReply:
    """`name` is the model's as the request has it. `chat`: the text is a message."""

    framing = LINES

    def __init__(self, generation: Generation, name: str, *, chat: bool, loads: bool = False) -> None:
        self.generation = generation
        self._name = name
        self._chat = chat
        self._loads = loads

    def whole(self, texts: Sequence[GeneratedText]) -> OllamaPiece:
        (text,) = texts
        return self._done(text.text, text.finish_reason, text.scores)

    def first(self) -> list[object]:
        return []

    def chunk(self, delta: TextDelta) -> list[OllamaPiece]:
        pieces = []
        if delta.text or delta.scored:
            pieces.append(self._piece(delta.text, done=False, logprobs=self._logprobs(delta.scored)))
        if delta.finish_reason:
            pieces.append(self._done("", delta.finish_reason, ()))
        return pieces

    def last(self) -> list[object]:
        return []

    def failure(self, error: RequestError) -> dict[str, object]:
        return ollama_error(error)[0]

    def _piece(self, text: str, **about: Any) -> OllamaPiece:
        now = datetime.now(UTC)
        if self._chat:
            return OllamaChatted(model=self._name, created_at=now, message=OllamaAnswer(text), **about)
        return OllamaGenerated(model=self._name, created_at=now, response=text, **about)

    def _done(self, text: str, reason: FinishReason | None, scores: Sequence[TokenScore]) -> OllamaPiece:
        if self._loads:
            return self._piece("", done=True, done_reason="load")
        generation = self.generation
        total = generation.seconds
        first = generation.first_token_seconds or total
        return self._piece(
            text,
            done=True,
            # Ollama has no reason for a deadline.
            done_reason="stop" if reason == "stop" else "length",
            total_duration=nanoseconds(total),
            load_duration=nanoseconds(generation.queue_seconds),
            prompt_eval_count=generation.prompt_tokens,
            prompt_eval_duration=nanoseconds(first - generation.queue_seconds),
            eval_count=generation.generated_tokens,
            eval_duration=nanoseconds(total - first),
            logprobs=self._logprobs(scores),
        )

    def _logprobs(self, scores: Sequence[TokenScore]) -> list[OllamaLogprob] | UnsetType:
        if self.generation.options.logprobs is None or not scores:
            return UNSET
        return [
            OllamaLogprob(token.token, token.logprob, token.bytes, top_logprobs=token.top_logprobs)
            for token in chat_logprobs(self.generation.engine.tokenizer, scores).content
        ]


def nanoseconds(seconds: float) -> int:
    return max(0, round(seconds * NANOSECONDS))
