"""Exact duplicates by a hash, near duplicates by MinHash and Jaccard similarity.

The similarity of two documents is that of their sets of word triples (shingles), without case and punctuation; the beginning
and the end of a text count as words. One word changed in a text of 25 words leaves 0.80 of the triples in common, in one
of 35 words 0.85.

MinHash and locality-sensitive hashing find the candidates: each of 60 hash functions keeps the smallest value over a
document's triples, and the share of functions on which two documents agree estimates their similarity (Broder 1997).
Documents that agree on all six functions of one of ten bands are candidates for each other. They are found by sorting, so
memory holds only a few numbers per document. A document is dropped only if the triples themselves confirm the similarity.
"""

from __future__ import annotations

import re
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from hashlib import blake2b
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from finetune.data.thread_map import thread_map
from finetune.data.word_table import Ragged

BANDS, ROWS = 10, 6
KEY_BYTES = 16
MARGIN = 0.1
"""Candidates whose estimated similarity is this far below the threshold are not checked. The estimate's σ is about 0.05."""
COMPARED, CHECKED = 32, 4
"""Thousands of documents may share a band. Each is estimated against the latest 32 and checked against the 4 most similar."""
# Seeded, so that the same documents are found on every machine. Odd multipliers are bijective modulo 2**64.
FUNCTIONS = np.random.default_rng(60).integers(0, 2**64, (2, BANDS * ROWS), np.uint64) | np.uint64(1)
MIX = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))

Signatures = NDArray[np.uint16]


def key(text: bytes) -> bytes:
    """A hash of the text, the same on every machine. The validation split depends on it."""
    return blake2b(text, digest_size=KEY_BYTES).digest()


def word_hashes(texts: Sequence[str]) -> Ragged:
    """A hash of each word of all texts, in lower case and without punctuation."""
    lines = "\n".join(text.replace("\n", " ") for text in texts).casefold().replace("_", " ")
    words = [line.encode().split() for line in re.sub(r"[^\w\n]+", " ", lines).split("\n")]
    counts = np.array([len(of_text) for of_text in words])
    return Ragged(np.fromiter(map(zlib.crc32, chain.from_iterable(words)), np.uint32, counts.sum()), counts)


def triples(words: Ragged) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """A hash of every word triple of all texts, and the index at which each text's triples begin. n words have n + 2 triples.

    `words` are the hashes of the texts' words.
    """
    hashes, counts = words
    # Two zeros separate the texts, so that no triple reaches from one text into the next.
    flat = np.zeros(len(hashes) + 2 * len(counts) + 2, np.uint64)
    flat[np.arange(len(hashes)) + 2 * np.repeat(np.arange(1, len(counts) + 1), counts)] = hashes
    first, second, third = MIX
    mixed = mix(flat)
    joined = mixed[:-2] * first + mixed[1:-1] * second + mixed[2:] * third
    return mix(joined), np.cumsum(counts + 2) - counts - 2


def mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Make every bit depend on all others (the finalizer of SplitMix64)."""
    _, first, second = MIX
    values = (values ^ (values >> np.uint64(30))) * first
    values = (values ^ (values >> np.uint64(27))) * second
    return values ^ (values >> np.uint64(31))


def sign(words: Ragged) -> Signatures:
    """MinHash signatures, [text, function], from the hashes of the texts' words.

    Only the last 16 bits of each minimum are kept: they are enough to compare.
    """
    found, starts = triples(words)
    least = np.empty((BANDS * ROWS, len(starts)), np.uint64)
    values = np.empty_like(found)
    for (factor, offset), of_function in zip(FUNCTIONS.T, least, strict=True):
        np.multiply(found, factor, out=values)
        np.minimum.reduceat(np.add(values, offset, out=values), starts, out=of_function)
    return (least.T >> np.uint64(32)).astype(np.uint16)


def copies(keys: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Which documents are exact copies of an earlier one, [document]. `keys` are hashes of their texts, [document, 2]."""
    order = np.lexsort((keys[:, 1], keys[:, 0]))
    repeated = np.zeros(len(keys), np.bool_)
    repeated[order[1:]] = (keys[order[1:]] == keys[order[:-1]]).all(axis=1)
    return repeated


def near_copies(
    signatures: Signatures, dropped: NDArray[np.bool_], text_of: Callable[[int], str], threshold: float
) -> NDArray[np.bool_]:
    """Which documents are near duplicates of an earlier one, [document].

    Args:
        signatures: of all documents, [document, function]
        dropped: documents to ignore, [document]
        text_of: returns a document's text by its number
        threshold: the smallest Jaccard similarity of a near duplicate
    """
    repeated = np.zeros(len(signatures), np.bool_)
    # A text without words, such as one of emoji, has no triples to compare.
    ignored = dropped | (signatures == sign(word_hashes([""]))).all(axis=1)

    @lru_cache(maxsize=4 * COMPARED)
    def triples_of(document: int) -> NDArray[np.uint64]:
        return np.unique(triples(word_hashes([text_of(document)]))[0])

    for group in groups(signatures, ignored):
        earlier: deque[int] = deque(maxlen=COMPARED)
        for document in group:
            if repeated[document]:
                continue
            candidates = most_similar(signatures, document, list(earlier), threshold - MARGIN)
            if any(jaccard(triples_of(other), triples_of(document)) >= threshold for other in candidates):
                repeated[document] = True
            else:
                earlier.append(document)
    return repeated


def most_similar(signatures: Signatures, document: int, others: list[int], least: float) -> list[int]:
    """The CHECKED documents of the highest estimated similarity, among those with at least `least`."""
    agreement = np.count_nonzero(signatures[others] == signatures[document], axis=1) / (BANDS * ROWS)
    best = np.argsort(-agreement, kind="stable")[:CHECKED]
    return [others[at] for at in best if agreement[at] >= least]


def groups(signatures: Signatures, ignored: NDArray[np.bool_]) -> Iterator[list[int]]:
    """Groups of documents that agree on a whole band, each in document order."""
    for of_band in thread_map(lambda band: groups_of_band(signatures, ignored, band), range(BANDS)):
        yield from (group.tolist() for group in of_band)


def groups_of_band(signatures: Signatures, ignored: NDArray[np.bool_], band: int) -> list[NDArray[np.int64]]:
    keys = np.zeros(len(signatures), np.uint64)
    for row in range(band * ROWS, (band + 1) * ROWS):
        keys = mix(keys + signatures[:, row] + MIX[0])
    documents = np.flatnonzero(~ignored)
    documents = documents[np.argsort(keys[documents])]
    borders = np.flatnonzero(np.diff(keys[documents])) + 1
    starts, ends = np.append(0, borders), np.append(borders, len(documents))
    several = ends - starts > 1
    return [np.sort(documents[start:end]) for start, end in zip(starts[several], ends[several], strict=True)]


def jaccard(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> float:
    """The Jaccard similarity of two sets, each sorted and without repetition."""
    common = len(np.intersect1d(one, other, assume_unique=True))
    return common / (len(one) + len(other) - common)
