"""Perplexity is what the logits say, over whole documents."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from app.engine.tensorflow import TensorflowEngine
from finetune.commands.prepare import prepare
from finetune.data.prepared import open_data
from finetune.evaluation.perplexity import measure_perplexity
from tests.conftest import SENTENCES


def test_perplexity_is_what_the_logits_say(reference: TensorflowEngine, data: Path) -> None:
    """Each document is read after an end of text, and its own end is predicted too."""
    prepared = open_data(data)
    end = prepared.description.end_of_text
    found = measure_perplexity(reference, prepared.validation, end, 10**6, 0, "read")
    nats, count = 0.0, 0
    for index in range(len(prepared.validation)):
        document, _ = prepared.validation[index]
        logits = reference.all_logits(np.array([end, *document[:-1]])).astype(np.float64)
        nats += float((np.logaddexp.reduce(logits, axis=-1) - logits[np.arange(len(document)), document]).sum())
        count += len(document)
    assert found is not None
    assert found.tokens == count
    assert found.nats == pytest.approx(nats / count, abs=1e-4)
    assert found.perplexity == pytest.approx(np.exp(found.nats))


def test_a_document_longer_than_the_window_is_read_to_its_end(
    checkpoint: Path, reference: TensorflowEngine, tmp_path: Path
) -> None:
    (tmp_path / "long.txt").write_text(" ".join(SENTENCES), encoding="utf-8")
    prepare([str(tmp_path / "long.txt")], out=tmp_path / "data", vocabulary=checkpoint, validation=0)
    documents = open_data(tmp_path / "data").train
    found = measure_perplexity(reference, documents, 299, 10**6, 0, "read")
    assert found is not None
    assert found.tokens == len(documents.tokens)


def test_no_more_tokens_are_read_than_allowed(reference: TensorflowEngine, data: Path) -> None:
    """The last document of the sample is cut, so that training and validation text are compared over equally many tokens."""
    found = measure_perplexity(reference, open_data(data).train, 299, 100, 0, "read")
    assert found is not None
    assert found.tokens == 100
