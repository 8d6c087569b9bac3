"""A fake engine that breaks after the first token of a text."""

from __future__ import annotations

from collections.abc import Sequence

from app.engine.base import Chunk, Logits, RowStep
from app.engine.fake import FakeEngine, FakeSlots


class BreakingSlots(FakeSlots):
    def run(self, steps: Sequence[RowStep], chunk: Chunk | None) -> Logits:
        if steps:
            raise ZeroDivisionError
        return super().run(steps, chunk)


class BreakingEngine(FakeEngine):
    def slots(self, count: int, positions: int) -> FakeSlots:
        return BreakingSlots(self, count, positions)
