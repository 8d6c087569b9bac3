"""How varied texts are: repetition within each (seq-rep-n), distinct n-grams of all.

Repetition depends on the length of a text, and distinct-n on the amount of text. Texts to be compared are therefore cut to
one length, and distinct-n is taken over equally many n-grams.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from finetune.evaluation.passages import Passage, mean

REPEATED = (2, 3, 4)
DISTINCT = (1, 2, 3)


class Variety(msgspec.Struct, frozen=True, kw_only=True):
    """Shares lie between 0 and 1.

    repetition: by n, the mean share of a text's n-grams that repeat an earlier one (seq-rep-n, Welleck et al., arXiv 1908.04319)
    distinct: by n, the number of different n-grams by the number of all (Li et al., arXiv 1510.03055)
    looping: the share of texts in which some sequence comes three times in a row
    """

    texts: int
    tokens: int
    mean_length: float
    ended: float
    repetition: dict[int, float]
    distinct: dict[int, float]
    looping: float


def measure_variety(passages: Sequence[Passage], most: int) -> Variety:
    """Measure the passages, distinct-n over their first `most` n-grams."""
    tokens = sum(len(passage.tokens) for passage in passages)
    return Variety(
        texts=len(passages),
        tokens=tokens,
        mean_length=tokens / len(passages),
        ended=mean([passage.ended for passage in passages]),
        repetition={n: mean_repetition(passages, n) for n in REPEATED},
        distinct={n: distinct_share(passages, n, most) for n in DISTINCT},
        looping=mean([is_loop(passage.tokens) for passage in passages]),
    )


def ngrams(tokens: NDArray[np.int32], n: int) -> NDArray[np.int32]:
    """All n-grams, [count, n]."""
    if len(tokens) < n:
        return np.empty((0, n), np.int32)
    return np.lib.stride_tricks.sliding_window_view(tokens, n)


def mean_repetition(passages: Sequence[Passage], n: int) -> float:
    return mean(repetition_rates(passages, n))


def repetition_rates(passages: Sequence[Passage], n: int) -> list[float]:
    """For each passage of at least n tokens, the share of its n-grams that repeat an earlier one."""
    found = [ngrams(passage.tokens, n) for passage in passages]
    return [1 - len(np.unique(rows, axis=0)) / len(rows) for rows in found if len(rows)]


def distinct_share(passages: Sequence[Passage], n: int, most: int) -> float:
    rows = np.concatenate([ngrams(passage.tokens, n) for passage in passages])[:most]
    return len(np.unique(rows, axis=0)) / max(1, len(rows))


def is_loop(tokens: NDArray[np.int32]) -> bool:
    """Whether some sequence, of any length, comes three times in a row."""
    return any(
        longest_run(tokens[period:] == tokens[:-period]) >= 2 * period for period in range(1, len(tokens) // 3 + 1)
    )


def longest_run(flags: NDArray[np.bool_]) -> int:
    """The most true values in a row."""
    breaks = np.flatnonzero(~np.concatenate([[False], flags, [False]]))
    return int(np.diff(breaks).max()) - 1
