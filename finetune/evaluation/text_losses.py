"""The loss of a served model on texts: in nats, by text, so that models with other vocabularies can be compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing

import numpy as np
from numpy.typing import NDArray

from app.engine.base import Engine, begin
from finetune.progress_bar import progress_bar

ROWS = 16
"""Texts that are read side by side."""


def text_losses(engine: Engine, texts: Sequence[str], title: str) -> NDArray[np.float64]:
    """The loss of each text, [texts], in nats: how unlikely the model finds it, token by token.

    Each text is read after an end of text and must fit into the window.
    """
    first = begin(engine, [])[:1]
    rows = [np.array([*first, *engine.tokenizer.encode(text)], np.int64) for text in texts]
    losses = np.zeros(len(texts))
    # Texts of one length are read together, so that few steps are for nothing.
    order = sorted(range(len(rows)), key=lambda index: len(rows[index]))
    with progress_bar(title, sum(map(len, rows)), " tokens") as progress:
        for batch in batches(order, [len(row) for row in rows], engine.max_positions):
            losses[batch] = batch_losses(engine, [rows[index] for index in batch])
            progress.update(sum(len(rows[index]) for index in batch))
    return losses


def batches(order: Sequence[int], lengths: Sequence[int], most: int) -> Iterator[list[int]]:
    """Texts to read side by side, in order of length: ROWS of them, or as many as `most` positions hold."""
    batch: list[int] = []
    for index in order:
        if batch and (len(batch) == ROWS or (len(batch) + 1) * lengths[index] > most):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def batch_losses(engine: Engine, rows: Sequence[NDArray[np.int64]]) -> NDArray[np.float64]:
    """Read the rows [n] side by side, the shorter ones padded, and add up what each token cost."""
    longest = max(map(len, rows))
    tokens = np.zeros((len(rows), longest), np.int64)
    lengths = np.array([len(row) for row in rows])
    for place, row in enumerate(rows):
        tokens[place, : len(row)] = row
    losses = np.zeros(len(rows))
    if longest < 2:
        return losses
    with closing(engine.decoder(len(rows), longest)) as decoder:
        logits = decoder.prefill(tokens[:, :1])
        for at in range(1, longest):
            expected = tokens[:, at]
            highest = logits.max(axis=-1)
            total = np.log(np.exp(logits - highest[:, np.newaxis]).sum(axis=-1)) + highest
            cost = total - logits[np.arange(len(rows)), expected]
            losses += np.where(at < lengths, cost, 0.0)
            if at + 1 < longest:
                logits = decoder.step(expected)
    return losses
