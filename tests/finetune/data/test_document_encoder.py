"""Documents that are encoded together have the tokens that each has by itself."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engine.tokenizer import Tokenizer
from finetune.data import word_table
from finetune.data.document_block import DocumentBlock
from finetune.data.document_encoder import DocumentEncoder
from finetune.data.documents import Document, Part, from_turns
from finetune.data.prepared import Role
from tests.conftest import ROOT

TOKENIZER = Tokenizer.from_file(ROOT / "models/starter/tokenizer.json")
ENCODER = DocumentEncoder(TOKENIZER)
SPACES = [character for character in map(chr, range(sys.maxunicode + 1)) if character.isspace()]
pieces = st.sampled_from(
    [*SPACES, *["  ", " ", "a", "the", "'s", "'", "é", "…", "你好", "😂", "1984", "<|endoftext|>", "\x00", "\u180e"]]
)
texts = st.lists(pieces, min_size=1, max_size=12).map("".join)
parts = st.builds(Part, st.sampled_from(Role), texts, st.booleans())
documents = st.lists(st.lists(parts, min_size=1, max_size=3).map(tuple), min_size=1, max_size=8)


def check(block: Sequence[Document], encoder: DocumentEncoder) -> None:
    tokens, roles, lengths = encoder.encode(DocumentBlock.of(block))
    expected = [
        (token, part.role)
        for document in block
        for part in document
        for token in TOKENIZER.encode(part.text) + [TOKENIZER.end_of_text] * part.ends
    ]
    assert list(zip(tokens.tolist(), roles.tolist(), strict=True)) == expected
    assert lengths.tolist() == [
        sum(len(TOKENIZER.encode(part.text)) + part.ends for part in document) for document in block
    ]


@given(documents)
def test_tokens_are_those_of_each_part(block: list[Document]) -> None:
    check(block, ENCODER)


@given(documents)
def test_tokens_of_words_that_repeat_are_those_of_each_part(block: list[Document]) -> None:
    """So many repetitions that words are looked up, even those of one document."""
    check(block * 20, ENCODER)


def test_a_text_may_be_cut_before_a_space_whatever_stands_before_and_behind() -> None:
    words = ["a", " ", "  ", "\n", "'", "1", "…"]
    said = [f"{left}{space}{right}{end}" for space in SPACES for left in words for right in words for end in ("", "b")]
    check([(Part(Role.TEXT, text),) for text in said] * 2, ENCODER)


def test_a_table_that_is_full_starts_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(word_table, "MOST_WORDS", 3)
    encoder = DocumentEncoder(TOKENIZER)
    for turns in (["why did the duck"], ["cross the road"], ["it had a bill", "why did the duck"]):
        check([from_turns(turns, "code", "chat")] * 5, encoder)
