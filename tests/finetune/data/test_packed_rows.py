"""Rows that are filled at once equal rows that are filled document by document."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engine.tokenizer import Tokenizer
from finetune.data.control_codes import without_code
from finetune.data.packing import LEARNED, Batch, Learn, Packed, Windows, batch, pack
from finetune.data.prepared import Documents, Role
from tests.conftest import ROOT

END = 3
SEED = 5
STARTER = Tokenizer.from_file(ROOT / "models/starter/tokenizer.json")


class OneByOne:
    """A batch of packed rows that is written document by document."""

    def __init__(self, documents: Documents, length: int, learn: Learn, dropping: float, tokenizer: Any) -> None:
        self.documents = documents
        self.length = length
        self.learned = LEARNED[learn]
        self.dropping = dropping
        self.tokenizer = tokenizer
        self.spans, self.row_ends = pack(documents, length)

    def batch(self, number: int, size: int) -> Batch:
        rows = [self.row(number * size + index) for index in range(size)]
        return Batch(*map(np.stack, zip(*rows, strict=True)))

    def row(self, number: int) -> list[Any]:
        epoch, place = divmod(number, len(self.row_ends))
        index = int(np.random.default_rng([SEED, epoch]).permutation(len(self.row_ends))[place])
        random = np.random.default_rng([SEED, number])
        row = [np.zeros(self.length, kind) for kind in ("int32", "int32", "int32", "int32", "float32")]
        at = 0
        for segment, span in enumerate(self.spans[self.row_ends[index - 1] if index else 0 : self.row_ends[index]], 1):
            at += self.write(row, at, segment, span.tolist(), dropping=bool(random.random() < self.dropping))
        return row

    def write(self, row: list[Any], at: int, segment: int, span: list[int], dropping: bool) -> int:
        document, start, stop = span
        text, roles = self.documents[document]
        if dropping:
            bare = without_code(text, roles, self.tokenizer)
            if (dropped := len(text) - len(bare[0])) >= 0:
                (text, roles), start, stop = bare, max(0, start - dropped), max(0, stop - dropped)
        whole = [END, *text]
        for place, token in enumerate(range(start, min(stop, len(text)))):
            values = whole[token], place, segment, text[token], roles[token] in self.learned
            for array, value in zip(row, values, strict=True):
                array[at + place] = value
        return max(0, min(stop, len(text)) - start)


def corpus(seed: int, count: int) -> Documents:
    """Random documents, most with a control code, and some with turns."""
    random = np.random.default_rng(seed)
    sizes = random.integers(1, 50, count)
    roles = []
    for size in sizes.tolist():
        code, prompt = sorted(random.integers(0, size, 2).tolist())
        kinds = [Role.META] * code + [Role.PROMPT] * (prompt - code) + [Role.REPLY, Role.TEXT] * size
        roles += [*kinds[: size - 1], Role.TEXT]
    tokens = random.integers(0, 256, len(roles)).astype(np.uint16)
    return Documents(tokens, np.array(roles, np.uint8), np.cumsum(sizes))


def assert_same(one: Batch, other: Batch) -> None:
    for name, left, right in zip(one._fields, one, other, strict=True):
        assert (left.dtype, left.shape) == (right.dtype, right.shape), name
        assert np.array_equal(left, right), name


@given(
    st.integers(0, 10**6),
    st.integers(1, 30),
    st.integers(2, 40),
    st.sampled_from(["all", "replies", "last"]),
    st.sampled_from([0.0, 0.5, 1.0]),
    st.sampled_from([None, STARTER]),
)
def test_packed_rows(
    seed: int, count: int, length: int, learn: Learn, dropping: float, tokenizer: Tokenizer | None
) -> None:
    """Also across epochs, which end within a batch, and where documents lose their control codes."""
    documents = corpus(seed, count)
    at_once = Packed(documents, END, length, SEED, learn, dropping, tokenizer)
    one_by_one = OneByOne(documents, length, learn, dropping, tokenizer)
    for number in (0, 1, 2, 9):
        assert_same(batch(at_once, number, 5), one_by_one.batch(number, 5))


@given(st.integers(0, 10**6), st.integers(1, 30), st.integers(2, 80), st.sampled_from(["all", "replies", "last"]))
def test_windows(seed: int, count: int, length: int, learn: Learn) -> None:
    documents = corpus(seed, count)
    rows = Windows(documents, length, SEED, learn)
    found = batch(rows, 2, 3)
    for row, number in enumerate((6, 7, 8)):
        place = np.random.default_rng([SEED, number]).integers(max(1, len(documents.tokens) - length + 1))
        window = documents.tokens[place : place + length].tolist()
        counted = [role in LEARNED[learn] for role in documents.roles[place + 1 : place + len(window)]]
        padding = [0] * (length - len(window))
        assert found.tokens[row].tolist() == window + padding
        assert found.positions[row].tolist() == [*range(len(window)), *padding]
        assert found.segments[row].tolist() == [1] * len(window) + padding
        assert found.targets[row].tolist() == [*window[1:], 0, *padding]
        assert found.weights[row].tolist() == [*counted, 0, *padding]


@pytest.mark.parametrize("size", [1, 3, 100])
def test_rows_in_order_are_padded_to_whole_batches(size: int) -> None:
    packed = Packed(corpus(0, 30), END, 40)
    batches = list(packed.in_order(size))
    assert {len(each.tokens) for each in batches} == {size}
    rows = np.concatenate([each.targets for each in batches])
    assert np.array_equal(rows[: len(packed)], np.concatenate([row.targets for row in packed.in_order()]))
    assert not rows[len(packed) :].any()


def test_segments_are_the_most_documents_of_a_row() -> None:
    packed = Packed(corpus(0, 30), END, 40)
    assert packed.segments == max(int(row.segments.max()) for row in packed.in_order())
    assert Windows(corpus(0, 30), 40).segments == 1
