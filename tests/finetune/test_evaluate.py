"""What `evaluate` measures is so: held against TensorFlow, and against counting by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from app.engine.bundle import Hparams
from app.engine.checkpoint_folder import open_checkpoint
from app.engine.tensorflow import TensorflowEngine
from app.errors import DataError, SettingError
from finetune.checkpoint import initial_weights, read_weights, write_checkpoint
from finetune.commands.evaluate import evaluate
from finetune.commands.prepare import prepare
from finetune.data.prepared import open_data
from finetune.evaluation.parroting import copying, find_runs
from finetune.evaluation.perplexity import measure
from finetune.evaluation.reference import reader
from finetune.evaluation.variety import Passage, distinct, loops, repetition
from tests.conftest import SENTENCES, write_tiny

END = 99


def test_the_page_of_numpy_is_gpt_2(checkpoint: Path, reference: TensorflowEngine, tokens: np.ndarray) -> None:
    source = open_checkpoint(checkpoint)
    ours = reader(source.hparams, read_weights(source))(np.stack([tokens, tokens[::-1]]).astype(np.int32))
    assert np.abs(ours[0] - reference.all_logits(tokens)).max() < 1e-4
    assert np.abs(ours[1] - reference.all_logits(tokens[::-1])).max() < 1e-4


def test_surprise_is_what_the_logits_say(checkpoint: Path, reference: TensorflowEngine, data: Path) -> None:
    """Each document after an end of text, its own end to be predicted too."""
    prepared, source = open_data(data), open_checkpoint(checkpoint)
    end = prepared.description.end_of_text
    read = reader(source.hparams, read_weights(source))
    found = measure(read, source.hparams.n_ctx, prepared.validation, source.tokenizer, end, 10**6, 0, "read")
    nats, count = 0.0, 0
    for index in range(len(prepared.validation)):
        document, _ = prepared.validation[index]
        logits = reference.all_logits(np.array([end, *document[:-1]])).astype(np.float64)
        nats += float((np.logaddexp.reduce(logits, axis=-1) - logits[np.arange(len(document)), document]).sum())
        count += len(document)
    assert found is not None
    assert (found.tokens, found.nats) == pytest.approx((count, nats / count), abs=1e-4)
    assert found.perplexity == pytest.approx(np.exp(found.nats))


def test_a_document_longer_than_the_window_is_read_to_its_end(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "long.txt").write_text(" ".join(SENTENCES), encoding="utf-8")
    prepare([str(tmp_path / "long.txt")], tmp_path / "data", vocabulary=checkpoint, validation=0)
    documents, source = open_data(tmp_path / "data").train, open_checkpoint(checkpoint)
    read = reader(source.hparams, read_weights(source))
    found = measure(read, 64, documents, source.tokenizer, 299, 10**6, 0, "read")
    assert found is not None
    assert found.tokens == len(documents.tokens)


def runs_by_hand(text: list[int], corpus: list[int]) -> list[int]:
    """For each position, the longest run of three or more from there that the corpus has."""

    def longest(start: int) -> int:
        sizes = range(len(text) - start, 2, -1)
        places = range(len(corpus))
        return next((n for n in sizes if any(corpus[at : at + n] == text[start : start + n] for at in places)), 0)

    return [longest(start) for start in range(len(text))]


@pytest.mark.parametrize("seed", range(5))
def test_copies_are_found_exactly(seed: int) -> None:
    """Against a search by hand, in text of so few words that nearly everything is there twice."""
    random = np.random.default_rng(seed)
    corpus = random.integers(0, 3, 400)
    corpus[random.integers(0, 400, 20)] = END
    corpus[-1] = END
    passages = [
        Passage(random.integers(0, 3, size).astype(np.int32), ended) for size, ended in ((40, True), (25, False))
    ]
    for passage, found in zip(passages, find_runs(passages, corpus, END), strict=True):
        text = [END, *passage.tokens.tolist(), *[END] * passage.ended]
        assert found.lengths.tolist() == runs_by_hand(text, [END, *corpus.tolist()])
        for at, size in enumerate(found.lengths.tolist()):
            place = int(found.places[at])
            assert [END, *corpus.tolist()][place + 1 : place + 1 + size] == text[at : at + size]


def test_a_copy_across_blocks_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("finetune.evaluation.parroting.BLOCK", 16)
    corpus = np.arange(100)
    (found,) = find_runs([Passage(np.arange(10, 60, dtype=np.int32), ended=False)], corpus, END)
    assert found.lengths.max() == 50


def test_shares_and_whole_copies() -> None:
    corpus = np.array([1, 2, 3, 4, 5, END, 6, 7, 8, END])
    passages = [
        Passage(np.array([1, 2, 3, 4, 5], np.int32), ended=True),
        Passage(np.array([2, 3, 4, 9, 9], np.int32), ended=True),
        Passage(np.array([6, 7, 8], np.int32), ended=False),
    ]
    found = copying(passages, find_runs(passages, corpus, END), [3, 5])
    assert found.shares == {3: pytest.approx(5 / 7), 5: pytest.approx(1 / 2)}
    assert (found.longest, found.whole) == pytest.approx((5, 1 / 3))


def test_variety_by_hand() -> None:
    said = Passage(np.array([1, 2, 1, 2, 1, 2], np.int32), ended=True)
    other = Passage(np.array([1, 2, 3], np.int32), ended=True)
    assert repetition([said, other], 2) == [pytest.approx(3 / 5), 0.0]
    assert distinct([said, other], 2, 100) == pytest.approx(3 / 7)
    assert loops(said.tokens)
    assert not loops(other.tokens)


def test_the_report_says_what_was_found(checkpoint: Path, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "reports" / "tiny"
    evaluate(checkpoint, data, out, samples=6, length=20, seed=1, bits=32)
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert report["step"] == 7
    assert report["validation"]["perplexity"] > 1
    assert report["texts"]["human"]["variety"]["texts"] == 6
    assert len(report["samples"]) == 6
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "perplexity" in page
    assert "<script" not in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    evaluate(checkpoint, data, out, samples=2, length=20)
    assert len(json.loads((out / "report.json").read_text(encoding="utf-8"))["samples"]) == 2


def test_what_the_model_writes_is_never_html(checkpoint: Path, data: Path, tmp_path: Path) -> None:
    evaluate(checkpoint, data, tmp_path / "report", samples=2, length=20, prefix="<b onclick=x>&", bits=32)
    page = (tmp_path / "report/report.html").read_text(encoding="utf-8")
    assert "<b onclick" not in page
    assert "&lt;b onclick=x&gt;&amp;" in page


def test_without_validation_text_it_says_so(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(SENTENCES[0], encoding="utf-8")
    prepare([str(tmp_path / "text.txt")], tmp_path / "data", vocabulary=checkpoint, validation=0)
    evaluate(checkpoint, tmp_path / "data", tmp_path / "report", samples=2, length=20)
    report = json.loads((tmp_path / "report/report.json").read_text(encoding="utf-8"))
    assert report["validation"] is None
    assert "The data holds out no documents" in (tmp_path / "report/report.html").read_text(encoding="utf-8")


def test_what_does_not_fit_is_one_sentence(checkpoint: Path, data: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="--n is 30 and should be between 3 and --length, which is 20"):
        evaluate(checkpoint, data, tmp_path / "report", length=20, n=30)
    with pytest.raises(SettingError, match="--samples is 0"):
        evaluate(checkpoint, data, tmp_path / "report", samples=0)
    with pytest.raises(DataError, match="is not prepared data"):
        evaluate(checkpoint, tmp_path / "none", tmp_path / "report")
    write_tiny(tmp_path / "other")
    (tmp_path / "other/vocab.bpe").write_text("#version: 0.2\n", encoding="utf-8")
    hparams = Hparams(n_vocab=300, n_ctx=64, n_embd=32, n_head=4, n_layer=3)
    write_checkpoint(tmp_path / "other", hparams, initial_weights(hparams), vocabulary=tmp_path / "other")
    with pytest.raises(DataError, match="prepared with another vocabulary"):
        evaluate(tmp_path / "other", data, tmp_path / "report")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").touch()
    with pytest.raises(SettingError, match="exists and is not a report"):
        evaluate(checkpoint, data, tmp_path / "mine", samples=1, length=20)
