"""A fake engine that remembers the prompts it reads, of up to 128 tokens each, with the prefixes that it reuses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.engine.base import Chunk, Logits, RowStep
from app.engine.fake import FakeEngine, FakeSlots


class ListeningSlots(FakeSlots):
    def __init__(self, engine: ListeningEngine, count: int, capacity: int) -> None:
        super().__init__(engine, count, capacity)
        self._heard = engine.heard
        self._held: dict[int, list[int]] = {}

    def run(self, steps: Sequence[RowStep], chunk: Chunk | None) -> Logits:
        if chunk:
            self._held[chunk.slot] = self._held.get(chunk.slot, [])[: chunk.start] + chunk.tokens.tolist()
            self._heard.append(self._held[chunk.slot])
        return super().run(steps, chunk)

    def copy(self, source: int, target: int, length: int) -> None:
        super().copy(source, target, length)
        self._held[target] = self._held[source][:length]


class ListeningEngine(FakeEngine):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.heard: list[list[int]] = []

    @property
    def prompts(self) -> list[str]:
        """The prompts as text, without the token that comes before a document."""
        return [bytes(token for token in tokens if token < 256).decode() for tokens in self.heard]

    def slots(self, count: int, positions: int) -> FakeSlots:
        return ListeningSlots(self, count, positions)
