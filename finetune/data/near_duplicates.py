"""Which documents say what an earlier one said: letter for letter, or nearly.

A copy has the same key. Nearly the same is measured on what the words are, without case and punctuation: the share of
overlapping word triples that two documents have in common (Jaccard; beginning and end count as words). One word changed
in a text of 25 leaves 0.80 of them, in one of 35 0.85.

Candidates are found by MinHash: of 60 hash functions each keeps the smallest value that a document's triples reach; the
share of functions that agree estimates the share of triples. Documents that agree on all six functions of one of ten
bands are looked at, in the order of their hashes, so no more than a few numbers for each document are ever in memory.
The triples themselves decide: no document is dropped on an estimate.
"""

from __future__ import annotations

import re
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

BANDS, ROWS = 10, 6
KEY_BYTES = 16
# An estimate from 60 functions is off by 0.05 (one sigma); what is this far below the threshold is not looked at.
MARGIN = 0.1
# Thousands may begin with the same phrase: of those in its band a document is estimated against so many, the latest,
# and held against the likeliest few.
COMPARED, CHECKED = 32, 4
# Fixed, so that the same documents are found on every machine. Odd multipliers lose no bit.
FUNCTIONS = np.random.default_rng(60).integers(0, 2**64, (2, BANDS * ROWS), np.uint64) | np.uint64(1)
MIX = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))

Signatures = NDArray[np.uint16]


def key(text: str) -> bytes:
    """The same for the same text, on every machine."""
    return blake2b(text.encode(), digest_size=KEY_BYTES).digest()


def words(text: str) -> list[bytes]:
    return re.sub(r"[\W_]+", " ", text.casefold()).encode().split()


def triples(texts: Sequence[str]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """A hash for every word triple of the texts, and where each text's begin. A text of n words has n + 2."""
    found = [words(text) for text in texts]
    # Two zeros stand between texts, so that a triple may reach over a border but never into another text.
    flat = [0, 0]
    for text in found:
        flat += map(zlib.crc32, text)
        flat += (0, 0)
    hashes = mix(np.array(flat, np.uint64))
    first, second, third = MIX
    joined = hashes[:-2] * first + hashes[1:-1] * second + hashes[2:] * third
    starts = np.cumsum([0, *(len(text) + 2 for text in found[:-1])])
    return mix(joined), starts


def mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Spread every bit over all (the finalizer of splitmix64)."""
    _, first, second = MIX
    values = (values ^ (values >> np.uint64(30))) * first
    values = (values ^ (values >> np.uint64(27))) * second
    return values ^ (values >> np.uint64(31))


def sign(texts: Sequence[str]) -> Signatures:
    """MinHash signatures [text, function]. Of each minimum the last 16 bits are kept: they say as much in half the room."""
    hashes, starts = triples(texts)
    signatures = np.empty((len(texts), BANDS * ROWS), np.uint16)
    for number, (factor, offset) in enumerate(FUNCTIONS.T):
        values = (hashes * factor + offset) >> np.uint64(32)
        signatures[:, number] = np.minimum.reduceat(values, starts)
    return signatures


def copies(keys: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Which of the keys [document, 2] an earlier document has."""
    order = np.lexsort((keys[:, 1], keys[:, 0]))
    repeated = np.zeros(len(keys), np.bool_)
    repeated[order[1:]] = (keys[order[1:]] == keys[order[:-1]]).all(axis=1)
    return repeated


def near_copies(
    signatures: Signatures, dropped: NDArray[np.bool_], text_of: Callable[[int], str], threshold: float
) -> NDArray[np.bool_]:
    """Which documents, of those not dropped yet, share at least `threshold` of their triples with an earlier one."""
    repeated = np.zeros(len(signatures), np.bool_)
    # Texts without a word, such as emoji, have nothing to compare.
    passed = dropped | (signatures == sign([""])).all(axis=1)

    @lru_cache(maxsize=4 * COMPARED)
    def triples_of(document: int) -> NDArray[np.uint64]:
        return np.unique(triples([text_of(document)])[0])

    for group in groups(signatures, passed):
        earlier: deque[int] = deque(maxlen=COMPARED)
        for document in group:
            if repeated[document]:
                continue
            likely = likeliest(signatures, document, list(earlier), threshold - MARGIN)
            if any(shared(triples_of(other), triples_of(document)) >= threshold for other in likely):
                repeated[document] = True
            else:
                earlier.append(document)
    return repeated


def likeliest(signatures: Signatures, document: int, others: list[int], least: float) -> list[int]:
    """Those whose signatures agree most with a document's, and at least so much."""
    agreement = np.count_nonzero(signatures[others] == signatures[document], axis=1) / (BANDS * ROWS)
    best = np.argsort(-agreement, kind="stable")[:CHECKED]
    return [others[at] for at in best if agreement[at] >= least]


def groups(signatures: Signatures, passed: NDArray[np.bool_]) -> Iterator[list[int]]:
    """Documents that agree on a whole band, band by band, each group in the order of the documents."""
    for band in range(BANDS):
        keys = np.zeros(len(signatures), np.uint64)
        for row in range(band * ROWS, (band + 1) * ROWS):
            keys = mix(keys + signatures[:, row] + MIX[0])
        documents = np.flatnonzero(~passed)
        documents = documents[np.argsort(keys[documents], kind="stable")]
        borders = np.flatnonzero(np.diff(keys[documents])) + 1
        starts, ends = np.append(0, borders), np.append(borders, len(documents))
        several = ends - starts > 1
        for start, end in zip(starts[several], ends[several], strict=True):
            yield documents[start:end].tolist()


def shared(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> float:
    """The share that two sets of triples, each sorted, have in common."""
    common = len(np.intersect1d(one, other, assume_unique=True))
    return common / (len(one) + len(other) - common)
