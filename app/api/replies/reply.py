"""The protocol of all replies, and a generated text as a whole reply collects it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from app.api.framing import Framing
from app.ask import Generation
from app.engine.generation import FinishReason, TextDelta, TokenScore
from app.errors import RequestError


@dataclass
class GeneratedText:
    """One of a generation's texts, with the scores of its prompt's tokens and of its own, if they were asked for.

    `stop` is the stop string that ended it, if one did.
    """

    text: str = ""
    finish_reason: FinishReason | None = None
    prompt_scores: list[TokenScore] = field(default_factory=list)
    scores: list[TokenScore] = field(default_factory=list)
    tokens: int = 0
    stop: str = ""

    def add(self, delta: TextDelta) -> None:
        self.text += delta.text
        self.finish_reason = delta.finish_reason
        self.stop = delta.stop
        self.tokens += 0 if delta.of_prompt else delta.tokens
        (self.prompt_scores if delta.of_prompt else self.scores).extend(delta.scored)


def parts(delta: TextDelta) -> list[TextDelta]:
    """What of a delta is told in events of their own in OpenAI's streams: its text, then its finish reason."""
    shown = delta.text or delta.scored
    if shown and delta.finish_reason:
        return [replace(delta, finish_reason=None), replace(delta, text="", scored=(), tokens=0)]
    return [delta] if shown or delta.finish_reason else []


class Reply(Protocol):
    """How a route replies with a generation. Every method returns content for JSON; `framing` makes bytes of a stream's."""

    @property
    def generation(self) -> Generation: ...

    @property
    def framing(self) -> Framing: ...

    def whole(self, texts: Sequence[GeneratedText]) -> object:
        """The reply that is not streamed."""
        ...

    def first(self) -> Iterable[object]:
        """The events before the first delta."""
        ...

    def chunk(self, delta: TextDelta) -> Iterable[object]:
        """The events for a delta. There are none if the delta changes nothing that a client sees."""
        ...

    def last(self) -> Iterable[object]:
        """The events after the last delta."""
        ...

    def failure(self, error: RequestError) -> object:
        """The last event of a stream that an error ends."""
        ...
