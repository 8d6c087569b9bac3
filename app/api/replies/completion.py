"""The reply of `/v1/completions`."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from msgspec import UNSET, UnsetType

from app.api.framing import EVENTS_UNTIL_DONE
from app.api.logprobs import completion_logprobs
from app.api.openai_replies import Completion, CompletionChoice, CompletionLogprobs, Usage, openai_finish_reason
from app.api.openai_requests import CompletionRequest
from app.api.replies.reply import GeneratedText, parts
from app.ask import Generation
from app.engine.generation import TextDelta, TokenScore
from app.errors import RequestError
from app.ids import new_id


@dataclass(frozen=True)
class CompletionReply:
    """`echoes` are what the texts of each prompt begin with: the prompts as text, or nothing."""

    generation: Generation
    request: CompletionRequest
    echoes: Sequence[str]
    id: str = field(default_factory=lambda: new_id("cmpl-"))
    created: int = field(default_factory=lambda: int(time.time()))
    framing = EVENTS_UNTIL_DONE

    def whole(self, texts: Sequence[GeneratedText]) -> Completion:
        choices: list[CompletionChoice] = []
        samples = self.generation.options.samples
        for number, echo in enumerate(self.echoes):
            for text in best(texts[number * samples : (number + 1) * samples], self.request.n):
                choices.append(self._choice(len(choices), echo, text))
        return self._completion(choices, self._usage())

    def first(self) -> list[Completion]:
        texts = [echo for echo in self.echoes for _ in range(self.generation.options.samples)]
        choices = [CompletionChoice(text=text, index=index) for index, text in enumerate(texts) if text]
        return [self._chunk(choice) for choice in choices]

    def chunk(self, delta: TextDelta) -> list[Completion]:
        return [self._chunk(self._part(part)) for part in parts(delta)]

    def last(self) -> list[Completion]:
        return [self._completion([], self._usage())] if self.request.usage_wanted else []

    def failure(self, error: RequestError) -> dict[str, object]:
        return error.body()

    def _choice(self, index: int, echo: str, text: GeneratedText) -> CompletionChoice:
        return CompletionChoice(
            text=echo + text.text,
            index=index,
            logprobs=self._logprobs([*text.prompt_scores, *text.scores]),
            finish_reason=openai_finish_reason(text.finish_reason),
        )

    def _part(self, part: TextDelta) -> CompletionChoice:
        return CompletionChoice(
            text=part.text,
            index=part.index,
            logprobs=self._logprobs(part.scored) if part.scored else None,
            finish_reason=openai_finish_reason(part.finish_reason),
        )

    def _chunk(self, choice: CompletionChoice) -> Completion:
        # OpenAI's API sends a null in all chunks before the one with the usage.
        return self._completion([choice], None if self.request.usage_wanted else UNSET)

    def _completion(self, choices: list[CompletionChoice], usage: Usage | UnsetType | None) -> Completion:
        model = self.generation.engine.name
        return Completion(id=self.id, created=self.created, model=model, choices=choices, usage=usage)

    def _usage(self) -> Usage:
        return Usage.of(self.generation.prompt_tokens, self.generation.generated_tokens)

    def _logprobs(self, scores: Sequence[TokenScore]) -> CompletionLogprobs | None:
        # Scores are there for `best_of`, too, but only those that were asked for are returned.
        return None if self.request.logprobs is None else completion_logprobs(self.generation.engine.tokenizer, scores)


def best(texts: Sequence[GeneratedText], n: int) -> Sequence[GeneratedText]:
    """The n texts with the highest mean log probability, best first; all in their order if there are no more than n."""
    return sorted(texts, key=mean_logprob, reverse=True)[:n] if n < len(texts) else texts


def mean_logprob(text: GeneratedText) -> float:
    logprobs = [score.logprob for score in text.scores if score.logprob is not None]
    return sum(logprobs) / len(logprobs) if logprobs else -math.inf
