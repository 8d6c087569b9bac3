"""What texts copy from the training text: n-gram overlap, longest common substrings.

For each position of each text, `longest_matches` finds the longest run of tokens from there that the training text contains.
All other figures follow from that: an n-gram is copied where the run is at least n long.

The training tokens are scanned once, in blocks. Within a block, the positions of the texts and those of the block that share
an n-gram are kept, for n = 3, 4, 5, … until none is left. Each shared n-gram has a number, so that an (n+1)-gram is a pair of
such a number and the next token: the comparison is exact. Memory depends on the texts and the size of a block, not on how much
training text there is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from finetune.evaluation.passages import Passage, mean
from finetune.progress_bar import progress_bar

Ints = NDArray[np.int64]
SHORTEST = 3
"""Shorter runs are not counted: nearly every text shares some with any other."""
COPY = 8
"""So many tokens in a row count as a copy, unless somebody says otherwise."""
BLOCK = 2**20
# Not tokens: AFTER_TEXT follows each text, and AFTER_CORPUS follows the training text. They differ, so they never match.
AFTER_TEXT, AFTER_CORPUS = -1, -2
TOKEN_BITS = 21
"""Three tokens of this size fit into 63 bits. The largest vocabulary is 2²¹ tokens less the two above."""


@dataclass(frozen=True)
class Matches:
    """For each position of a text, the length of the longest run from there that the training text contains.

    Both [n]. A length under SHORTEST is 0. `places` holds the index in the training tokens at which the run begins.
    """

    lengths: Ints
    places: Ints


class CopyRates(msgspec.Struct, frozen=True, kw_only=True):
    """Shares lie between 0 and 1.

    shares: by n, the share of n-grams that the training text contains
    longest: tokens of the longest copied run; mean_longest: the mean over texts of each one's longest
    whole: the share of texts that equal a whole training document
    """

    shares: dict[int, float]
    longest: int
    mean_longest: float
    whole: float


def longest_matches(passages: Sequence[Passage], corpus: NDArray[Any], end: int, quiet: bool = False) -> list[Matches]:
    """Look for the passages in the training tokens [n], in which `end` follows each document.

    An end of text is put before each passage, as before each document: it is position 0 of the passage's matches. Another
    follows if the passage ended by itself.
    """
    mark = np.array([end], np.int64)
    texts = [np.concatenate([mark, passage.tokens, mark[: passage.ended]]) for passage in passages]
    tokens = np.concatenate([np.append(text, AFTER_TEXT) for text in texts])
    lengths, places = np.zeros((2, len(tokens)), np.int64)
    with progress_bar("look for copies", len(corpus), " tokens", quiet=quiet) as progress:
        for start, block in blocks(corpus, end, overlap=max(map(len, texts))):
            match_block(tokens, block, start, lengths, places)
            progress.update(len(corpus[max(0, start) : start + BLOCK]))
    ends = np.cumsum([len(text) + 1 for text in texts])
    return [
        Matches(lengths[stop - len(text) - 1 : stop - 1], places[stop - len(text) - 1 : stop - 1])
        for text, stop in zip(texts, ends, strict=True)
    ]


def blocks(corpus: NDArray[Any], end: int, overlap: int) -> Iterator[tuple[int, Ints]]:
    """Where each block starts, and its BLOCK training tokens with the next `overlap` ones, so that matches can continue.

    The first block starts at -1: an end of text is put before the first document.
    """
    for start in range(-1, len(corpus), BLOCK):
        block = np.full(BLOCK + overlap, AFTER_CORPUS, np.int64)
        known = corpus[max(0, start) : start + len(block)]
        first = 0 if start >= 0 else 1
        block[:first] = end
        block[first : first + len(known)] = known
        yield start, block


def match_block(tokens: Ints, block: Ints, start: int, lengths: Ints, places: Ints) -> None:
    """Raise `lengths` where this block has a longer match, and set `places` to where the first such match begins."""
    here, ours = np.arange(len(tokens) - SHORTEST + 1), first_grams(tokens)
    theirs = first_grams(block)[:BLOCK]
    there = np.arange(len(theirs))
    size = SHORTEST
    while len(here):
        grams, numbers = np.unique(ours, return_inverse=True)
        candidates = np.minimum(np.searchsorted(grams, theirs), len(grams) - 1)
        shared = grams[candidates] == theirs
        there, numbers_there = there[shared], candidates[shared]
        first = np.full(len(grams), -1, np.int64)
        first[numbers_there[::-1]] = there[::-1]  # Of several assignments to one index, NumPy keeps the last.
        found = first[numbers] >= 0
        here, numbers = here[found], numbers[found]
        longer = lengths[here] < size
        lengths[here[longer]] = size
        places[here[longer]] = start + first[numbers[longer]]
        ours, theirs = extend(numbers, tokens[here + size]), extend(numbers_there, block[there + size])
        size += 1


def first_grams(tokens: Ints) -> Ints:
    """Each position's SHORTEST tokens as one number."""
    codes = tokens - AFTER_CORPUS
    return (codes[:-2] << 2 * TOKEN_BITS) | (codes[1:-1] << TOKEN_BITS) | codes[2:]


def extend(numbers: Ints, tokens: Ints) -> Ints:
    """Numbers of n-grams and the tokens after them as one number each."""
    return (numbers << TOKEN_BITS) | (tokens - AFTER_CORPUS)


def copy_rates(passages: Sequence[Passage], matches: Sequence[Matches], sizes: Sequence[int]) -> CopyRates:
    """Summarize the matches for n-grams of these sizes. A size longer than every passage is left out."""
    runs = [runs_within(passage, match) for passage, match in zip(passages, matches, strict=True)]
    longest = [int(lengths.max(initial=0)) for lengths in runs]
    shares = {n: copied_share(runs, n) for n in sizes if any(len(lengths) >= n for lengths in runs)}
    whole = [is_whole_document(passage, match) for passage, match in zip(passages, matches, strict=True)]
    return CopyRates(shares=shares, longest=max(longest), mean_longest=mean(longest), whole=mean(whole))


def runs_within(passage: Passage, match: Matches) -> Ints:
    """The length of the match at each of the passage's own tokens, without the ends of text around it."""
    n = len(passage.tokens)
    return np.minimum(match.lengths[1 : n + 1], np.arange(n, 0, -1))


def copied_share(runs: Sequence[Ints], n: int) -> float:
    copied = sum(int((lengths >= n).sum()) for lengths in runs)
    return copied / sum(max(0, len(lengths) - n + 1) for lengths in runs)


def is_whole_document(passage: Passage, match: Matches) -> bool:
    """Whether the training text contains the passage with an end of text on both sides."""
    return passage.ended and bool(match.lengths[0] == len(passage.tokens) + 2)
