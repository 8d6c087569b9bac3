"""A fake engine that breaks after the first token of a text."""

from __future__ import annotations

from app.engine.base import Logits, Tokens
from app.engine.fake import FakeDecoder, FakeEngine


class BreakingDecoder(FakeDecoder):
    def step(self, tokens: Tokens) -> Logits:
        raise ZeroDivisionError


class BreakingEngine(FakeEngine):
    def decoder(self, rows: int, positions: int, reuse: bool = False) -> FakeDecoder:
        return BreakingDecoder(self)
