"""The embedded default: its corpus, its size, and that each kind of text can be asked for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.engine.bundle import open_bundle
from app.engine.onnx import OnnxEngine
from finetune.starter import CORPUS, KINDS, WORDINGS, Part, documents, sample, starter
from tests.conftest import ROOT

STARTER = ROOT / "models/starter"


@pytest.fixture(scope="module")
def engine() -> OnnxEngine:
    return OnnxEngine(open_bundle(STARTER), threads=1)


def test_the_corpus_is_large_enough_and_plain() -> None:
    lines = [line for kind in WORDINGS for line in (CORPUS / f"{kind}.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(lines) >= 2000
    assert len(set(lines)) == len(lines)
    for line in lines:
        assert line.isascii()
        json.loads(line)


def test_documents_are_the_same_on_every_call_and_none_is_held_out_and_trained_on() -> None:
    train, held_out = documents()
    assert (train, held_out) == documents()
    assert not set(train) & set(held_out)
    assert len(train) > 20_000
    for code in KINDS.values():
        assert sum(text.startswith(code) for text in train) > 3000


def test_the_whole_way_in_miniature(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Vocabulary, initial model, gpt-2-simple's own finetune in two parts, export and card; a dozen steps too few to learn."""
    monkeypatch.setattr("finetune.starter.SHAPE", {"n_ctx": 1024, "n_embd": 32, "n_head": 2, "n_layer": 1})
    monkeypatch.setattr("finetune.starter.SCHEDULE", (Part(2, 1e-3), Part(1, 1e-4, jokes=2)))
    monkeypatch.setattr("finetune.starter.WORDINGS", dict.fromkeys(WORDINGS, 1))
    monkeypatch.setattr("finetune.starter.VOCABULARY", 512)
    starter(tmp_path / "model", work=tmp_path / "work")
    manifest = open_bundle(tmp_path / "model").manifest
    assert (manifest.training["step"], manifest.end.token, manifest.template) == (3, 511, "qa")
    assert "nats on documents it was trained on" in (tmp_path / "model" / "README.md").read_text(encoding="utf-8")


def test_the_bundle_is_small() -> None:
    assert sum(path.stat().st_size for path in STARTER.iterdir()) <= 10_000_000


def test_it_has_the_window_and_the_vocabulary_it_should(engine: OnnxEngine) -> None:
    assert engine.n_ctx == 1024
    assert engine.end.token == engine.tokenizer.end_of_text == len(engine.tokenizer) - 1


@pytest.mark.parametrize(("code", "sign"), [("[QUESTION]", "\n[ANSWER] "), ("[VERDICT]", ". "), ("[USER]", "\n[BOT] ")])
def test_each_kind_can_be_asked_for(engine: OnnxEngine, code: str, sign: str) -> None:
    texts = [sample(engine, code, seed) for seed in range(20)]
    assert sum(sign in text and text.endswith((".", "!", "?")) for text in texts) >= 18


def test_the_card_shows_ten_samples_of_each_kind_as_they_come(engine: OnnxEngine) -> None:
    card = (STARTER / "README.md").read_text(encoding="utf-8")
    for code in KINDS.values():
        assert card.count(f"\n\n> {code}") == 10
    assert "CC0" in card
