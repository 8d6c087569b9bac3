"""Copies are marked inside a text, and no character is lost between two pieces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from app.engine.checkpoint_folder import open_checkpoint
from finetune.evaluation.copy_marks import MarkedPiece, copied_tokens, mark_copies
from finetune.evaluation.copying import longest_matches
from finetune.evaluation.passages import Passage
from finetune.evaluation.surprise import MostSurprising

END = 299


def test_a_copy_is_marked_within_its_text(checkpoint: Path) -> None:
    tokenizer = open_checkpoint(checkpoint).tokenizer
    training = [*tokenizer.encode("the duck had a bill to pay"), END]
    written = tokenizer.encode("Here a bill to pay is not.")
    passage = Passage(np.array(written, np.int32), ended=True)
    (match,) = longest_matches([passage], np.array(training), END)
    pieces = mark_copies(passage, copied_tokens(passage, match, 4), tokenizer)
    assert "".join(piece.text for piece in pieces) == "Here a bill to pay is not."
    assert MarkedPiece(" a bill to pay", copied=True) in pieces
    assert not pieces[0].copied


@pytest.mark.parametrize("border", range(1, 8))
def test_a_character_of_several_tokens_stays_whole(border: int, checkpoint: Path) -> None:
    """The tiny vocabulary spells an emoji in single bytes, and a copy may begin in the middle of it."""
    tokenizer = open_checkpoint(checkpoint).tokenizer
    tokens = np.array(tokenizer.encode("a🦆é🦆"), np.int32)
    copied = np.arange(len(tokens)) >= border
    pieces = mark_copies(Passage(tokens, ended=True), copied, tokenizer)
    assert "".join(piece.text for piece in pieces) == "a🦆é🦆"


def test_an_empty_text_has_no_pieces(checkpoint: Path) -> None:
    tokenizer = open_checkpoint(checkpoint).tokenizer
    assert mark_copies(Passage(np.zeros(0, np.int32), ended=True), np.zeros(0, np.bool_), tokenizer) == []


def test_the_most_surprising_passages_are_kept(checkpoint: Path) -> None:
    tokenizer = open_checkpoint(checkpoint).tokenizer
    tokens = np.array([*tokenizer.encode("Why did the duck cross the road?")[:9], END], np.int32)
    found = MostSurprising()
    for nats in (1, 9, 3, 8, 5, 7, 2):
        found.add(tokens, np.full(len(tokens), nats, np.float32))
    found.add(tokens[:3], np.full(3, 99, np.float32))
    passages = found.passages(tokenizer, END)
    assert [passage.nats for passage in passages] == [9, 8, 7, 5, 3]
    assert passages[0].tokens[-1].text == "∎"
