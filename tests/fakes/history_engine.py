"""A fake engine whose logits follow from every token before and from how each was read, as those of a real model do.

A token that was read in a piece of a prompt, one that was read alone and one that was written leave different last bits, so a
text that reuses what it must not, or reads something else than it should, is another text.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np

from app.engine.base import Chunk, Logits, RowStep
from app.engine.fake import FakeEngine, FakeSlots

LOGITS = np.random.default_rng(0).normal(size=(997, 257)).astype(np.float32)
How = Literal["read", "alone", "written"]


class HistoryPass(NamedTuple):
    """The slots whose texts got a token, the slot of the piece of a prompt and how long that was."""

    steps: list[int]
    chunk: int | None
    read: int


class HistoryEngine(FakeEngine):
    def __init__(self, n_ctx: int = 24, *, shares_passes: bool = True, name: str = "history") -> None:
        super().__init__(n_ctx=n_ctx, name=name)
        self.shares_passes = shares_passes
        self.passes: list[HistoryPass] = []
        self.before_pass: Callable[[], object] = lambda: None
        self.most_filled = 0

    def slots(self, count: int, positions: int) -> HistorySlots:
        return HistorySlots(self, count, positions)

    def slot_bytes(self, positions: int) -> int:
        return positions


class HistorySlots(FakeSlots):
    def __init__(self, engine: HistoryEngine, count: int, capacity: int) -> None:
        super().__init__(engine, count, capacity)
        self._history = engine
        self.held: list[list[tuple[int, How]]] = [[] for _ in range(count)]

    def run(self, steps: Sequence[RowStep], chunk: Chunk | None) -> Logits:
        self._history.before_pass()
        slots = [step.slot for step in steps] + ([chunk.slot] if chunk else [])
        assert slots
        assert len({*slots}) == len(slots)
        if not self._history.shares_passes:
            assert not (steps and chunk)
            assert len({step.position for step in steps}) <= 1
        for step in steps:
            self._put(step.slot, step.position, [(step.token, "written")])
        rows = [self._logits_at(step.slot, step.position) for step in steps]
        if chunk:
            how: How = "read" if len(chunk.tokens) > 1 else "alone"
            self._put(chunk.slot, chunk.start, [(token, how) for token in chunk.tokens.tolist()])
            end = chunk.start + len(chunk.tokens)
            wanted = range(chunk.start if chunk.every else end - 1, end)
            rows += [self._logits_at(chunk.slot, position) for position in wanted]
        self._history.passes.append(
            HistoryPass([step.slot for step in steps], chunk.slot if chunk else None, len(chunk.tokens) if chunk else 0)
        )
        self._history.most_filled = max(self._history.most_filled, sum(map(len, self.held)))
        return np.stack(rows)

    def copy(self, source: int, target: int, length: int) -> None:
        assert 0 < length <= len(self.held[source])
        self.held[target] = self.held[source][:length]

    def release(self, slot: int) -> None:
        self.held[slot] = []

    def _put(self, slot: int, position: int, tokens: list[tuple[int, How]]) -> None:
        assert position <= len(self.held[slot])
        assert position + len(tokens) <= self.capacity
        self.held[slot] = self.held[slot][:position] + tokens

    def _logits_at(self, slot: int, position: int) -> Logits:
        logits: Logits = LOGITS[zlib.crc32(repr(self.held[slot][: position + 1]).encode()) % len(LOGITS)].copy()
        return logits
