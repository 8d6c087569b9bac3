"""Documents → rows of a fixed length → batches, the same for the same seed, from any batch on.

`Packed` puts whole documents side by side in a row. Each is a segment of its own: it begins with the end of text, as every
prompt does when the model is served, its positions count from 0, and it sees nothing of its neighbors. A document longer
than a row goes on in another. `Windows` are gpt-2-simple's: any stretch of the documents one after another, borders ignored.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from finetune.data.prepared import Documents, Role

Learn = Literal["all", "replies", "last"]
LEARNED: dict[Learn, tuple[Role, ...]] = {
    "all": (Role.TEXT, Role.PROMPT, Role.REPLY),
    "replies": (Role.TEXT, Role.REPLY),
    "last": (Role.TEXT,),
}


class Batch(NamedTuple):
    """Arrays [batch, length]. Position i of `targets` follows position i of `tokens`; `weights` says how much it counts.

    `segments` number the documents of a row from 1, 0 being padding; `positions` count within each.
    """

    tokens: NDArray[np.int32]
    positions: NDArray[np.int32]
    segments: NDArray[np.int32]
    targets: NDArray[np.int32]
    weights: NDArray[np.float32]

    @property
    def counted(self) -> float:
        """How many tokens are learned from."""
        return float(self.weights.sum())

    def for_keras(self) -> tuple[dict[str, NDArray[np.int32]], NDArray[np.int32], NDArray[np.float32]]:
        inputs = {"tokens": self.tokens, "positions": self.positions, "segments": self.segments}
        return inputs, self.targets, self.weights


class Rows(Protocol):
    """An endless series of rows, each to be had by its number."""

    def row(self, number: int) -> Batch:
        """A batch of one."""
        ...


def batch(rows: Rows, number: int, size: int) -> Batch:
    """Batch `number` of the series, counted from 0."""
    return side_by_side([rows.row(number * size + index) for index in range(size)])


def side_by_side(rows: Sequence[Batch]) -> Batch:
    tokens, positions, segments, targets, weights = map(np.concatenate, zip(*rows, strict=True))
    return Batch(tokens, positions, segments, targets, weights)


class Piece(NamedTuple):
    """Tokens start:stop of a document."""

    document: int
    start: int
    stop: int


class Packed:
    """`ignore_meta` is the share of documents whose control code is left out, a new choice each time round."""

    def __init__(
        self,
        documents: Documents,
        end: int,
        length: int,
        seed: int = 0,
        learn: Learn = "all",
        ignore_meta: float = 0.0,
    ) -> None:
        self.documents = documents
        self.end = end
        self.length = length
        self.seed = seed
        self.learned = LEARNED[learn]
        self.ignore_meta = ignore_meta
        self._pieces, self._borders = pack(documents, length)
        self._epoch, self._order = -1, np.empty(0, np.int64)

    def __len__(self) -> int:
        """Rows that hold every document once."""
        return len(self._borders)

    def row(self, number: int) -> Batch:
        epoch, place = divmod(number, len(self))
        if epoch != self._epoch:
            self._epoch, self._order = epoch, np.random.default_rng([self.seed, epoch]).permutation(len(self))
        return self.fill(int(self._order[place]), np.random.default_rng([self.seed, number]))

    def in_order(self) -> Iterator[Batch]:
        """Every row once, none of its control codes left out."""
        for index in range(len(self)):
            yield self.fill(index, None)

    def fill(self, index: int, chance: np.random.Generator | None) -> Batch:
        row = empty(self.length)
        at = 0
        start = self._borders[index - 1] if index else 0
        for segment, piece in enumerate(self._pieces[start : self._borders[index]], 1):
            at += self.write(row, at, segment, Piece(*map(int, piece)), chance)
        return row

    def write(self, row: Batch, at: int, segment: int, piece: Piece, chance: np.random.Generator | None) -> int:
        """Write a piece into a row. Returns its length."""
        tokens, roles = self.documents[piece.document]
        before = self.end if piece.start == 0 else tokens[piece.start - 1]
        tokens, roles = tokens[piece.start : piece.stop], roles[piece.start : piece.stop]
        if chance is not None and self.ignore_meta and chance.random() < self.ignore_meta:
            tokens, roles = tokens[roles != Role.META], roles[roles != Role.META]
        place = slice(at, at + len(tokens))
        row.targets[0, place] = tokens
        row.tokens[0, place] = [before, *tokens[:-1]]
        row.positions[0, place] = np.arange(len(tokens))
        row.segments[0, place] = segment
        row.weights[0, place] = np.isin(roles, self.learned)
        return len(tokens)


@dataclass(frozen=True)
class Windows:
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
        # The token after the window is not in it, so the last place learns nothing, as in gpt-2-simple.
        row.weights[0, : used - 1] = np.isin(roles[start + 1 : start + used], LEARNED[self.learn])
        return row


def empty(length: int) -> Batch:
    tokens, positions, segments, targets = np.zeros((4, 1, length), np.int32)
    return Batch(tokens, positions, segments, targets, np.zeros((1, length), np.float32))


def pack(documents: Documents, length: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Divide documents among rows, the longest pieces first, each into the fullest row that has room for it.

    Returns pieces [n, 3], sorted by row, and where in these each row ends.
    """
    pieces = pieces_of(documents, length)
    rows: list[list[int]] = []
    by_room: dict[int, list[int]] = {}
    rooms: list[int] = []  # The keys of `by_room`, sorted.
    sizes = pieces[:, 2] - pieces[:, 1]
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
    return pieces[order], np.cumsum([len(row) for row in rows], dtype=np.int64)


def pieces_of(documents: Documents, length: int) -> NDArray[np.int64]:
    """[n, 3]: which document, from where in it to where. None is longer than `length`."""
    sizes = np.diff(documents.ends, prepend=0)
    counts = -(-sizes // length)
    document = np.repeat(np.arange(len(sizes)), counts)
    within = np.arange(len(document)) - np.repeat(np.cumsum(counts) - counts, counts)
    start = within * length
    return np.stack([document, start, np.minimum(start + length, sizes[document])], axis=1)
