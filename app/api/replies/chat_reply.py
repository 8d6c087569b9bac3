"""The reply of `/v1/chat/completions`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from msgspec import UNSET

from app.api.framing import EVENTS_UNTIL_DONE
from app.api.logprobs import chat_logprobs
from app.api.openai_replies import (
    AssistantMessage,
    ChatChoice,
    ChatCompletion,
    ChatCompletionChunk,
    ChatLogprobs,
    ChunkChoice,
    Delta,
    Usage,
    openai_finish_reason,
)
from app.api.openai_requests import ChatRequest
from app.api.replies.reply import GeneratedText, parts
from app.ask import Generation
from app.engine.generation import TextDelta, TokenScore
from app.errors import RequestError
from app.ids import new_id


@dataclass(frozen=True)
class ChatReply:
    generation: Generation
    request: ChatRequest
    left_out: int | None = None
    id: str = field(default_factory=lambda: new_id("chatcmpl-"))
    created: int = field(default_factory=lambda: int(time.time()))
    framing = EVENTS_UNTIL_DONE

    def whole(self, texts: Sequence[GeneratedText]) -> ChatCompletion:
        choices = [self._choice(index, text) for index, text in enumerate(texts)]
        model = self.generation.engine.name
        return ChatCompletion(
            id=self.id,
            created=self.created,
            model=model,
            choices=choices,
            usage=self._usage(),
            seed=self.generation.options.seed,
            left_out=self.left_out,
        )

    def first(self) -> list[ChatCompletionChunk]:
        """The role of the speaker, once for each text."""
        delta = Delta(role="assistant", content="")
        indices = range(self.generation.options.samples)
        return [self._chunk([ChunkChoice(index=index, delta=delta)]) for index in indices]

    def chunk(self, delta: TextDelta) -> list[ChatCompletionChunk]:
        return [self._chunk([self._part(part)]) for part in parts(delta)]

    def last(self) -> list[ChatCompletionChunk]:
        return [self._chunk([], self._usage())] if self.request.usage_wanted else []

    def failure(self, error: RequestError) -> dict[str, object]:
        return error.body()

    def _choice(self, index: int, text: GeneratedText) -> ChatChoice:
        return ChatChoice(
            index=index,
            message=AssistantMessage(text.text),
            logprobs=self._logprobs(text.scores),
            finish_reason=openai_finish_reason(text.finish_reason) or "stop",
        )

    def _part(self, part: TextDelta) -> ChunkChoice:
        return ChunkChoice(
            index=part.index,
            delta=Delta(content=part.text) if part.text or part.scored else Delta(),
            logprobs=self._logprobs(part.scored) if part.scored else None,
            finish_reason=openai_finish_reason(part.finish_reason),
        )

    def _chunk(self, choices: list[ChunkChoice], usage: Usage | None = None) -> ChatCompletionChunk:
        return ChatCompletionChunk(
            id=self.id,
            created=self.created,
            model=self.generation.engine.name,
            choices=choices,
            # OpenAI's API sends a null in all chunks before the one with the usage.
            usage=usage if self.request.usage_wanted else UNSET,
            seed=self.generation.options.seed if usage else UNSET,
            left_out=self.left_out if usage else UNSET,
        )

    def _usage(self) -> Usage:
        return Usage.of(self.generation.prompt_tokens, self.generation.generated_tokens)

    def _logprobs(self, scores: Sequence[TokenScore]) -> ChatLogprobs | None:
        return chat_logprobs(self.generation.engine.tokenizer, scores) if self.request.logprobs else None
