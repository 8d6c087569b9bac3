"""Rows hold every token once, keep documents apart, and are the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.engine.templates import Template
from app.engine.tokenizer import Tokenizer
from finetune.data.control_codes import without_code
from finetune.data.documents import from_turns
from finetune.data.packing import Batch, Packed, Windows, batch
from finetune.data.prepared import Documents, Role
from tests.conftest import ROOT

END = 99


def documents(*lengths: int, meta: int = 0) -> Documents:
    """Documents of these lengths. All tokens differ but the last, END; the first `meta` of each document are a control code."""
    tokens, roles, ends, at = [], [], [], 100
    for length in lengths:
        tokens += [*range(at, at + length - 1), END]
        roles += [Role.META] * meta + [Role.TEXT] * (length - meta)
        ends.append(len(tokens))
        at += length
    return Documents(np.array(tokens, np.uint32), np.array(roles, np.uint8), np.array(ends, np.int64))


def test_every_token_is_a_target_exactly_once() -> None:
    packed = Packed(documents(3, 20, 5, 8, 1, 7, 64), END, length=16)
    learned = [token for row in packed.in_order() for token in row.targets[row.weights > 0].tolist()]
    assert sorted(learned) == sorted(packed.documents.tokens.tolist())


def test_a_document_begins_with_the_end_of_text_and_at_position_0() -> None:
    """As every prompt does when the model is served."""
    (row,) = Packed(documents(4, 6), END, length=10).in_order()
    starts = row.positions[0] == 0
    assert starts.sum() == 2
    assert (row.tokens[0][starts] == END).all()
    assert [row.positions[0][row.segments[0] == number].tolist() for number in (1, 2)] == [[*range(6)], [*range(4)]]


def test_the_target_of_a_token_is_the_one_that_follows() -> None:
    for row in Packed(documents(4, 6, 30), END, length=10).in_order():
        for number in range(1, int(row.segments.max()) + 1):
            here = row.segments[0] == number
            assert row.tokens[0][here][1:].tolist() == row.targets[0][here][:-1].tolist()


def test_a_document_longer_than_a_row_continues_in_another() -> None:
    rows = list(Packed(documents(25), END, length=10).in_order())
    assert len(rows) == 3
    assert rows[1].tokens[0, 0] == rows[0].targets[0, -1]


def test_rows_are_well_filled() -> None:
    sizes = np.random.default_rng(0).integers(3, 30, 400)
    packed = Packed(documents(*sizes.tolist()), END, length=64)
    assert sizes.sum() / (len(packed) * 64) > 0.97


def test_short_documents_are_spread_over_the_rows() -> None:
    """All of the shortest ended up in the last rows, up to 118 in one, which flash attention had to be prepared for."""
    lengths = np.clip(np.random.default_rng(0).lognormal(4.1, 0.8, 4000), 2, 1024).astype(int)
    packed = Packed(documents(*lengths.tolist()), END, length=1024)
    assert packed.segments <= 2.5 * len(lengths) / len(packed)
    assert len(packed) <= 1.01 * lengths.sum() / 1024


def test_each_epoch_has_every_row_once_in_another_order() -> None:
    packed = Packed(documents(*range(2, 40)), END, length=40, seed=3)
    first, second = (
        [packed.read(number + start, 1).targets.tobytes() for number in range(len(packed))]
        for start in (0, len(packed))
    )
    assert sorted(first) == sorted(second)
    assert first != second


def test_a_row_depends_only_on_the_seed_and_its_number() -> None:
    texts = documents(*range(2, 40), meta=1)
    one, other = (Packed(texts, END, 40, seed=3, ignore_meta=0.5) for _ in range(2))
    for number in (70, 5, 19):
        other.read(number + 1, 1)
        assert np.array_equal(one.read(number, 1).targets, other.read(number, 1).targets)


def test_a_control_code_never_counts_in_the_loss_and_is_dropped_as_often_as_asked() -> None:
    packed = Packed(documents(*[8] * 200, meta=2), END, length=8, ignore_meta=0.3)
    lengths = [int((packed.read(number, 1).segments > 0).sum()) for number in range(len(packed))]
    assert set(lengths) == {6, 8}
    assert 0.2 < lengths.count(6) / len(lengths) < 0.4
    whole = next(packed.in_order())
    assert whole.weights[0].tolist() == [0, 0, 1, 1, 1, 1, 1, 1]


STARTER = Tokenizer.from_file(ROOT / "models/starter/tokenizer.json")
TEMPLATES: list[Template] = ["text", "qa", "chat"]
said = (st.text(max_size=20) | st.sampled_from(["Why?", "it's", "'s", "¿Qué?", "鸭子", "[QUESTION]"])).filter(str.strip)


def tokenized(turns: list[str], meta: str, template: Template) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    tokens: list[int] = []
    roles: list[int] = []
    for part in from_turns(turns, meta, template):
        new = STARTER.encode(part.text) + [STARTER.end_of_text or 0] * part.ends
        tokens, roles = tokens + new, roles + [part.role] * len(new)
    return np.array(tokens, np.int32), np.array(roles, np.uint8)


def packed_without_code(coded: tuple[NDArray[np.int32], NDArray[np.uint8]], length: int) -> list[Batch]:
    tokens, roles = coded
    documents = Documents(tokens.astype(np.uint16), roles, np.array([len(tokens)], np.int64))
    packed = Packed(documents, END, length, ignore_meta=1.0, tokenizer=STARTER)
    return [packed.read(number, 1) for number in range(len(packed))]


@given(turns=st.lists(said, min_size=1, max_size=4), code=said)
def test_a_document_without_its_code_is_as_if_it_never_had_one(turns: list[str], code: str) -> None:
    """The space after the code once stayed, and a prompt, which begins without one, had tokens that were never trained."""
    for template in TEMPLATES:
        tokens, roles = without_code(*tokenized(turns, code, template), STARTER)
        wanted = tokenized(turns, "", template)
        assert (tokens.tolist(), roles.tolist()) == (wanted[0].tolist(), wanted[1].tolist())


@pytest.mark.parametrize("length", [8, 64])
@pytest.mark.parametrize("template", TEMPLATES)
def test_a_row_without_codes_has_the_tokens_of_documents_without_codes(template: Template, length: int) -> None:
    """Also in a document that is longer than a row."""
    turns = ["Why did the duck cross the road?", "It had a bill to pay."]
    rows = packed_without_code(tokenized(turns, "code", template), length)
    bare = tokenized(turns, "", template)[0].tolist()
    assert sorted(token for row in rows for token in row.targets[row.segments > 0].tolist()) == sorted(bare)
    (first,) = (row for row in rows if row.targets[0, :3].tolist() == bare[:3])
    assert first.tokens[0, 0] == END


def test_a_code_stays_where_the_document_would_be_too_long_for_its_row_without_it() -> None:
    """The word without its space has more tokens than it has with the space and the code together."""
    coded = tokenized(["babysitter"], "a", "text")
    assert len(coded[0]) < len(tokenized(["babysitter"], "", "text")[0])
    (row,) = packed_without_code(coded, len(coded[0]))
    assert row.targets[0].tolist() == coded[0].tolist()


@pytest.mark.parametrize(("learn", "learned"), [("all", [1, 1, 1]), ("replies", [0, 1, 1]), ("last", [0, 0, 1])])
def test_the_chosen_turns_count_in_the_loss(learn: str, learned: list[int]) -> None:
    roles = np.array([Role.PROMPT, Role.REPLY, Role.TEXT], np.uint8)
    turns = Documents(np.array([1, 2, END], np.uint16), roles, np.array([3], np.int64))
    assert next(Packed(turns, END, 3, learn=learn).in_order()).weights[0].tolist() == learned  # type: ignore[arg-type]


def test_a_window_is_a_stretch_of_the_text_across_documents() -> None:
    texts = documents(3, 5, 30)
    row = Windows(texts, length=16, seed=1).read(4, 1)
    start = texts.tokens.tolist().index(int(row.tokens[0, 0]))
    assert row.tokens[0].tolist() == texts.tokens[start : start + 16].tolist()
    assert row.weights[0].tolist() == [1] * 15 + [0]
    assert set(row.segments[0].tolist()) == {1}


def test_text_shorter_than_a_window_is_padded() -> None:
    row = Windows(documents(5), length=16).read(0, 1)
    assert row.segments[0].tolist() == [1] * 5 + [0] * 11
    assert row.weights[0].sum() == 4


def test_a_batch_is_its_rows() -> None:
    packed = Packed(documents(*range(2, 40)), END, length=40)
    assert np.array_equal(
        batch(packed, 2, 3).targets, np.concatenate([packed.read(row, 1).targets for row in (6, 7, 8)])
    )
