"""What texts have copied from the training text, word for word, however much of that there is.

All suffixes of the texts are sorted. The training tokens pass by once, in blocks, and at each of their positions the
suffixes that go on alike are narrowed down, token by token, until none is left: exact, with no hashes to verify, and in
memory that depends on the texts alone. The result is, for each position of each text, the longest run from there that the
training text has, and where; every share and every longest run follows from that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from finetune.evaluation.variety import Passage, mean

Ints = NDArray[np.int64]
LEAST = 3
"""Shorter runs are not looked for: nearly all text has them."""
BLOCK = 2**20
# Neither is a token: the one ends each text, the other follows the training text, and they differ.
BORDER, BEYOND = -1, -2
SLOTS = 2**22


@dataclass(frozen=True)
class Runs:
    """For each position of a text, the tokens from there that the training text has together, and where it has them."""

    lengths: Ints
    places: Ints


class Copying(msgspec.Struct, frozen=True, kw_only=True):
    """Shares lie between 0 and 1.

    shares: by n, the share of n-grams that the training text has
    longest: tokens of the longest run; mean_longest: of each text's longest, their mean
    whole: the share of texts that are a whole document of the training text
    """

    shares: dict[int, float]
    longest: int
    mean_longest: float
    whole: float


def find_runs(passages: Sequence[Passage], corpus: NDArray[Any], end: int) -> list[Runs]:
    """Look for the passages in the training tokens [any number], in which each document is followed by `end`.

    A passage begins as a document does, so position 0 of its runs is the end of text before it, and, if it ended, the last
    position the one after it.
    """
    mark = np.array([end], np.int32)
    texts = [np.concatenate([mark, passage.tokens, mark[: passage.ended]]) for passage in passages]
    search = Search(texts)
    with tqdm(total=len(corpus), desc="look for copies", unit=" tokens", unit_scale=True) as progress:
        for start, block in blocks(corpus, end, search.longest):
            search.scan(start, block)
            progress.update(len(corpus[max(0, start) : start + BLOCK]))
    return list(search.runs(texts))


def blocks(corpus: NDArray[Any], end: int, longest: int) -> Iterator[tuple[int, Ints]]:
    """The training tokens from each BLOCK on, with as many more as a run can need. Before them all stands an end of text."""
    for start in range(-1, len(corpus), BLOCK):
        block = np.full(BLOCK + longest, BEYOND, np.int64)
        piece = corpus[max(0, start) : start + len(block)]
        first = 0 if start >= 0 else 1
        block[:first] = end
        block[first : first + len(piece)] = piece
        yield start, block


class Search:
    """All suffixes of some texts in sorted order, and the longest run that each has been found to share so far."""

    def __init__(self, texts: Sequence[NDArray[np.int32]]) -> None:
        self.longest = max(len(text) for text in texts) + 1
        border = np.array([BORDER], np.int32)
        joined = [part for text in texts for part in (text, border)]
        self.tokens = np.concatenate([*joined, np.repeat(border, self.longest + LEAST)]).astype(np.int64)
        self.order = sort_suffixes(self.tokens, self.longest)
        self.order = self.order[self.order < sum(map(len, joined))]
        self.keys = first_tokens(self.tokens)[self.order]
        self.slots = np.zeros(SLOTS, np.bool_)
        self.slots[slot(self.keys)] = True
        self.lengths, self.places = np.zeros((2, len(self.order)), np.int64)

    def scan(self, start: int, block: Ints) -> None:
        """Follow every position of a block of training tokens for as long as some text goes on alike."""
        keys = first_tokens(block)[:BLOCK]
        # Most positions begin like no text: a table that errs on one side only spares them the search.
        here = np.flatnonzero(self.slots[slot(keys)])
        low, high = (np.searchsorted(self.keys, keys[here], side) for side in ("left", "right"))
        found = low < high
        depth = LEAST
        while found.any():
            here, low, high = here[found], low[found], high[found]
            token = block[here + depth]
            next_low = self.bound(low, high, depth, token)
            next_high = self.bound(next_low, high, depth, token + 1)
            found = next_low < next_high
            self.note(low[~found], depth, start + here[~found])
            low, high = next_low, next_high
            depth += 1

    def bound(self, low: Ints, high: Ints, depth: int, token: Ints) -> Ints:
        """For each range of suffixes that are alike up to `depth`, the first whose token there is not below `token`."""
        low, high = low.copy(), high.copy()
        while len(wide := np.flatnonzero(low < high)):
            middle = (low[wide] + high[wide]) // 2
            below = self.tokens[self.order[middle] + depth] < token[wide]
            low[wide] = np.where(below, middle + 1, low[wide])
            high[wide] = np.where(below, high[wide], middle)
        return low

    def note(self, suffixes: Ints, depth: int, places: Ints) -> None:
        longer = np.flatnonzero(self.lengths[suffixes] < depth)[::-1]  # Of several, NumPy keeps the last: the earliest.
        self.lengths[suffixes[longer]] = depth
        self.places[suffixes[longer]] = places[longer]

    def runs(self, texts: Sequence[NDArray[np.int32]]) -> Iterator[Runs]:
        """What was found, for each text."""
        self.spread()
        lengths, places = np.zeros((2, len(self.order)), np.int64)
        lengths[self.order], places[self.order] = self.lengths, self.places
        start = 0
        for text in texts:
            here = slice(start, start + len(text))
            yield Runs(lengths[here], places[here])
            start += len(text) + 1

    def spread(self) -> None:
        """Give to each suffix what it shares with the runs of its neighbours: a run is noted at one of those that have it."""
        lengths, places = self.lengths.tolist(), self.places.tolist()
        shared = shared_lengths(self.tokens, self.order, self.longest).tolist()
        forward = ((left, left + 1) for left in range(len(shared)))
        backward = ((right, right - 1) for right in range(len(shared), 0, -1))
        for neighbours in (forward, backward):
            for giver, taker in neighbours:
                length = min(lengths[giver], shared[min(giver, taker)])
                if length > lengths[taker]:
                    lengths[taker], places[taker] = length, places[giver]
        self.lengths, self.places = np.array(lengths, np.int64), np.array(places, np.int64)
        self.lengths[self.lengths < LEAST] = 0


def sort_suffixes(tokens: Ints, longest: int) -> Ints:
    """Where the suffixes begin, sorted by their first `longest` tokens or more: ranks are doubled in reach each time."""
    ranks = np.unique(tokens, return_inverse=True)[1]
    reach = 1
    while reach < longest:
        following = np.zeros_like(ranks)
        following[:-reach] = ranks[reach:] + 1
        ranks = np.unique(ranks * (len(ranks) + 1) + following, return_inverse=True)[1]
        reach *= 2
    return np.argsort(ranks, kind="stable")


def shared_lengths(tokens: Ints, order: Ints, longest: int) -> Ints:
    """How many tokens each suffix has in common with the next in order, `longest` at the most."""
    lengths = np.zeros(len(order) - 1, np.int64)
    alike = np.arange(len(order) - 1)
    for depth in range(longest):
        alike = alike[tokens[order[alike] + depth] == tokens[order[alike + 1] + depth]]
        lengths[alike] = depth + 1
    return lengths


def first_tokens(tokens: Ints) -> Ints:
    """The LEAST tokens from each position on as one number that sorts as they do; vocabularies up to 2²¹ fit."""
    codes = tokens - BEYOND
    return (codes[:-2] << 42) | (codes[1:-1] << 21) | codes[2:]


def slot(keys: Ints) -> Ints:
    """A number below SLOTS that looks random (Fibonacci hashing)."""
    mixed: NDArray[np.uint64] = keys.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return (mixed >> np.uint64(64 - 22)).astype(np.int64)


def copying(passages: Sequence[Passage], runs: Sequence[Runs], sizes: Sequence[int]) -> Copying:
    """Sum up, for n-grams of these sizes. A size that no passage is long enough for is left out."""
    inner = [inside(passage, run) for passage, run in zip(passages, runs, strict=True)]
    longest = [int(lengths.max(initial=0)) for lengths in inner]
    shares = {n: share(inner, n) for n in sizes if any(len(lengths) >= n for lengths in inner)}
    whole = [is_whole(passage, run) for passage, run in zip(passages, runs, strict=True)]
    return Copying(shares=shares, longest=max(longest), mean_longest=mean(longest), whole=mean(whole))


def inside(passage: Passage, run: Runs) -> Ints:
    """The lengths of the runs from each of the passage's own tokens, ends of text left out."""
    n = len(passage.tokens)
    return np.minimum(run.lengths[1 : n + 1], np.arange(n, 0, -1))


def share(inner: Sequence[Ints], n: int) -> float:
    found = sum(int((lengths >= n).sum()) for lengths in inner)
    return found / sum(max(0, len(lengths) - n + 1) for lengths in inner)


def is_whole(passage: Passage, run: Runs) -> bool:
    """Whether the passage, with the ends of text on both sides of it, is in the training text."""
    return passage.ended and bool(run.lengths[0] == len(passage.tokens) + 2)
