"""Numbers that belong to words, such as their tokens: computed once for each different word.

A text of ten thousand words has a few thousand different ones, so that to look a word up is most of the work.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from itertools import count, islice, pairwise
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

MOST_WORDS, MOST_CHARACTERS = 2**18, 2**21
"""What a table may hold before it starts again, so that memory stays small whatever the text is."""
MOSTLY_DIFFERENT = 0.7
"""Where so much of the text is words that occur once, as in Chinese, a table only costs time."""
SPACE = 32
WHITE = list({character.encode()[0] for character in map(chr, range(2**14)) if character.isspace()})
"""The first bytes of all characters of white space in UTF-8. A few other characters begin with these too."""


class Ragged(NamedTuple):
    """Numbers of several texts or words: those of all, one after another, and how many each has."""

    values: NDArray[np.uint32]
    counts: NDArray[np.int64]


class WordTable:
    """Looks up the numbers of words. `compute` gives them for words that are new. Threads may share a table."""

    def __init__(self, compute: Callable[[list[str]], Ragged]) -> None:
        self._compute = compute
        self._lock = Lock()
        self._clear()

    def _clear(self) -> None:
        self._rows: defaultdict[str, int] = defaultdict(count().__next__)
        self._characters = 0
        self._starts = self._counts = np.empty(0, np.int64)
        self._values = np.empty(0, np.uint32)

    def look_up(self, text: bytes, lengths: NDArray[np.int64]) -> Ragged:
        """The numbers of several texts' words. `text` is all of them in UTF-8, and `lengths` are the bytes of each."""
        words, firsts = cut(text, lengths)
        coded = words.dictionary_encode()
        with self._lock:
            if coded.dictionary.buffers()[2].size > MOSTLY_DIFFERENT * len(text):
                return self._compute([text[start:end].decode() for start, end in pairwise(borders(lengths).tolist())])
            rows = self._rows_of(coded.dictionary.to_pylist())
            starts, counts, values = self._starts[rows], self._counts[rows], self._values
        # Without Arrow's own conversion to NumPy, which imports pandas.
        codes = np.frombuffer(coded.indices.buffers()[1], np.int32)
        counts = counts[codes]
        ends = borders(counts)
        places = np.arange(ends[-1]) + np.repeat(starts[codes] - ends[:-1], counts)
        return Ragged(values[places], np.diff(ends[firsts]))

    def _rows_of(self, words: list[str]) -> NDArray[np.int64]:
        if len(self._rows) > MOST_WORDS or self._characters > MOST_CHARACTERS:
            self._clear()
        known = len(self._rows)
        rows = np.fromiter(map(self._rows.__getitem__, words), np.int64, len(words))
        if new := list(islice(reversed(self._rows), len(self._rows) - known))[::-1]:
            values, counts = self._compute(new)
            starts = len(self._values) + np.cumsum(counts) - counts
            self._starts, self._counts = np.append(self._starts, starts), np.append(self._counts, counts)
            self._values = np.append(self._values, values)
            self._characters += sum(map(len, new))
        return rows


def borders(lengths: NDArray[Any]) -> NDArray[np.int64]:
    """Where each item begins if items of these lengths follow one another, and where the last one ends."""
    return np.append(0, np.cumsum(lengths))


def cut(text: bytes, lengths: NDArray[np.int64]) -> tuple[Any, NDArray[np.int64]]:
    """The words of all texts as an Arrow array, each with the space before it, and the index at which each text's begin.

    A text is cut before each space that something other than white space follows. GPT-2's tokens never reach over such a place.
    """
    data = np.frombuffer(text, np.uint8)
    follows = np.ones(256, np.bool_)
    follows[WHITE] = False
    begins = np.zeros(len(data) + 1, np.bool_)
    begins[:-2] = (data[:-1] == SPACE) & follows[data[1:]]
    begins[borders(lengths)] = True
    offsets = np.flatnonzero(begins).astype(np.int32)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(text)]
    words = pa.Array.from_buffers(pa.string(), len(offsets) - 1, buffers)
    return words, np.searchsorted(offsets, borders(lengths))
