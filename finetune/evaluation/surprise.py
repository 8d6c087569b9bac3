"""The most surprising passages of the validation text: how unlikely the model found each token."""

from __future__ import annotations

import heapq

import msgspec
import numpy as np
from numpy.typing import NDArray

from app.engine.tokenizer import Tokenizer
from finetune.evaluation.copy_marks import whole_characters

SHOWN = 5
LONGEST = 120
"""Tokens of a passage that are shown."""
SHORTEST = 8
"""A mean over fewer tokens says little."""


class SurprisingToken(msgspec.Struct, frozen=True):
    """A token as text, and its loss in nats."""

    text: str
    nats: float


class SurprisingPassage(msgspec.Struct, frozen=True, kw_only=True):
    nats: float
    tokens: list[SurprisingToken]


class MostSurprising:
    """Keeps the passages with the highest mean loss."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, NDArray[np.int32], NDArray[np.float32]]] = []
        self._count = 0

    def add(self, tokens: NDArray[np.int32], losses: NDArray[np.float32]) -> None:
        """Tokens and their losses, both [n]."""
        tokens, losses = tokens[:LONGEST], losses[:LONGEST]
        if len(tokens) < SHORTEST:
            return
        self._count += 1  # Of equal means, so that arrays are never compared.
        heapq.heappush(self._heap, (float(losses.mean()), self._count, tokens.copy(), losses.copy()))
        if len(self._heap) > SHOWN:
            heapq.heappop(self._heap)

    def passages(self, tokenizer: Tokenizer, end: int) -> list[SurprisingPassage]:
        """The most surprising first. The end of text has no characters of its own and is shown as ∎."""
        return [
            SurprisingPassage(nats=nats, tokens=spelled(tokens, losses, tokenizer, end))
            for nats, _, tokens, losses in sorted(self._heap, key=lambda entry: -entry[0])
        ]


def spelled(
    tokens: NDArray[np.int32], losses: NDArray[np.float32], tokenizer: Tokenizer, end: int
) -> list[SurprisingToken]:
    texts = whole_characters([tokens[index : index + 1] for index in range(len(tokens))], tokenizer)
    return [
        SurprisingToken("∎" if token == end else text, round(float(loss), 3))
        for token, text, loss in zip(tokens, texts, losses, strict=True)
    ]
