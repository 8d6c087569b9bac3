"""Archives of gpt-2-simple's encode_dataset are decoded into text again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from app.engine.tokenizer import Tokenizer
from app.errors import DataError
from finetune.data.vocabulary import learn_vocabulary
from tests.conftest import TEXTS
from tests.finetune.data.reading import read, written


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    folder = tmp_path_factory.mktemp("vocabulary")
    learn_vocabulary(folder, TEXTS, size=300)
    return Tokenizer.from_gpt2(folder)


def test_an_archive_of_gpt_2_simple_is_read_back(vocabulary: Tokenizer, tmp_path: Path) -> None:
    """Its marks are seven ordinary tokens each; the real end of text is a border as well, and so is the end of an array."""
    marked = vocabulary.encode("<|startoftext|>Öne.<|endoftext|>\n<|startoftext|>Two.<|endoftext|>\n")
    real = [*vocabulary.encode("Three."), vocabulary.end_of_text, *vocabulary.encode("Four.")]
    np.savez_compressed(
        tmp_path / "a.npz", np.array(marked), np.array(real, np.uint16), np.array(vocabulary.encode("5"))
    )
    assert read(tmp_path / "a.npz", vocabulary=vocabulary) == ["Öne.", "Two.", "Three.", "Four.", "5"]


def test_an_archive_of_another_vocabulary_is_refused(vocabulary: Tokenizer, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", np.array([1, 40000]))
    with pytest.raises(DataError, match=r"a\.npz holds the token 40000, and the vocabulary has 300: .*--vocabulary"):
        read(tmp_path / "a.npz", vocabulary=vocabulary)
    first_half = next(token for token in range(300) if vocabulary.bytes_of(token) == b"\xc3")
    np.savez(tmp_path / "b.npz", np.array([first_half]))
    with pytest.raises(DataError, match=r"b\.npz is not text in this vocabulary"):
        read(tmp_path / "b.npz", vocabulary=vocabulary)


def test_an_archive_of_something_else_is_refused(vocabulary: Tokenizer, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", np.array([0.5]))
    written(tmp_path / "b.npz", "no archive")
    np.savez(tmp_path / "c.npz", np.array([{}], object))
    for name in "abc":
        with pytest.raises(DataError, match=rf"{name}\.npz was not written by gpt-2-simple's encode_dataset"):
            read(tmp_path / f"{name}.npz", vocabulary=vocabulary)
