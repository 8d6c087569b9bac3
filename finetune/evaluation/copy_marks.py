"""Copies marked inside a text: the text in pieces, each copied from the training text word for word or not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from app.engine.tokenizer import Tokenizer
from finetune.evaluation.copying import Matches, runs_within
from finetune.evaluation.passages import Passage


class MarkedPiece(msgspec.Struct, frozen=True):
    """A part of a text. `copied`: whether it stands in the training text."""

    text: str
    copied: bool


def copied_tokens(passage: Passage, match: Matches, n: int) -> NDArray[np.bool_]:
    """Which tokens of the passage belong to a copied run of at least n, [tokens]."""
    runs = runs_within(passage, match)
    covered = np.zeros(len(runs), np.bool_)
    for start in np.flatnonzero(runs >= n):
        covered[start : start + runs[start]] = True
    return covered


def mark_copies(passage: Passage, copied: NDArray[np.bool_], tokenizer: Tokenizer) -> list[MarkedPiece]:
    """The text of the passage in pieces."""
    borders = np.flatnonzero(np.diff(copied.astype(np.int8))) + 1
    parts = [part for part in np.split(passage.tokens, borders) if len(part)]
    flags = [bool(flag) for flag in copied[[0, *borders]]] if len(copied) else []
    return [MarkedPiece(text, flag) for text, flag in zip(whole_characters(parts, tokenizer), flags, strict=True)]


def whole_characters(parts: Sequence[NDArray[Any]], tokenizer: Tokenizer) -> list[str]:
    """The parts as text. A character whose bytes lie in two of them belongs to the first."""
    pieces = [b"".join(tokenizer.bytes_of(int(token)) for token in part) for part in parts]
    for index in range(len(pieces) - 1):
        rest = pieces[index + 1].lstrip(bytes(range(0x80, 0xC0)))
        taken = len(pieces[index + 1]) - len(rest)
        pieces[index] += pieces[index + 1][:taken]
        pieces[index + 1] = rest
    return [piece.decode("utf-8", "replace") for piece in pieces]
