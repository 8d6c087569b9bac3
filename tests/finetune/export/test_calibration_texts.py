"""What a model reads while it is rounded: its own training data where it is still there, else what it writes."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from app.engine.bundle import read_manifest
from app.engine.onnx import OnnxEngine
from finetune.commands.export import export
from finetune.commands.prepare import prepare
from finetune.data.prepared import Documents, open_data
from finetune.export.calibration_texts import choose_texts, corpus_texts, sampled_texts
from finetune.run_folder import RunFolder
from tests.conftest import SENTENCES


def test_texts_are_documents_of_the_run(sentence_run: Path) -> None:
    found = corpus_texts(RunFolder(sentence_run).description, 64, tokens=300)
    assert found is not None
    assert found.source == "training data"
    assert 300 <= found.tokens < 300 + 64
    data = open_data(sentence_run.parent / "data")
    end = data.description.end_of_text
    # A sentence has fewer tokens than the window, so that no text is a piece of one.
    for text in found.texts:
        assert text[0] == end
        assert data.tokenizer.decode(text[1:-1].tolist()) in SENTENCES
    held_out = corpus_texts(RunFolder(sentence_run).description, 8, "validation")
    assert held_out is not None
    assert held_out.source == "held-out data"
    assert max(map(len, held_out.texts)) == 8


def test_pieces_of_a_long_document_come_from_all_over_it() -> None:
    """A book is one document: its first page alone would have stood for all of it."""
    tokens = np.arange(10_000, dtype=np.uint16)
    book = Documents(tokens, np.zeros(10_000, np.uint8), np.array([9_000, 9_010, 10_000]))
    texts = choose_texts(book, 0, 101, 4_000)
    assert len(texts) >= 40
    assert np.ptp([text[1] for text in texts]) > 8_000
    assert len({int(text[1]) for text in texts}) == len(texts)
    for text in texts:
        assert 1 < len(text) <= 101
        assert np.array_equal(text[1:], np.arange(text[1], text[1] + len(text) - 1))
        assert text[0] == (0 if text[1] in (0, 9_000, 9_010) else text[1] - 1)


@pytest.mark.parametrize("what", ["no description", "another corpus", "data gone", "a window of one token"])
def test_no_data_of_the_run_no_texts(sentence_run: Path, what: str) -> None:
    """The folder may hold other data by now, which the model has never read."""
    description = RunFolder(sentence_run).description
    if what == "no description":
        description = None
    elif what == "another corpus":
        (sentence_run.parent / "sentences.txt").write_text("\n\n".join(SENTENCES[:50]), encoding="utf-8")
        shutil.rmtree(sentence_run.parent / "data")
        vocabulary = sentence_run
        prepare(
            [str(sentence_run.parent / "sentences.txt")],
            out=sentence_run.parent / "data",
            vocabulary=vocabulary,
            near_duplicates=0,
        )
    elif what == "data gone":
        shutil.rmtree(sentence_run.parent / "data")
    assert corpus_texts(description, 1 if what == "a window of one token" else 64) is None


def test_a_model_without_data_writes_its_texts(exact: OnnxEngine) -> None:
    found = sampled_texts(exact, tokens=1500)
    assert found.source == "sampled text"
    assert found.tokens >= 1500
    assert {len(text) for text in found.texts} == {64}
    assert len({text.tobytes() for text in found.texts}) == len(found.texts)
    assert all(text.min() >= 0 and text.max() < 300 for text in np.array(found.texts))


def test_four_bits_are_rounded_for_the_data_of_the_run(sentence_run: Path, tmp_path: Path) -> None:
    export(sentence_run, tmp_path / "model", bits=4)
    rounding = read_manifest(tmp_path / "model").rounding
    assert rounding["weights_for"] == "training data"
