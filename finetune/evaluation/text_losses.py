"""The loss of a served model on texts: in nats, by text, so that models with other vocabularies can be compared."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

import numpy as np
from numpy.typing import NDArray

from app.engine.base import Chunk, Engine, Logits, RowStep, Slots, begin
from finetune.progress_bar import progress_bar

CHUNK = 32
"""Tokens of a text that one pass reads. Each has logits of its own."""
ROWS = 16
"""Texts that are read side by side, a token of each in a pass, where an engine has but the newest logits of a piece at once."""


def text_losses(engine: Engine, texts: Sequence[str], title: str) -> NDArray[np.float64]:
    """The loss of each text, [texts], in nats: how unlikely the model finds it, token by token.

    Each text is read after an end of text and must fit into the window.
    """
    first = begin(engine, [])[:1]
    rows = [np.array([*first, *engine.tokenizer.encode(text)], np.int64) for text in texts]
    losses = np.zeros(len(rows))
    longest = max(map(len, rows), default=1)
    beside = 1 if engine.shares_passes else max(1, min(ROWS, engine.max_positions // longest))
    # Those of about one length beside each other, so that few passes have less than all.
    order = sorted(range(len(rows)), key=lambda index: len(rows[index]))
    with (
        progress_bar(title, sum(map(len, rows)), " tokens") as progress,
        closing(engine.slots(beside, longest)) as slots,
    ):
        for start in range(0, len(rows), beside):
            read = order[start : start + beside]
            losses[read] = row_losses(slots, [rows[index] for index in read], engine.shares_passes)
            progress.update(sum(len(rows[index]) for index in read))
    return losses


def row_losses(slots: Slots, rows: Sequence[NDArray[np.int64]], in_pieces: bool) -> list[float]:
    """The loss of each row [n]."""
    if in_pieces:
        return [sum(piece_loss(slots, row, start, CHUNK) for start in range(0, len(row) - 1, CHUNK)) for row in rows]
    losses = [piece_loss(slots, row, 0, 1, slot) if len(row) > 1 else 0.0 for slot, row in enumerate(rows)]
    for at in range(1, max(map(len, rows)) - 1):
        left = [slot for slot, row in enumerate(rows) if at < len(row) - 1]
        logits = slots.run([RowStep(slot, int(rows[slot][at]), at) for slot in left], None)
        for slot, cost in zip(left, costs(logits, np.array([rows[slot][at + 1] for slot in left])), strict=True):
            losses[slot] += cost
    return losses


def piece_loss(slots: Slots, row: NDArray[np.int64], start: int, size: int, slot: int = 0) -> float:
    """Read a piece of a row [n], and add up what the tokens after each of its own cost."""
    expected = row[start + 1 : start + 1 + size]
    logits = slots.run([], Chunk(slot, row[start : start + len(expected)], start, every=True))
    return sum(costs(logits, expected))


def costs(logits: Logits, expected: NDArray[np.int64]) -> list[float]:
    """What each expected token [n] costs, given logits [n, n_vocab]."""
    highest = logits.max(axis=-1)
    total = np.log(np.exp(logits - highest[:, np.newaxis]).sum(axis=-1)) + highest
    found: list[float] = (total - logits[np.arange(len(expected)), expected]).tolist()
    return found
