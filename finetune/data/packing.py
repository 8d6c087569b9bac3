"""Packing documents into rows of equal length, the loss mask, and batches.

`Packed` puts several whole documents into a row. Each is a segment of its own, without attention to the others: it begins
with the end of text, as every prompt does when the model is served, and its positions count from 0. A document longer than a
row continues in another row. `Windows` cuts random stretches from the concatenated documents, as gpt-2-simple does.

Row N depends only on the seed and N, so a resumed run reads the same rows.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from app.engine.tokenizer import Tokenizer
from finetune.data.control_codes import without_code
from finetune.data.prepared import Documents, Role

Learn = Literal["all", "replies", "last"]
LEARNED: dict[Learn, tuple[Role, ...]] = {  # The roles whose tokens count in the loss.
    "all": (Role.TEXT, Role.PROMPT, Role.REPLY),
    "replies": (Role.TEXT, Role.REPLY),
    "last": (Role.TEXT,),
}


class Batch(NamedTuple):
    """Arrays of shape [batch, length].

    `targets` holds the token that follows each of `tokens`, and `weights` is the loss mask: 1 where the target counts. `segments`
    numbers the documents of a row from 1, and 0 is padding. `positions` counts within each document.
    """

    tokens: NDArray[np.int32]
    positions: NDArray[np.int32]
    segments: NDArray[np.int32]
    targets: NDArray[np.int32]
    weights: NDArray[np.float32]

    @property
    def counted(self) -> float:
        """The number of tokens that count in the loss."""
        return float(self.weights.sum())

    def for_keras(self) -> tuple[dict[str, NDArray[Any]], NDArray[np.int32], NDArray[np.float32]]:
        """Inputs, targets and sample weights, as Keras takes them."""
        inputs: dict[str, NDArray[Any]] = {
            "tokens": self.tokens,
            "positions": self.positions,
            "segments": self.segments,
        }
        return inputs, self.targets, self.weights


class Rows(Protocol):
    """An endless sequence of rows with random access."""

    def row(self, number: int) -> Batch:
        """Row `number`, counted from 0, as a batch of one."""
        ...


def batch(rows: Rows, number: int, size: int) -> Batch:
    """Batch `number`, counted from 0."""
    return side_by_side([rows.row(number * size + index) for index in range(size)])


def side_by_side(rows: Sequence[Batch]) -> Batch:
    """Concatenate batches along the batch axis."""
    tokens, positions, segments, targets, weights = map(np.concatenate, zip(*rows, strict=True))
    return Batch(tokens, positions, segments, targets, weights)


class DocumentSpan(NamedTuple):
    """Tokens start:stop of a document."""

    document: int
    start: int
    stop: int


class Packed:
    """Rows of whole documents, shuffled again in each epoch.

    `end` is the id of the end of text. In each epoch, each document's control code is dropped with the probability
    `ignore_meta`; `tokenizer` writes what is left as a document without a code.
    """

    def __init__(
        self,
        documents: Documents,
        end: int,
        length: int,
        seed: int = 0,
        learn: Learn = "all",
        ignore_meta: float = 0.0,
        tokenizer: Tokenizer | None = None,
    ) -> None:
        self.documents = documents
        self.end = end
        self.length = length
        self.seed = seed
        self.learned = LEARNED[learn]
        self.ignore_meta = ignore_meta
        self.tokenizer = tokenizer
        self._spans, self._row_ends = pack(documents, length)
        self._epoch, self._order = -1, np.empty(0, np.int64)

    def __len__(self) -> int:
        """The rows of one epoch."""
        return len(self._row_ends)

    def row(self, number: int) -> Batch:
        epoch, index = divmod(number, len(self))
        if epoch != self._epoch:
            self._epoch, self._order = epoch, np.random.default_rng([self.seed, epoch]).permutation(len(self))
        return self.fill(int(self._order[index]), np.random.default_rng([self.seed, number]))

    def in_order(self) -> Iterator[Batch]:
        """Every row once, with all control codes, for validation."""
        for index in range(len(self)):
            yield self.fill(index, None)

    def fill(self, index: int, random: np.random.Generator | None) -> Batch:
        """Row `index` of the packing. Without `random` no control code is dropped."""
        row = empty(self.length)
        at = 0
        start = self._row_ends[index - 1] if index else 0
        for segment, span in enumerate(self._spans[start : self._row_ends[index]], 1):
            at += self.write(row, at, segment, DocumentSpan(*map(int, span)), random)
        return row

    def write(self, row: Batch, at: int, segment: int, span: DocumentSpan, random: np.random.Generator | None) -> int:
        """Write a document, or a part of it, into a row from `at` on. Returns the number of tokens written."""
        tokens, roles = self.documents[span.document]
        start, stop = span.start, span.stop
        if random is not None and self.ignore_meta and random.random() < self.ignore_meta:
            bare = without_code(tokens, roles, self.tokenizer)
            # In the rare document that would get longer, for which the row has no room, the code stays.
            if (dropped := len(tokens) - len(bare[0])) >= 0:
                (tokens, roles), start, stop = bare, max(0, start - dropped), max(0, stop - dropped)
        before = tokens[start - 1] if start else self.end
        tokens, roles = tokens[start:stop], roles[start:stop]
        place = slice(at, at + len(tokens))
        row.targets[0, place] = tokens
        row.tokens[0, place] = [before, *tokens[:-1]]
        row.positions[0, place] = np.arange(len(tokens))
        row.segments[0, place] = segment
        row.weights[0, place] = np.isin(roles, self.learned)
        return len(tokens)


@dataclass(frozen=True)
class Windows:
    """Rows of `length` tokens from a random place in the concatenated documents."""

    documents: Documents
    length: int
    seed: int = 0
    learn: Learn = "all"

    def row(self, number: int) -> Batch:
        tokens, roles = self.documents.tokens, self.documents.roles
        row = empty(self.length)
        start = int(np.random.default_rng([self.seed, number]).integers(max(1, len(tokens) - self.length + 1)))
        window = tokens[start : start + self.length].astype(np.int32)
        used = len(window)
        row.tokens[0, :used] = window
        row.positions[0, :used] = np.arange(used)
        row.segments[0, :used] = 1
        row.targets[0, : used - 1] = window[1:]
        # The token after the window is not read, so the last position has no target, as in gpt-2-simple.
        row.weights[0, : used - 1] = np.isin(roles[start + 1 : start + used], LEARNED[self.learn])
        return row


def empty(length: int) -> Batch:
    """A row of padding."""
    tokens, positions, segments, targets = np.zeros((4, 1, length), np.int32)
    return Batch(tokens, positions, segments, targets, np.zeros((1, length), np.float32))


def pack(documents: Documents, length: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Distribute documents over rows by best-fit decreasing: longest first, each into the fullest row with enough room.

    Returns spans [n, 3] (document, start, stop), sorted by row, and the index in them at which each row ends.
    """
    spans = spans_of(documents, length)
    rows: list[list[int]] = []
    by_room: dict[int, list[int]] = {}
    rooms: list[int] = []  # The keys of `by_room`, sorted.
    sizes = spans[:, 2] - spans[:, 1]
    for number in np.argsort(-sizes, kind="stable").tolist():
        size = int(sizes[number])
        fits = bisect_left(rooms, size)
        room = rooms[fits] if fits < len(rooms) else length
        if fits < len(rooms):
            row = by_room[room].pop()
            if not by_room[room]:
                del by_room[room], rooms[fits]
        else:
            row = len(rows)
            rows.append([])
        rows[row].append(number)
        if room > size:
            if room - size not in by_room:
                insort(rooms, room - size)
            by_room.setdefault(room - size, []).append(row)
    order = [number for row in rows for number in row]
    return spans[order], np.cumsum([len(row) for row in rows], dtype=np.int64)


def spans_of(documents: Documents, length: int) -> NDArray[np.int64]:
    """Cut documents into spans of at most `length` tokens: [n, 3], document, start and stop."""
    sizes = np.diff(documents.ends, prepend=0)
    counts = -(-sizes // length)
    document = np.repeat(np.arange(len(sizes)), counts)
    within = np.arange(len(document)) - np.repeat(np.cumsum(counts) - counts, counts)
    start = within * length
    return np.stack([document, start, np.minimum(start + length, sizes[document])], axis=1)
