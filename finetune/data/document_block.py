"""Documents in columns: the text of all parts as one, and an array for what else belongs to a part or a document.

To handle a thousand documents at once is many times faster than to handle one after another.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.engine.tokenizer import END_OF_TEXT
from finetune.data.documents import Document
from finetune.data.word_table import borders

MOST_DOCUMENTS, MOST_CHARACTERS = 5000, 2**20
"""A block, large enough to process fast and small enough for memory, ends at whichever comes first."""
END = END_OF_TEXT.encode()


class DocumentBlock(NamedTuple):
    """Several documents."""

    text: bytes
    """The text of all parts in UTF-8, one after another."""
    lengths: NDArray[np.int64]
    """The bytes of each part."""
    roles: NDArray[np.uint8]
    """The role of each part."""
    ends: NDArray[np.bool_]
    """Whether the end of text follows, for each part."""
    parts: NDArray[np.int64]
    """The number of parts of each document."""

    @classmethod
    def of(cls, documents: Sequence[Document]) -> DocumentBlock:
        parts = list(chain.from_iterable(documents))
        texts = [part.text.encode() for part in parts]
        return cls(
            b"".join(texts),
            np.array([len(text) for text in texts], np.int64),
            np.array([part.role for part in parts], np.uint8),
            np.array([part.ends for part in parts], np.bool_),
            np.array([len(document) for document in documents], np.int64),
        )

    def only(self, chosen: NDArray[np.bool_]) -> DocumentBlock:
        """The documents that are `chosen`, [document]."""
        if chosen.all():
            return self
        parts = np.repeat(chosen, self.parts)
        text = np.frombuffer(self.text, np.uint8)[np.repeat(parts, self.lengths)].tobytes()
        return DocumentBlock(text, self.lengths[parts], self.roles[parts], self.ends[parts], self.parts[chosen])

    def part_texts(self) -> list[bytes]:
        return [self.text[start:end] for start, end in pairwise(borders(self.lengths).tolist())]

    def texts(self) -> list[bytes]:
        """Each document as one text; an end of text between turns becomes <|endoftext|>."""
        texts = self.part_texts()
        if len(texts) == len(self.parts):
            return texts
        ended = [text + END * end for text, end in zip(texts, self.ends.tolist(), strict=True)]
        of_documents = pairwise(borders(self.parts).tolist())
        return [b"".join(ended[first:last]).removesuffix(END) for first, last in of_documents]


def sums(values: NDArray[Any], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """The sum of the values of each item if items of these lengths follow one another."""
    return np.diff(borders(values)[borders(lengths)])


def blocks(documents: Iterable[Document]) -> Iterator[DocumentBlock]:
    block: list[Document] = []
    characters = 0
    for document in documents:
        block.append(document)
        for part in document:
            characters += len(part.text)
        if len(block) == MOST_DOCUMENTS or characters >= MOST_CHARACTERS:
            yield DocumentBlock.of(block)
            block, characters = [], 0
    if block:
        yield DocumentBlock.of(block)
