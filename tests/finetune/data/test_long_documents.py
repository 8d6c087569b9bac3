"""A long document is one document, though it is compared and held out in stretches."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.engine.tokenizer import END_OF_TEXT
from finetune.commands.prepare import prepare
from finetune.data.long_documents import LONGEST_TEXT, STRETCH, Stretch, split_text, stretches_of
from finetune.data.prepared import Data, Role, open_data, texts_of
from finetune.data.sources import BORDERS
from finetune.data.text_encoding import BLOCK
from tests.finetune.data.reading import read, written


def book(paragraphs: int, seed: int = 1) -> str:
    """A text of paragraphs of many lengths, no two of them alike."""
    chance = random.Random(seed)
    return "\n\n".join(
        f"{number}. {' '.join(f'w{chance.randrange(3000)}' for _ in range(chance.randrange(20, 120)))}"
        for number in range(paragraphs)
    )


BOOK = book(400)
MARKED = "<|startoftext|>One.<|endoftext|>\n<|startoftext|>Two.<|endoftext|>\n"


def prepared(folder: Path, *texts: str, **options: Any) -> Data:
    paths = [str(written(folder / f"{number}.txt", text)) for number, text in enumerate(texts)]
    prepare(paths, out=folder / "data", **dict[str, Any](vocabulary_size=300, validation=0.0) | options)
    return open_data(folder / "data")


@pytest.mark.parametrize("size", range(1, 40))
def test_a_mark_on_the_border_of_two_blocks_is_a_mark(size: int) -> None:
    blocks = [MARKED[start : start + size] for start in range(0, len(MARKED), size)]
    assert list(split_text(blocks, BORDERS["marks"])) == [Stretch("One."), Stretch("Two.")]


@pytest.mark.parametrize("size", [777, 2 * STRETCH, BLOCK])
def test_a_text_is_cut_at_the_same_places_in_whatever_blocks_it_comes(size: int) -> None:
    text = f"  \n{BOOK}{END_OF_TEXT}Short.{END_OF_TEXT}{BOOK[::-1]}"
    blocks = [text[start : start + size] for start in range(0, len(text), size)]
    assert list(split_text(blocks, BORDERS["marks"])) == list(split_text([text], BORDERS["marks"]))


def test_a_long_text_is_cut_between_paragraphs_and_nothing_is_lost() -> None:
    stretches = list(stretches_of(BOOK))
    assert "".join(stretch.text for stretch in stretches) == BOOK
    assert all(stretch.text.startswith("\n\n") for stretch in stretches[1:])
    assert [stretch.first for stretch in stretches] == [True] + [False] * (len(stretches) - 1)
    assert [stretch.last for stretch in stretches] == [False] * (len(stretches) - 1) + [True]
    assert all(STRETCH / 2 <= len(stretch.text) <= STRETCH for stretch in stretches[:-1])


def test_a_text_without_a_space_is_cut_all_the_same(tmp_path: Path) -> None:
    text = "".join(map(str, range(300_000)))
    assert read(written(tmp_path / "a.txt", f"{text}{END_OF_TEXT}Two.")) == [text, "Two."]


def test_another_beginning_moves_few_of_the_places() -> None:
    """So that a document whose front page changed stays in its split, and is known as a copy."""
    one, other = ({stretch.text for stretch in stretches_of(text)} for text in (BOOK, f"A new front page.\n\n{BOOK}"))
    assert len(one & other) > len(one) - 5


def test_one_text_is_one_document_with_one_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It was cut into stretches of 64 KB, and each counted as a document with an end of its own."""
    data = prepared(tmp_path, BOOK)
    assert (data.description.read, data.description.documents) == (1, {"train": 1, "validation": 0})
    assert list(texts_of(data, "train")) == [BOOK]
    end = data.description.end_of_text
    assert data.train.tokens.tolist() == [*data.tokenizer.encode(BOOK), end]
    assert data.description.stretches is None
    assert "1 document" in capsys.readouterr().out


def test_a_text_that_is_as_long_as_a_document_may_be_uncut(tmp_path: Path) -> None:
    text = ("word " * LONGEST_TEXT)[: LONGEST_TEXT - 1]
    assert len(list(stretches_of(text))) == 1
    assert list(texts_of(prepared(tmp_path, text), "train")) == [text.strip()]


def test_stretches_of_one_text_are_held_out(tmp_path: Path) -> None:
    data = prepared(tmp_path, BOOK, validation=0.3)
    held, trained = (list(texts_of(data, split)) for split in ("validation", "train"))
    assert 0.1 < sum(map(len, held)) / len(BOOK) < 0.5
    assert sum(map(len, held + trained)) == len(BOOK)
    assert all(text in BOOK for text in held + trained)
    description = data.description
    assert (description.read, description.documents) == (1, {"train": 1, "validation": 1})
    assert description.stretches == {"train": len(trained), "validation": len(held)}


def test_where_something_was_held_out_an_end_is_put_that_no_model_learns(tmp_path: Path) -> None:
    data = prepared(tmp_path, BOOK, validation=0.1)
    end, ends = data.description.end_of_text, 0
    for split in (data.train, data.validation):
        assert (split.tokens[split.ends - 1] == end).all()
        assert np.count_nonzero(split.tokens == end) == len(split)
        ends += int(np.count_nonzero((split.tokens == end) & (split.roles == Role.TEXT)))
        assert set(split.roles[split.tokens != end].tolist()) == {Role.TEXT}
    assert ends == 1


def test_a_copy_of_a_long_text_is_one_duplicate(tmp_path: Path) -> None:
    data = prepared(tmp_path, BOOK, BOOK, "Short.")
    assert list(texts_of(data, "train")) == [BOOK, "Short."]
    assert data.description.dropped == {"empty": 0, "duplicate": 1, "near duplicate": 0, "too short": 0}


def test_of_another_edition_only_what_is_new_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chapter = book(40, seed=3)
    data = prepared(tmp_path, BOOK, BOOK.replace("\n\n200. ", f"\n\n{chapter}\n\n200. "))
    first, new = texts_of(data, "train")
    assert first == BOOK
    assert chapter in new
    assert len(new) < len(chapter) + 4 * STRETCH
    assert (data.description.read, data.description.documents["train"]) == (2, 2)
    assert data.description.dropped["repeated stretch"] > 20
    assert "repeated stretch" in capsys.readouterr().out


def test_a_long_text_grows_without_changing_its_split(tmp_path: Path) -> None:
    before = set(texts_of(prepared(tmp_path, BOOK, validation=0.1), "validation"))
    after = set(texts_of(prepared(tmp_path, f"{BOOK}\n\n{book(200, seed=2)}", validation=0.1), "validation"))
    assert len(before & after) >= len(before) - 1
