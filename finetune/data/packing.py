"""Packing documents into rows of equal length, the loss mask, and batches.

`Packed` puts several whole documents into a row. Each is a segment of its own, without attention to the others: it begins
with the end of text, as every prompt does when the model is served, and its positions count from 0. A document longer than a
row continues in another row. `Windows` cuts random stretches from the concatenated documents, as gpt-2-simple does.

Row N depends only on the seed and N, so a resumed run reads the same rows.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
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

    @property
    def segments(self) -> int:
        """The most documents in any row."""
        ...

    def read(self, first: int, count: int) -> Batch:
        """`count` rows, from number `first` on, counted from 0."""
        ...


def batch(rows: Rows, number: int, size: int) -> Batch:
    """Batch `number`, counted from 0."""
    return rows.read(number * size, size)


class DocumentSpan(NamedTuple):
    """Tokens start:stop of a document."""

    document: int
    start: int
    stop: int


class SpanText(NamedTuple):
    """The tokens of a span and their roles, and the token before them."""

    before: int
    tokens: NDArray[np.int32]
    roles: NDArray[np.uint8]


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
        self._spans, row_ends = pack(documents, length)
        self._spans_in = np.diff(row_ends, prepend=0)
        self._first_span = row_ends - self._spans_in
        self._document_starts = np.concatenate([[0], documents.ends])
        self._epoch, self._order = -1, np.empty(0, np.int64)

    def __len__(self) -> int:
        """The rows of one epoch."""
        return len(self._spans_in)

    @property
    def segments(self) -> int:
        return int(self._spans_in.max(initial=0))

    def read(self, first: int, count: int) -> Batch:
        numbers = np.arange(first, first + count)
        epochs, places = np.divmod(numbers, len(self))
        indices = np.concatenate([self.order(epoch)[places[epochs == epoch]] for epoch in np.unique(epochs).tolist()])
        return self.fill(indices, self.dropped(numbers, indices) if self.ignore_meta else None)

    def order(self, epoch: int) -> NDArray[np.int64]:
        """The indices of the rows in the order of an epoch."""
        if epoch != self._epoch:
            self._epoch, self._order = epoch, np.random.default_rng([self.seed, epoch]).permutation(len(self))
        return self._order

    def dropped(self, numbers: NDArray[np.int64], indices: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether each span of these rows loses its control code."""
        rows = zip(numbers.tolist(), self._spans_in[indices].tolist(), strict=True)
        drawn = np.concatenate([np.random.default_rng([self.seed, number]).random(spans) for number, spans in rows])
        return drawn < self.ignore_meta

    def in_order(self, size: int = 1) -> Iterator[Batch]:
        """Every row once, with all control codes, for validation: in batches of `size`, the last one padded."""
        for first in range(0, len(self), size):
            yield self.fill(np.arange(first, min(first + size, len(self))), size=size)

    def fill(self, indices: NDArray[np.int64], dropped: NDArray[np.bool_] | None = None, size: int = 0) -> Batch:
        """Rows of the packing by their indices, padded to `size` rows. Without `dropped` no control code is dropped.

        One gather reads all documents of all rows. Only those without their codes are written one by one.
        """
        counts = self._spans_in[indices]
        spans = self._spans[ranges(self._first_span[indices], counts)]
        bare = {} if dropped is None else self.bare_texts(spans, np.flatnonzero(dropped))
        sizes = spans[:, 2] - spans[:, 1]
        sizes[list(bare)] = [len(text.tokens) for text in bare.values()]
        tokens, targets, roles = self.gather(spans, sizes, bare)
        row_sizes = np.zeros(max(size, len(indices)), np.int64)
        row_sizes[: len(indices)] = np.add.reduceat(sizes, np.cumsum(counts) - counts)
        batch = empty(len(row_sizes), self.length)
        used = np.arange(self.length) < row_sizes[:, None]
        batch.tokens[used] = tokens
        batch.positions[used] = ranges(np.zeros_like(sizes), sizes)
        batch.segments[used] = np.repeat(ranges(np.ones_like(counts), counts), sizes)
        batch.targets[used] = targets
        batch.weights[used] = np.isin(roles, self.learned)
        return batch

    def gather(
        self, spans: NDArray[np.int64], sizes: NDArray[np.int64], bare: dict[int, SpanText]
    ) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.uint8]]:
        """Tokens, targets and the targets' roles of all spans, concatenated."""
        document, start, _ = spans.T
        begin = self._document_starts[document] + start
        source = ranges(begin, sizes)
        targets, roles = self.documents.tokens[source].astype(np.int32), self.documents.roles[source]
        before = np.where(start > 0, self.documents.tokens[begin - 1], self.end)
        at = np.cumsum(sizes) - sizes
        for index, text in bare.items():
            place = slice(at[index], at[index] + sizes[index])
            before[index], targets[place], roles[place] = text
        tokens = np.roll(targets, 1)
        tokens[at[sizes > 0]] = before[sizes > 0]
        return tokens, targets, roles

    def bare_texts(self, spans: NDArray[np.int64], chosen: NDArray[np.int64]) -> dict[int, SpanText]:
        """The texts of the chosen spans without their documents' control codes, by the spans' indices."""
        texts = ((index, self.bare_text(DocumentSpan(*spans[index].tolist()))) for index in chosen.tolist())
        return {index: text for index, text in texts if text is not None}

    def bare_text(self, span: DocumentSpan) -> SpanText | None:
        """None in the rare document that would get longer, for which the row has no room: its code stays."""
        document = self.documents[span.document]
        tokens, roles = without_code(*document, self.tokenizer)
        if (shorter := len(document[0]) - len(tokens)) < 0:
            return None
        start, stop = max(0, span.start - shorter), max(0, span.stop - shorter)
        return SpanText(int(tokens[start - 1]) if start else self.end, tokens[start:stop], roles[start:stop])


