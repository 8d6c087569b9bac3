"""The protocol of all replies, and a generated text as a whole reply collects it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from app.ask import Generation
from app.engine.generation import FinishReason, TextDelta, TokenScore


@dataclass
class GeneratedText:
    """One of a generation's texts, with the scores of its prompt's tokens and of its own, if they were asked for."""

    text: str = ""
    finish_reason: FinishReason | None = None
    prompt_scores: list[TokenScore] = field(default_factory=list)
    scores: list[TokenScore] = field(default_factory=list)

    def add(self, delta: TextDelta) -> None:
        self.text += delta.text
        self.finish_reason = delta.finish_reason
        (self.prompt_scores if delta.of_prompt else self.scores).extend(delta.scored)


class Reply(Protocol):
    """How a route replies with a generation. Every method returns content for JSON; app.api.sse frames events."""

    @property
    def generation(self) -> Generation: ...

    def whole(self, texts: Sequence[GeneratedText]) -> object:
        """The reply that is not streamed."""
        ...

    def first(self) -> Iterable[object]:
        """The events before the first delta."""
        ...

    def chunk(self, delta: TextDelta) -> object | None:
        """The event for a delta. None if the delta changes nothing that a client sees."""
        ...

    def last(self) -> Iterable[object]:
        """The events after the last delta, before `[DONE]`."""
        ...
