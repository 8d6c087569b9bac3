"""The engine that serves, compared with gpt-2-simple itself: same weights, same logits, same text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from app.engine.bundle import open_bundle
from app.engine.generation import GenerationOptions, generate, prepare
from app.engine.onnx import CHUNK, OnnxEngine
from app.engine.sampling import Sampling
from app.engine.tensorflow import TensorflowEngine
from finetune.export.parity import compare_logits, logits_step_by_step


def test_logits_of_32_bits_equal_tensorflows(
    exact: OnnxEngine, reference: TensorflowEngine, tokens: np.ndarray
) -> None:
    assert np.abs(logits_step_by_step(exact, tokens.tolist()) - reference.all_logits(tokens)).max() < 1e-4


def test_greedy_text_equals_tensorflows_over_200_tokens(exact: OnnxEngine, reference: TensorflowEngine) -> None:
    """The text is longer than the window, so the window slides too."""
    options = GenerationOptions(length=200, sampling=Sampling(temperature=0))
    ours, theirs = (
        "".join(piece.text for piece in generate(engine, prepare(engine, "Why did", options), options))
        for engine in (exact, reference)
    )
    assert ours == theirs


@pytest.mark.parametrize(("bits", "limit"), [(8, 0.02), (4, 1.0)])
def test_rounded_logits_stay_near(
    bundles: dict[int, Path], exact: OnnxEngine, tokens: np.ndarray, bits: int, limit: float
) -> None:
    rounded = OnnxEngine(open_bundle(bundles[bits]), threads=1)
    parity = compare_logits(logits_step_by_step(rounded, tokens.tolist()), logits_step_by_step(exact, tokens.tolist()))
    assert 0 < parity.mean_kl < limit


def test_a_prompt_read_at_once_gives_the_logits_of_one_read_token_by_token(
    exact: OnnxEngine, tokens: np.ndarray
) -> None:
    decoder = exact.decoder(1, len(tokens))
    assert np.allclose(
        decoder.prefill(tokens[np.newaxis])[0], logits_step_by_step(exact, tokens.tolist())[-1], atol=1e-4
    )


def test_a_long_prompt_is_read_in_chunks(
    exact: OnnxEngine, tokens: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = exact.decoder(1, len(tokens)).prefill(tokens[np.newaxis])[0].copy()
    assert len(tokens) <= CHUNK
    monkeypatch.setattr("app.engine.onnx.CHUNK", 7)
    assert np.allclose(exact.decoder(1, len(tokens)).prefill(tokens[np.newaxis])[0], whole, atol=1e-4)


def test_rows_of_a_batch_do_not_see_each_other(exact: OnnxEngine, tokens: np.ndarray) -> None:
    other = tokens[::-1].copy()
    decoder = exact.decoder(2, len(tokens))
    both = decoder.prefill(np.stack([tokens[:-1], other[:-1]])).copy()
    stepped = decoder.step(np.array([tokens[-1], other[-1]])).copy()
    for row, text in enumerate((tokens, other)):
        alone = logits_step_by_step(exact, text.tolist())
        assert np.allclose(both[row], alone[-2], atol=1e-4)
        assert np.allclose(stepped[row], alone[-1], atol=1e-4)
