"""The reply of `/` and `/generate`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.api.framing import EVENTS_UNTIL_DONE
from app.api.openai_replies import Usage
from app.api.replies.reply import GeneratedText
from app.ask import Generation
from app.engine.generation import TextDelta
from app.errors import RequestError


@dataclass(frozen=True)
class PlainReply:
    """`prefix` is what each text begins with, the prompt or nothing.

    The events of one index, joined, are the text that the whole reply would have had.
    """

    generation: Generation
    prefix: str
    framing = EVENTS_UNTIL_DONE

    def whole(self, texts: Sequence[GeneratedText]) -> dict[str, Any]:
        shown = [self.prefix + text.text for text in texts]
        several = {"texts": shown} if len(shown) > 1 else {}
        return {"text": shown[0]} | several | self._about()

    def first(self) -> list[dict[str, Any]]:
        indices = range(self.generation.options.samples if self.prefix else 0)
        return [{"text": self.prefix, "index": index} for index in indices]

    def chunk(self, delta: TextDelta) -> list[dict[str, Any]]:
        return [{"text": delta.text, "index": delta.index}] if delta.text else []

    def last(self) -> list[dict[str, Any]]:
        return [{"text": ""} | self._about()]

    def failure(self, error: RequestError) -> dict[str, object]:
        return error.body()

    def _about(self) -> dict[str, Any]:
        """The fields beside the texts."""
        generation = self.generation
        reasons = generation.finish_reasons
        several = {"finish_reasons": reasons} if len(reasons) > 1 else {}
        usage = Usage.of(generation.prompt_tokens, generation.generated_tokens)
        return {
            "model": generation.engine.name,
            "seed": generation.options.seed,
            "finish_reason": reasons[0],
            **several,
            "usage": usage,
        }
