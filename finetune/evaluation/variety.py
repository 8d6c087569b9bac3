"""How varied texts are: what each says again, and how much of what all of them say is different.

Rates depend on how long texts are, and distinct-n on how many there are, so texts to be compared are cut to one length
and distinct-n is taken over as many n-grams of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

REPEATED = (2, 3, 4)
DISTINCT = (1, 2, 3)


@dataclass(frozen=True)
class Passage:
    """A text as tokens [n], without its end, and whether it came to its end or was cut."""

    tokens: NDArray[np.int32]
    ended: bool


class Variety(msgspec.Struct, frozen=True, kw_only=True):
    """Shares lie between 0 and 1.

    repetition: by n, the mean share of a text's n-grams that it had before; at 4, Welleck et al.'s seq-rep-4 (arXiv 1908.04319)
    distinct: by n, the share of all n-grams that are different (Li et al., arXiv 1510.03055)
    looping: the share of texts that say something three times in a row
    """

    texts: int
    tokens: int
    mean_length: float
    ended: float
    repetition: dict[int, float]
    distinct: dict[int, float]
    looping: float


def variety(passages: Sequence[Passage], most: int) -> Variety:
    """Measure the passages, distinct-n over the first `most` tokens of them."""
    tokens = sum(len(passage.tokens) for passage in passages)
    return Variety(
        texts=len(passages),
        tokens=tokens,
        mean_length=tokens / len(passages),
        ended=mean([passage.ended for passage in passages]),
        repetition={n: mean(repetition(passages, n)) for n in REPEATED},
        distinct={n: distinct(passages, n, most) for n in DISTINCT},
        looping=mean([loops(passage.tokens) for passage in passages]),
    )


def grams(tokens: NDArray[np.int32], n: int) -> NDArray[np.int32]:
    """All n-grams, [count, n]."""
    if len(tokens) < n:
        return np.empty((0, n), np.int32)
    return np.lib.stride_tricks.sliding_window_view(tokens, n)


def repetition(passages: Sequence[Passage], n: int) -> list[float]:
    """For each passage that has n-grams, the share of them that are there before."""
    found = [grams(passage.tokens, n) for passage in passages]
    return [1 - len(np.unique(rows, axis=0)) / len(rows) for rows in found if len(rows)]


def distinct(passages: Sequence[Passage], n: int, most: int) -> float:
    rows = np.concatenate([grams(passage.tokens, n) for passage in passages])[:most]
    return len(np.unique(rows, axis=0)) / max(1, len(rows))


def loops(tokens: NDArray[np.int32]) -> bool:
    """Whether some piece, of any length, comes three times in a row."""
    return any(
        longest_run(tokens[period:] == tokens[:-period]) >= 2 * period for period in range(1, len(tokens) // 3 + 1)
    )


def longest_run(flags: NDArray[np.bool_]) -> int:
    """How many true values stand together at most."""
    breaks = np.flatnonzero(~np.concatenate([[False], flags, [False]]))
    return int(np.diff(breaks).max()) - 1


def mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0
