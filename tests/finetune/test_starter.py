"""The starter model: its corpus, its size, and that each kind of text can be asked for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.engine.bundle import open_bundle
from app.engine.onnx import OnnxEngine
from finetune.starter.ideas import CORPUS, WORDINGS, documents
from finetune.starter.model_card import KINDS, sample
from tests.conftest import ROOT, in_a_process_of_its_own

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
    assert len(train) > 10_000
    for code in KINDS.values():
        assert sum(text.startswith(code) for text in train) > 2000


@pytest.mark.slow
def test_the_whole_way_in_miniature(tmp_path: Path) -> None:
    """Vocabulary, training from nothing, export and card; three steps, too few to learn."""
    in_a_process_of_its_own(miniature, tmp_path)
    manifest = open_bundle(tmp_path / "model").manifest
    assert (manifest.training["step"], manifest.end.token, manifest.template) == (3, 511, "[USER] %\n[BOT] %")
    assert "nats per token on documents that it was trained on" in (tmp_path / "model" / "README.md").read_text(
        encoding="utf-8"
    )


def miniature(folder: Path) -> None:
    from finetune.commands import starter
    from finetune.starter import ideas

    starter.SHAPE = {"n_ctx": 256, "n_embd": 32, "n_head": 2, "n_layer": 1}
    starter.TRAINING = {"steps": 3, "context": 64, "samples": 1, "sample_length": 8}
    ideas.WORDINGS = dict.fromkeys(WORDINGS, 1)
    starter.VOCABULARY = 512
    starter.starter(out=folder / "model", work=folder / "work")


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