@dataclass(frozen=True)
class Windows:
    """Rows of `length` tokens from a random place in the concatenated documents."""

    documents: Documents
    length: int
    seed: int = 0
    learn: Learn = "all"

    @property
    def segments(self) -> int:
        return 1

    def read(self, first: int, count: int) -> Batch:
        tokens, roles = self.documents.tokens, self.documents.roles
        places, used = max(1, len(tokens) - self.length + 1), min(self.length, len(tokens))
        drawn = [np.random.default_rng([self.seed, number]).integers(places) for number in range(first, first + count)]
        window = np.array(drawn)[:, None] + np.arange(used)
        batch = empty(count, self.length)
        batch.tokens[:, :used] = tokens[window]
        batch.positions[:, :used] = np.arange(used)
        batch.segments[:, :used] = 1
        # The token after the window is not read, so the last position has no target, as in gpt-2-simple.
        batch.targets[:, : used - 1] = batch.tokens[:, 1:used]
        batch.weights[:, : used - 1] = np.isin(roles[window[:, 1:]], LEARNED[self.learn])
        return batch


def empty(rows: int, length: int) -> Batch:
    """Rows of padding."""
    tokens, positions, segments, targets = np.zeros((4, rows, length), np.int32)
    return Batch(tokens, positions, segments, targets, np.zeros((rows, length), np.float32))


def ranges(starts: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Whole numbers from each start on, as many as its size, concatenated."""
    before = np.cumsum(sizes) - sizes
    return np.repeat(starts - before, sizes) + np.arange(sizes.sum(), dtype=np.int64)


def pack(documents: Documents, length: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Distribute documents over rows, each into the fullest row with enough room, in the order of `packing_order`.

    Returns spans [n, 3] (document, start, stop), sorted by row, and the index in them at which each row ends.
    """
    spans = spans_of(documents, length)
    rows: list[list[int]] = []
    by_room: dict[int, list[int]] = {}
    rooms: list[int] = []  # The keys of `by_room`, sorted.
    sizes = spans[:, 2] - spans[:, 1]
    for number in packing_order(sizes, length).tolist():
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


def packing_order(sizes: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """The long ones first, longest first; then those below a quarter of a row as they come by chance.

    Longest first throughout would leave as little room, and end with rows of nothing but the shortest documents: a hundred in
    a row where the mean is twelve.
    """
    longest_first = np.argsort(-sizes, kind="stable")
    long = sizes[longest_first] >= length // 4
    return np.concatenate([longest_first[long], np.random.default_rng(0).permutation(longest_first[~long])])


def spans_of(documents: Documents, length: int) -> NDArray[np.int64]:
    """Cut documents into spans of at most `length` tokens: [n, 3], document, start and stop."""
    sizes = np.diff(documents.ends, prepend=0)
    counts = -(-sizes // length)
    document = np.repeat(np.arange(len(sizes)), counts)
    within = np.arange(len(document)) - np.repeat(np.cumsum(counts) - counts, counts)
    start = within * length
    return np.stack([document, start, np.minimum(start + length, sizes[document])], axis=1)
