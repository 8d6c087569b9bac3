"""The loss of a served model on texts: in nats, by text, so that models with other vocabularies can be compared."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

import numpy as np
from numpy.typing import NDArray

from app.engine.base import Chunk, Engine, Slots, begin
from finetune.progress_bar import progress_bar

CHUNK = 32
"""Tokens of a text that one pass reads. Each has logits of its own."""


def text_losses(engine: Engine, texts: Sequence[str], title: str) -> NDArray[np.float64]:
    """The loss of each text, [texts], in nats: how unlikely the model finds it, token by token.

    Each text is read after an end of text and must fit into the window.
    """
    first = begin(engine, [])[:1]
    rows = [np.array([*first, *engine.tokenizer.encode(text)], np.int64) for text in texts]
    losses = np.zeros(len(rows))
    longest = max(map(len, rows), default=1)
    with progress_bar(title, sum(map(len, rows)), " tokens") as progress, closing(engine.slots(1, longest)) as slots:
        for index, row in enumerate(rows):
            losses[index] = sum(piece_loss(slots, row, start) for start in range(0, len(row) - 1, CHUNK))
            progress.update(len(row))
    return losses


def piece_loss(slots: Slots, row: NDArray[np.int64], start: int) -> float:
    """Read a piece of a text [n], and add up what the tokens after each of its own cost."""
    expected = row[start + 1 : start + 1 + CHUNK]
    logits = slots.run([], Chunk(0, row[start : start + len(expected)], start, every=True))
    highest = logits.max(axis=-1)
    total = np.log(np.exp(logits - highest[:, np.newaxis]).sum(axis=-1)) + highest
    return float((total - logits[np.arange(len(expected)), expected]).sum())
